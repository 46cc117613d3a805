#include "cache/shared_rate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace samtale {
namespace {

// Of what was wanted before, after one exchange: who pauses for a moment keeps its part.
constexpr double kKept = 0.8;
constexpr int kNodesMax = 100'000;
constexpr int kFailuresToTell = 3;  // In a row; fewer are a hiccup.
constexpr auto kClosedLongest = std::chrono::hours(24);

// A hash with a field a node, "lease's end, demand, part", and "closed", until when nothing may be
// sent; times are Redis's own, in milliseconds. Runs as one step, so no two nodes take the same.
constexpr std::string_view kScript = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node, demand, lease, closed_for = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local nodes, wanted, taken, closed = 1, demand, 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local field, value = all[i], all[i + 1]
  if field == 'closed' then
    closed = tonumber(value) or 0
  elseif field ~= node then
    local ends, its_demand, its_part = string.match(value, '^(%S+) (%S+) (%S+)$')
    if not ends or tonumber(ends) <= now then
      redis.call('HDEL', KEYS[1], field)
    else
      nodes, wanted, taken = nodes + 1, wanted + its_demand, taken + its_part
    end
  end
end
local part = 1 / nodes
if wanted > 0 then part = 0.1 / nodes + 0.9 * demand / wanted end
part = math.max(0, math.min(part, 1 - taken))
if now + closed_for > closed and closed_for > 0 then
  closed = now + closed_for
  redis.call('HSET', KEYS[1], 'closed', string.format('%d', closed))
end
redis.call('HSET', KEYS[1], node, string.format('%d %.9g %.9g', now + lease, demand, part))
redis.call('PEXPIRE', KEYS[1], math.max(lease, closed - now))
return string.format('%.9g %d %d', part, nodes, math.max(0, closed - now))
)";

std::string milliseconds(Duration length) {
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(length).count());
}

// The number that ends before `end`, which is taken away too; without one, all there is.
template <class Number>
bool take(std::string_view& text, Number& number, std::optional<char> end = {}) {
  const auto length = end ? text.find(*end) : text.size();
  if (length == std::string_view::npos) return false;
  const auto [at, error] = std::from_chars(text.data(), text.data() + length, number);
  if (error != std::errc() || at != text.data() + length) return false;
  text.remove_prefix(length + (end ? 1 : 0));
  return true;
}

}  // namespace

std::optional<RateReply> parse_rate_reply(std::string_view text) {
  RateReply reply;
  std::int64_t closed_ms = 0;
  if (!take(text, reply.part, ' ') || !take(text, reply.nodes, ' ') || !take(text, closed_ms)) {
    return {};
  }
  if (!(reply.part >= 0 && reply.part <= 1)) return {};
  if (reply.nodes < 1 || reply.nodes > kNodesMax || closed_ms < 0) return {};
  const auto longest = std::chrono::milliseconds(kClosedLongest).count();
  reply.closed_for = std::chrono::milliseconds(std::min<std::int64_t>(closed_ms, longest));
  return reply;
}

SharedRate::SharedRate(const Clock& clock, Log& log, SharedRateOptions options,
                       std::string_view account, std::string node)
    : clock_(clock),
      log_(log),
      options_(std::move(options)),
      name_("samtale:rate:" + std::string(account)),
      node_(std::move(node)) {}

RatePart SharedRate::exchange(double demand, Instant closed_until) {
  demand_ = demand_ * kKept + demand;
  // What others said is not said again, or the time on the way would be added to it each time.
  const bool is_news = closed_until != last_.closed_until;
  const auto now = clock_.now();
  const auto closed_for = std::clamp<Duration>(
      is_news && closed_until > now ? closed_until - now : Duration{}, {}, kClosedLongest);
  const auto text = ask(closed_for);
  const auto reply = text ? parse_rate_reply(*text) : std::nullopt;
  if (reply) {
    nodes_ = reply->nodes;
    last_.part = reply->part;
    const auto until = clock_.now() + reply->closed_for;
    // Of one that is known already, only what is more than the time on the way.
    if (until > std::max(closed_until, last_.closed_until) + options_.timeout) {
      last_.closed_until = until;
    }
    if (std::exchange(failures_, 0) >= kFailuresToTell) log_.info("cache.rate_shared");
    return last_;
  }
  connection_.reset();
  last_.part = std::min(last_.part, 1.0 / nodes_);
  if (++failures_ == kFailuresToTell) {
    log_.warn("cache.rate_alone",
              text ? Error{ErrorCode::corrupt, "a reply that is none: " + *text} : text.error());
  }
  return last_;
}

Result<std::string> SharedRate::ask(Duration closed_for) {
  const auto deadline = clock_.now() + options_.timeout;
  if (!connection_ || !connection_->is_quiet()) {
    SAMTALE_TRY(connection_, RedisConnection::open(options_.address, clock_, deadline));
  }
  const auto demand = std::to_string(demand_);
  const auto lease = milliseconds(options_.lease);
  const auto closed = milliseconds(closed_for);
  SAMTALE_TRY(auto reply,
              connection_->call(std::array<std::string_view, 8>{"EVAL", kScript, "1", name_, node_,
                                                                demand, lease, closed},
                                deadline));
  if (!reply) return fail(ErrorCode::corrupt, "no reply");
  return *std::move(reply);
}

}  // namespace samtale

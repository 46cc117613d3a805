#include "cache/shared_cache.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/bytes.h"
#include "cache/sealed_value.h"

namespace samtale {
namespace {

// In a row; fewer are a hiccup.
constexpr int kFailuresToTell = 3;

std::string name_of(const CacheKey& key) {
  return "samtale:" + std::to_string(number(key.company())) + ":" + hex(view(key.digest()));
}

template <class Number>
bool read(std::string_view text, Number& number) {
  const auto* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end;
}

std::unexpected<Error> wrong(std::string what) {
  return fail(ErrorCode::invalid_argument, std::move(what));
}

Result<RedisAddress> parse_socket(std::string_view rest) {
  RedisAddress address;
  constexpr std::string_view kDatabase = "?db=";
  const auto question = rest.find('?');
  address.unix_socket = rest.substr(0, question);
  if (!address.unix_socket.starts_with('/')) return wrong("must be unix:///path of the socket");
  if (question == std::string_view::npos) return address;
  rest.remove_prefix(question);
  if (!rest.starts_with(kDatabase) || !read(rest.substr(kDatabase.size()), address.database) ||
      address.database < 0) {
    return wrong("what follows the socket's path must be ?db= and a number");
  }
  return address;
}

Result<RedisAddress> parse_host(std::string_view rest) {
  RedisAddress address;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    const auto database = rest.substr(slash + 1);
    if (!database.empty() && (!read(database, address.database) || address.database < 0)) {
      return wrong("the database, after the host's slash, must be a number");
    }
    rest = rest.substr(0, slash);
  }
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    address.user = rest.substr(0, at);
    if (address.user.contains(':')) {
      return wrong("must not hold a password: put it into cache.redis_password_file");
    }
    rest.remove_prefix(at + 1);
  }
  // An IPv6 address is in brackets.
  const auto colon = rest.find(':', rest.starts_with('[') ? rest.find(']') : 0);
  if (colon != std::string_view::npos) {
    if (!read(rest.substr(colon + 1), address.port) || address.port == 0) {
      return wrong("the port must be 1 to 65535");
    }
    rest = rest.substr(0, colon);
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  address.host = rest.empty() ? "127.0.0.1" : std::string(rest);
  return address;
}

}  // namespace

Result<RedisAddress> parse_redis_url(std::string_view url) {
  constexpr std::string_view kHost = "redis://";
  constexpr std::string_view kSocket = "unix://";
  if (url.starts_with(kHost)) return parse_host(url.substr(kHost.size()));
  if (url.starts_with(kSocket)) return parse_socket(url.substr(kSocket.size()));
  if (url.starts_with("rediss://")) {
    return wrong("TLS is not spoken to Redis: use a socket, or a tunnel that ends on this machine");
  }
  return wrong("must begin with redis:// or unix://");
}

SharedCache::SharedCache(const Clock& clock, Random& random, Log& log, SharedCacheOptions options)
    : clock_(clock), random_(random), log_(log), options_(std::move(options)) {}

std::optional<std::string> SharedCache::get(const CacheKey& key) {
  const auto name = name_of(key);
  const auto lives = expiry();
  const auto found = ask(std::array<std::string_view, 4>{"GETEX", name, "EX", lives});
  const auto value = found ? unseal(key, *found) : std::nullopt;
  const std::lock_guard lock(connections_mutex_);
  ++(value ? stats_.hits : stats_.misses);
  if (found && !value) refuse_locked();
  return value ? std::optional(std::string(*value)) : std::nullopt;
}

void SharedCache::put(const CacheKey& key, std::string_view value) {
  const auto name = name_of(key);
  const auto sealed = seal(key, value);
  const auto lives = expiry();
  ask(std::array<std::string_view, 5>{"SET", name, sealed, "EX", lives});
}

void SharedCache::refuse() {
  const std::lock_guard lock(connections_mutex_);
  --stats_.hits;
  ++stats_.misses;
  refuse_locked();
}

// It may have been the answer to something else: none of the connections is trusted any more.
void SharedCache::refuse_locked() {
  ++stats_.refused;
  idle_.clear();
}

SharedCacheStats SharedCache::stats() const {
  const std::lock_guard lock(connections_mutex_);
  return stats_;
}

std::optional<std::string> SharedCache::ask(std::span<const std::string_view> words) {
  if (!may_begin()) return std::nullopt;
  const auto deadline = clock_.now() + options_.timeout;
  auto connection = take_idle();
  if (!connection) {
    auto opened = RedisConnection::open(options_.address, clock_, deadline);
    if (!opened) {
      end(nullptr, std::unexpected(std::move(opened).error()));
      return std::nullopt;
    }
    connection = *std::move(opened);
  }
  const auto answer = connection->call(words, deadline);
  end(std::move(connection), answer);
  return answer ? *answer : std::nullopt;
}

bool SharedCache::may_begin() {
  const std::lock_guard lock(connections_mutex_);
  const auto now = clock_.now();
  if (in_use_ >= options_.connections_max || (failures_ > 0 && now < paused_until_)) {
    ++stats_.skipped;
    return false;
  }
  // After a pause one tries, while the others go on without.
  if (failures_ > 0) paused_until_ = now + options_.timeout;
  ++in_use_;
  return true;
}

SharedCache::Connection SharedCache::take_idle() {
  for (;;) {
    Connection connection;
    {
      const std::lock_guard lock(connections_mutex_);
      if (idle_.empty()) return nullptr;
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    // The other side has closed it meanwhile, or talks out of turn.
    if (connection->is_quiet()) return connection;
  }
}

void SharedCache::end(Connection connection, const Result<std::optional<std::string>>& answer) {
  // A command that the server has refused was answered all the same.
  const bool is_whole =
      connection != nullptr && (answer || answer.error().code == ErrorCode::invalid_argument);
  const double jitter = 0.5 + random_.fraction() / 2;
  int failures_before = 0;
  {
    const std::lock_guard lock(connections_mutex_);
    --in_use_;
    if (!answer) ++stats_.errors;
    failures_before = failures_;
    if (is_whole) {
      failures_ = 0;
      idle_.push_back(std::move(connection));
    } else {
      // This one goes: a late answer on it would be taken for that to the next command.
      const Duration doubled = options_.pause_base * (std::int64_t{1} << std::min(failures_, 20));
      const auto pause = std::min(doubled, options_.pause_longest);
      ++failures_;
      paused_until_ = clock_.now() + std::chrono::duration_cast<Duration>(pause * jitter);
    }
  }
  if (is_whole && failures_before >= kFailuresToTell) log_.info("cache.redis_back");
  if (!is_whole && failures_before + 1 == kFailuresToTell) {
    log_.warn("cache.redis_away", answer.error());
  }
}

std::string SharedCache::expiry() {
  const auto length = options_.keep_for * (0.9 + random_.fraction() / 5);
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(length).count());
}

}  // namespace samtale

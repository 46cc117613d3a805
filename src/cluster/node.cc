#include "cluster/node.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "cluster/placement.h"

namespace samtale {
namespace {

constexpr auto kBetweenTries = std::chrono::milliseconds(500);
// Until every other node has made a step or two.
constexpr auto kLinger = std::chrono::seconds(3);

}  // namespace

Node::Node(Members& members, Router& router, const Clock& clock, Log& log, NodeOptions options,
           std::function<Loaded()> loaded)
    : members_(members),
      router_(router),
      clock_(clock),
      log_(log),
      options_(std::move(options)),
      loaded_(std::move(loaded)),
      wanted_at_(options_.partitions * options_.slices) {}

Result<> Node::join(Clock& clock) {
  // One that was killed, and is started again at another place (a container), waits for its own
  // lease.
  const auto until = clock.now() + options_.lease + kBetweenTries;
  while (true) {
    const auto done = step();
    if (done) return {};
    if (done.error().code != ErrorCode::conflict || clock.now() >= until) {
      return std::unexpected(done.error());
    }
    clock.sleep_for(kBetweenTries, {});
  }
}

void Node::announce(std::string url) {
  const std::lock_guard lock(url_mutex_);
  url_ = std::move(url);
}

// Over a lease or longer: from one beat to the next it jumps.
std::uint64_t Node::rate_of(std::uint64_t requests, Instant now) {
  const std::chrono::duration<double> passed = now - counted_at_.value_or(now);
  if (counted_at_ && passed < options_.lease) return rate_;
  if (counted_at_) {
    rate_ = static_cast<std::uint64_t>(
        std::llround(static_cast<double>(requests - requests_) / passed.count()));
  }
  counted_at_ = now;
  requests_ = requests;
  return rate_;
}

Result<std::size_t> Node::step() {
  const std::lock_guard stepping(step_mutex_);
  if (has_left_) return 0;
  const auto begin = clock_.now();
  const auto loaded = loaded_();
  Member self{.node = options_.name,
              .url = {},
              .roles = options_.roles,
              .ready = loaded.ready,
              .slices = options_.slices,
              .layout = loaded.layout,
              .lag = loaded.lag,
              .requests_per_second = rate_of(loaded.requests, begin)};
  {
    const std::lock_guard lock(url_mutex_);
    self.url = url_;
  }
  SAMTALE_TRY_VOID(members_.beat(self, options_.place, options_.lease));
  SAMTALE_TRY(auto alive, members_.alive());
  auto members = with_remembered(std::move(alive), begin);
  std::string known;
  for (const auto& member : members) known += member.node + "(" + text(member.roles) + ") ";
  if (known != known_) {
    log_.info("cluster.members", {{"nodes", std::to_string(members.size())}, {"members", known}});
    known_ = std::move(known);
  }
  std::erase_if(members, [&](const Member& member) { return member.slices != options_.slices; });
  keep_index(placed_here(members, self.ready));
  settle(members);
  if (options_.roles.has(Role::keeper)) {
    SAMTALE_TRY(const bool leads, members_.lead(options_.name, options_.lease));
    // A fifth less: what was begun at the last moment has time to end.
    leads_until_ = leads ? begin + options_.lease * 4 / 5 : begin;
  }
  std::erase_if(members, [&](const Member& member) { return member.node == options_.name; });
  router_.set_members(std::move(members));
  return 0;
}

Slices Node::placed_here(const std::vector<Member>& members, Slices ready) const {
  if (!options_.roles.has(Role::searcher)) return 0;
  std::vector<std::string> searchers;
  std::vector<Slices> have;
  for (const auto& member : members) {
    if (!member.roles.has(Role::searcher)) continue;
    searchers.push_back(member.node);
    have.push_back(member.ready);
  }
  const auto placed = place(options_.partitions, options_.slices, searchers, options_.replicas);
  Slices mine = 0;
  Slices awaited = 0;  // Some node that was given it has not loaded it.
  for (std::size_t i = 0; i < searchers.size(); ++i) {
    if (searchers[i] == options_.name) mine = placed[i];
    awaited |= placed[i] & ~have[i];
  }
  return mine | (ready & awaited);
}

std::vector<Member> Node::with_remembered(std::vector<Member> alive, Instant now) {
  if (stepped_at_ && now - *stepped_at_ > options_.lease) patient_until_ = now + options_.lease;
  stepped_at_ = now;
  if (patient_until_ && now < *patient_until_) {
    for (const auto& member : remembered_) {
      if (std::ranges::find(alive, member.node, &Member::node) == alive.end()) {
        alive.push_back(member);
      }
    }
    std::ranges::sort(alive, {}, &Member::node);
  }
  remembered_ = alive;
  return alive;
}

// Who does not hold an index counts too: it is told what it knows of, and asks by that.
void Node::settle(const std::vector<Member>& members) {
  if (members.empty()) return;
  const auto now = clock_.now();
  const auto least = std::ranges::min_element(members, {}, &Member::layout)->layout;
  if (least != agreed_) agreed_at_ = now;
  agreed_ = least;
  if (now - agreed_at_ >= kLinger && agreed_ > settled_) settled_ = agreed_;
}

void Node::keep_index(Slices wanted) {
  const auto now = clock_.now();
  Slices kept = wanted;
  for (std::size_t i = 0; i < wanted_at_.size(); ++i) {
    if (has(wanted, i)) wanted_at_[i] = now;
    if (wanted_at_[i] && now - *wanted_at_[i] < kLinger) kept |= Slices{1} << i;
  }
  holds_ = kept;
}

std::vector<std::string> Node::there() const {
  const std::lock_guard stepping(step_mutex_);
  std::vector<std::string> names;
  for (const auto& member : remembered_) names.push_back(member.node);
  return names;
}

void Node::leave() {
  has_left_ = true;
  const std::lock_guard stepping(step_mutex_);
  leads_until_ = Instant{};
  if (auto left = members_.leave(options_.name); !left) log_.warn("cluster.leave", left.error());
}

}  // namespace samtale

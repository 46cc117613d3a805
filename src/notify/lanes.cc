#include "notify/lanes.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace samtale {
namespace {

constexpr Duration kSurplusMin = std::chrono::milliseconds(100);
// A guess until the first delivery has been timed.
constexpr Duration kFirstPace = std::chrono::milliseconds(20);
// A lane that is a little too well supplied turns some jobs away twice; one that is not idles.
constexpr int kSupply = 2;

}  // namespace

std::size_t Lanes::room() const {
  const std::lock_guard lock(lanes_mutex_);
  return options_.held_max - std::min(options_.held_max, held_);
}

std::optional<Duration> Lanes::offer(HeldDelivery delivery, Instant now) {
  const std::lock_guard lock(lanes_mutex_);
  auto& lane = lanes_[delivery.delivery.subscription];
  if (lane.paused_until > now) return lane.paused_until - now;
  if (lane.held.size() < options_.lane_max) {
    lane.held.push_back(std::move(delivery));
    ++held_;
    return std::nullopt;
  }
  // One behind the other, as fast as they can be sent: a burst is turned away once or twice, not at
  // every look.
  const auto pace = (lane.pace == Duration{} ? kFirstPace : lane.pace) / kSupply;
  const auto begin = now + std::max(kSurplusMin, pace * static_cast<int>(lane.held.size()));
  lane.surplus_until = std::max(begin, lane.surplus_until + pace);
  return lane.surplus_until - now;
}

std::optional<HeldDelivery> Lanes::next(Instant now) {
  const std::lock_guard lock(lanes_mutex_);
  auto best = lanes_.end();
  for (auto it = lanes_.begin(); it != lanes_.end(); ++it) {
    const auto& lane = it->second;
    if (lane.held.empty() || lane.is_busy || lane.paused_until > now) continue;
    if (lane.failures > 0 && failing_busy_ >= options_.failing_max) continue;
    if (best == lanes_.end() || lane.served < best->second.served) best = it;
  }
  if (best == lanes_.end()) return std::nullopt;
  auto& lane = best->second;
  auto delivery = std::move(lane.held.front());
  lane.held.pop_front();
  --held_;
  lane.is_busy = true;
  lane.served = ++served_;
  if (lane.failures > 0) ++failing_busy_;
  return delivery;
}

void Lanes::release(std::map<std::string, Lane>::iterator lane) {
  SAMTALE_CHECK(lane != lanes_.end() && lane->second.is_busy, "a lane is left by who was let in");
  lane->second.is_busy = false;
  if (lane->second.failures > 0) --failing_busy_;
}

void Lanes::succeeded(const std::string& subscription, Duration took, Instant now) {
  const std::lock_guard lock(lanes_mutex_);
  const auto found = lanes_.find(subscription);
  release(found);
  auto& lane = found->second;
  lane.failures = 0;
  lane.pace = lane.pace == Duration{} ? took : (lane.pace * 7 + took) / 8;
  // With nothing to remember but a pace, which the next delivery tells anew.
  if (lane.held.empty() && lane.surplus_until <= now) lanes_.erase(found);
}

std::vector<HeldDelivery> Lanes::failed(const std::string& subscription, Duration pause,
                                        Instant now) {
  const std::lock_guard lock(lanes_mutex_);
  const auto found = lanes_.find(subscription);
  release(found);
  auto& lane = found->second;
  ++lane.failures;
  lane.paused_until = now + pause;
  held_ -= lane.held.size();
  auto waiting = std::exchange(lane.held, {});
  return {std::make_move_iterator(waiting.begin()), std::make_move_iterator(waiting.end())};
}

void Lanes::untried(const std::string& subscription) {
  const std::lock_guard lock(lanes_mutex_);
  const auto found = lanes_.find(subscription);
  release(found);
  if (found->second.held.empty() && found->second.failures == 0) lanes_.erase(found);
}

void Lanes::gone(const std::string& subscription) {
  const std::lock_guard lock(lanes_mutex_);
  const auto found = lanes_.find(subscription);
  release(found);
  found->second.failures = 0;
  if (found->second.held.empty()) lanes_.erase(found);
}

std::size_t Lanes::failures(const std::string& subscription) const {
  const std::lock_guard lock(lanes_mutex_);
  const auto found = lanes_.find(subscription);
  return found == lanes_.end() ? 0 : found->second.failures;
}

std::vector<HeldDelivery> Lanes::clear() {
  const std::lock_guard lock(lanes_mutex_);
  std::vector<HeldDelivery> all;
  for (auto& [subscription, lane] : lanes_) {
    for (auto& held : lane.held) all.push_back(std::move(held));
    lane.held.clear();
  }
  held_ = 0;
  return all;
}

}  // namespace samtale

#include "lm/gate_limits.h"

#include <algorithm>
#include <cmath>

namespace samtale {
namespace {

constexpr double kMinuteNs = 6e10;
constexpr double kBurstShare = 1.0 / 6;  // Ten seconds' worth.
constexpr double kPartLeast = 1e-3;
constexpr double kRounding = 1e-6;       // Of a token: less than any sum of doubles here is off by.
constexpr std::size_t kRoundLeast = 16;  // The mean of fewer answers says little of a model.
constexpr auto kWaitLongest = std::chrono::hours(24);  // A slip of a provider must end some day.

Instant in_ns(Instant now, double length) {
  if (length >= 9e18) return Instant::max();
  return later(now, Duration(static_cast<Duration::rep>(std::ceil(length))));
}

}  // namespace

Instant later(Instant now, Duration length) {
  if (length >= Instant::max() - std::max(now, Instant{})) return Instant::max();
  return now + length;
}

ReservedBucket::ReservedBucket(std::int64_t per_minute, double reserved_share, Instant now)
    : share_(reserved_share), now_(now) {
  resize(per_minute);
  general_ = general_most_;
  reserve_ = reserve_most_;
}

void ReservedBucket::resize(std::int64_t per_minute) {
  per_minute_ = per_minute;
  const auto rate = static_cast<double>(per_minute) * part_;
  const double most = std::max(rate * kBurstShare, 1.0);
  per_ns_ = rate / kMinuteNs;
  general_most_ = most * (1 - share_);
  reserve_most_ = most * share_;
}

void ReservedBucket::advance(Instant now) {
  if (now <= now_) return;
  const double added = per_ns_ * static_cast<double>((now - now_).count());
  now_ = now;
  const double general = general_ + added * (1 - share_);
  const double reserve = reserve_ + added * share_;
  const double over_general = std::max(general - general_most_, 0.0);
  const double over_reserve = std::max(reserve - reserve_most_, 0.0);
  general_ = std::min(general + over_reserve, general_most_);
  reserve_ = std::min(reserve + over_general, reserve_most_);
}

Instant ReservedBucket::ready_at(double amount, Claim claim) const {
  if (per_minute_ == 0) return std::max(now_, held_until_);
  // `slow`: what is refilled until `slow_ns` from now; then the other part is full, or out of debt,
  // and all of the rate comes here.
  double missing = 0;
  double slow = 0;
  double slow_ns = 0;
  const double to_general = per_ns_ * (1 - share_);
  const double to_reserve = per_ns_ * share_;
  switch (claim) {
    case Claim::general:
      missing = std::min(amount, general_most_) - general_;
      slow = to_general;
      slow_ns = to_reserve > 0 ? (reserve_most_ - reserve_) / to_reserve : 0;
      break;
    case Claim::critical:
      missing = std::min(amount, reserve_most_) - reserve_ - std::max(general_, 0.0);
      slow = to_reserve;
      slow_ns = std::max(-general_, 0.0) / to_general;
      break;
    case Claim::overtaking:
      missing = std::min(amount, reserve_most_) - reserve_;
      slow = to_reserve;
      slow_ns = (general_most_ - general_) / to_general;
      break;
  }
  if (missing <= kRounding) return now_;
  if (missing <= slow * slow_ns) return in_ns(now_, missing / slow);
  return in_ns(now_, slow_ns + (missing - slow * slow_ns) / per_ns_);
}

void ReservedBucket::take(double amount, Claim claim) {
  if (per_minute_ == 0) return;
  double from_general = 0;
  if (claim == Claim::general) from_general = amount;
  if (claim == Claim::critical) from_general = std::clamp(general_, 0.0, amount);
  general_ -= from_general;
  reserve_ -= amount - from_general;
}

void ReservedBucket::give_back(double amount) {
  if (per_minute_ == 0) return;
  general_ += amount;
  reserve_ = std::min(reserve_ + std::max(general_ - general_most_, 0.0), reserve_most_);
  general_ = std::min(general_, general_most_);
}

void ReservedBucket::learn_rate(std::int64_t per_minute) {
  if (per_minute <= 0 || per_minute == per_minute_) return;
  const bool is_first = per_minute_ == 0;
  resize(per_minute);
  if (is_first) {
    general_ = general_most_;
    reserve_ = reserve_most_;
  }
  clip();
}

void ReservedBucket::set_part(double part) {
  part_ = std::clamp(part, kPartLeast, 1.0);
  resize(per_minute_);
  clip();
}

void ReservedBucket::clip() {
  general_ = std::min(general_, general_most_);
  reserve_ = std::min(reserve_, reserve_most_);
}

void ReservedBucket::learn_left(std::int64_t left, std::optional<Duration> reset) {
  if (left < 0) return;
  if (per_minute_ == 0) {
    if (left == 0 && reset) {
      held_until_ = std::max(held_until_, later(now_, std::min<Duration>(*reset, kWaitLongest)));
    }
    return;
  }
  // Only downward: what others use of the account is seen in no other way, and what is left there
  // above our burst is no reason to send faster.
  double excess = general_ + reserve_ - static_cast<double>(left) * part_;
  if (excess <= 0) return;
  const double from_general = std::clamp(general_, 0.0, excess);
  general_ -= from_general;
  excess -= from_general;
  reserve_ -= std::clamp(reserve_, 0.0, excess);
}

void QuotaClock::closed_by(Duration retry_after, Instant now) {
  closed_until_ =
      std::max(closed_until_, later(now, std::min<Duration>(retry_after, kWaitLongest)));
}

void QuotaClock::throttled(std::optional<Duration> retry_after, Instant sent_at, Instant now) {
  // Those sent before the last one said no belong to its round.
  if (sent_at >= throttled_at_) {
    next_wait_ =
        next_wait_ == Duration::zero() ? default_wait_ : std::min(next_wait_ * 2, longest_);
    throttled_at_ = now;
  }
  closed_by(retry_after.value_or(Duration{}) > Duration{} ? *retry_after : next_wait_, now);
}

void QuotaClock::answered(Instant sent_at) {
  if (sent_at >= throttled_at_) next_wait_ = {};
}

std::optional<Instant> Breaker::open_until() const {
  if (!is_open_) return std::nullopt;
  return open_until_;
}

bool Breaker::may_pass(Instant now) const {
  return !is_open_ || (!is_probing_ && now >= open_until_);
}

void Breaker::passed(std::size_t in_flight, Instant now) {
  if (!is_open_) return;
  is_probing_ = true;
  probed_at_ = now;
  older_ = in_flight;
}

void Breaker::reported(Sign sign, Instant sent_at, Instant now) {
  if (!is_open_) {
    if (sign == Sign::alive) failures_ = 0;
    if (sign == Sign::failed && ++failures_ >= failures_to_open_) open(now);
    return;
  }
  if (!is_probing_) return;
  // By count too, so that a wrong time can never leave the probe unanswered for ever.
  if (sent_at < probed_at_ && older_ > 0) {
    --older_;
    return;
  }
  is_probing_ = false;
  if (sign == Sign::failed) open(now);
  if (sign == Sign::alive) {
    is_open_ = false;
    failures_ = 0;
    last_open_ = {};
  }
}

void Breaker::open(Instant now) {
  last_open_ = last_open_ == Duration::zero() ? open_for_ : std::min(last_open_ * 2, open_longest_);
  is_open_ = true;
  open_until_ = later(now, last_open_);
}

AdaptiveLimit::AdaptiveLimit(std::size_t least, std::size_t start, std::size_t most)
    : least_(std::max<std::size_t>(least, 1)),
      most_(std::max(most, least_)),
      value_(std::clamp(start, least_, most_)) {}

void AdaptiveLimit::filled() { was_full_ = true; }

void AdaptiveLimit::took(Duration length, Instant sent_at, Instant now) {
  if (sent_at < round_began_) return;  // Of a round with another limit.
  ++answers_;
  sum_of_logs_ += std::log(static_cast<double>(std::max<Duration::rep>(length.count(), 1)));
  if (answers_ >= std::max(value_, kRoundLeast)) judge(now);
}

void AdaptiveLimit::judge(Instant now) {
  const double mean_ns = std::exp(sum_of_logs_ / static_cast<double>(answers_));
  const bool is_slow = usual_ns_ > 0 && mean_ns > 2 * usual_ns_;
  const bool did_not_help = slow_ns_ && mean_ns > *slow_ns_ * 3 / 4;
  if (is_slow && !did_not_help) {
    halve(now);
    slow_ns_ = mean_ns;
    return;
  }
  if (is_slow || usual_ns_ <= 0) usual_ns_ = mean_ns;
  if (mean_ns < usual_ns_) usual_ns_ += (mean_ns - usual_ns_) / 4;
  if (was_full_) value_ = std::min(value_ + 1, most_);
  slow_ns_.reset();
  begin_round();
}

void AdaptiveLimit::throttled(Instant sent_at, Instant now) {
  if (sent_at >= halved_at_) halve(now);
}

void AdaptiveLimit::halve(Instant now) {
  value_ = std::max(value_ / 2, least_);
  halved_at_ = now;
  round_began_ = now;
  begin_round();
}

void AdaptiveLimit::begin_round() {
  was_full_ = false;
  answers_ = 0;
  sum_of_logs_ = 0;
}

RetryBudget::Second& RetryBudget::second_of(Instant now) {
  const auto number = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  auto& second = seconds_[static_cast<std::size_t>(number) % seconds_.size()];
  if (second.number != number) second = {.number = number};
  return second;
}

void RetryBudget::asked(Instant now) { ++second_of(now).asked; }

bool RetryBudget::take_retry(Instant now) {
  auto& current = second_of(now);
  double asked = 0;
  double retries = 0;
  for (const auto& second : seconds_) {
    if (second.number <= current.number - static_cast<std::int64_t>(seconds_.size())) continue;
    asked += static_cast<double>(second.asked);
    retries += static_cast<double>(second.retries);
  }
  if (retries + 1 > asked * share_ + static_cast<double>(least_)) return false;
  ++current.retries;
  return true;
}

}  // namespace samtale

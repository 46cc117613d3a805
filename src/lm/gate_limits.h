// The limits a gate keeps, each for itself and without a clock or a lock: rate, quota clock,
// breaker, concurrency, retries. GatePolicy (gate_policy.h) asks them in turn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lm/gate.h"
#include "sys/clock.h"

namespace samtale {

// A time so many nanoseconds later, without overflow: waits come from outside.
[[nodiscard]] Instant later(Instant now, Duration length);

// Who asks a bucket, and so which part of it is theirs.
enum class Claim : std::uint8_t {
  general,     // Not critical: never touches the reserve.
  critical,    // Critical and first in order: what is there, the reserve last.
  overtaking,  // Critical, while somebody else is first: only the reserve.
};

// A token bucket in two parts: a reserve for what is critical, and the rest. Each is refilled with
// its share of the rate; what one cannot hold flows into the other. So neither can keep the other
// from its share, and none of the rate is lost while one of them is not wanted.
// Both together hold a sixth of a minute's worth, at least 1. Who wants more than its part holds
// waits until that is full, and leaves it in debt: so in any minute no more passes than rate +
// burst + what one request of each part has over the part.
// Units: tokens or requests.
// Order: advance() first; then the others are about that instant.
class ReservedBucket {
 public:
  // `per_minute` 0: not known, so no limit.
  ReservedBucket(std::int64_t per_minute, double reserved_share, Instant now);

  void advance(Instant now);
  // When `amount` may be taken if nobody takes anything before; not later than now: it may.
  [[nodiscard]] Instant ready_at(double amount, Claim claim) const;
  void take(double amount, Claim claim);
  void give_back(double amount);  // Negative: more was used than was taken.

  // What the provider says: the rate, and how much of it is left until it is whole again.
  void learn_rate(std::int64_t per_minute);
  void learn_left(std::int64_t left, std::optional<Duration> reset);

  // From now on only so much of all this is ours: 1 of it at first, never less than a thousandth.
  void set_part(double part);

  [[nodiscard]] double part() const { return part_; }
  [[nodiscard]] std::int64_t per_minute() const { return per_minute_; }  // Of all parts.

 private:
  void resize(std::int64_t per_minute);
  void clip();

  std::int64_t per_minute_ = 0;
  double part_ = 1;
  double share_;
  double general_ = 0;
  double reserve_ = 0;
  double general_most_ = 0;
  double reserve_most_ = 0;
  double per_ns_ = 0;
  Instant now_;
  Instant held_until_ = Instant::min();  // With no known rate: nothing is left until then.
};

// Until when the provider wants to see nothing at all.
class QuotaClock {
 public:
  QuotaClock(Duration default_wait, Duration longest)
      : default_wait_(default_wait), longest_(longest) {}

  void closed_by(Duration retry_after, Instant now);
  // Without a Retry-After the pause doubles from round to round, until there is an answer.
  void throttled(std::optional<Duration> retry_after, Instant sent_at, Instant now);
  void answered(Instant sent_at);

  [[nodiscard]] Instant closed_until() const { return closed_until_; }

 private:
  const Duration default_wait_;
  const Duration longest_;
  Duration next_wait_{};
  Instant closed_until_ = Instant::min();
  Instant throttled_at_ = Instant::min();
};

// Opens after failures in a row; lets one probe through at a time, until one is answered.
class Breaker {
 public:
  enum class Sign : std::uint8_t { alive, failed, nothing };

  explicit Breaker(const GateOptions& options)
      : failures_to_open_(options.failures_to_open),
        open_for_(options.open_for),
        open_longest_(options.open_longest) {}

  [[nodiscard]] bool is_closed() const { return !is_open_; }
  [[nodiscard]] bool is_probing() const { return is_probing_; }
  // While open: nothing passes before it, then a probe.
  [[nodiscard]] std::optional<Instant> open_until() const;
  [[nodiscard]] bool may_pass(Instant now) const;

  // Something passes, while `in_flight` others are under way.
  void passed(std::size_t in_flight, Instant now);
  void reported(Sign sign, Instant sent_at, Instant now);

 private:
  void open(Instant now);

  const int failures_to_open_;
  const Duration open_for_;
  const Duration open_longest_;
  int failures_ = 0;  // In a row.
  bool is_open_ = false;
  bool is_probing_ = false;
  Duration last_open_{};  // How long it was opened last; zero since the last good probe.
  Instant open_until_ = Instant::min();
  Instant probed_at_ = Instant::min();
  std::size_t older_ = 0;  // Requests under way since before the probe: say nothing of it.
};

// How many may be under way: additive increase, multiplicative decrease. A round is as many answers
// as may be under way, at least 16, and its time their geometric mean: one long answer among short
// ones says nothing. "Usual" is what the fast rounds took; if halving did not make a slow round
// faster, the slowness is not ours, and becomes the usual.
// Source: Chiu, Jain, "Analysis of the Increase and Decrease Algorithms", 1989.
class AdaptiveLimit {
 public:
  AdaptiveLimit(std::size_t least, std::size_t start, std::size_t most);

  [[nodiscard]] std::size_t value() const { return value_; }
  void filled();  // As many are under way as may be.
  // An answer, or a request that got none in time.
  void took(Duration length, Instant sent_at, Instant now);
  void throttled(Instant sent_at, Instant now);

 private:
  void judge(Instant now);
  void begin_round();
  void halve(Instant now);

  const std::size_t least_;
  const std::size_t most_;
  std::size_t value_;
  bool was_full_ = false;  // In this round: else nothing says that more would do.
  Instant round_began_ = Instant::min();
  Instant halved_at_ = Instant::min();
  std::size_t answers_ = 0;
  double sum_of_logs_ = 0;
  double usual_ns_ = 0;            // 0: not known yet.
  std::optional<double> slow_ns_;  // The round before was slow: its mean.
};

// Retries of the last minute: at most a share of the other requests, and a few in any case.
// Source: Finagle's RetryBudget.
class RetryBudget {
 public:
  RetryBudget(double share, std::size_t least) : share_(share), least_(least) {}

  void asked(Instant now);                     // Not a retry.
  [[nodiscard]] bool take_retry(Instant now);  // False: there is none left.

 private:
  struct Second {
    std::int64_t number = -1;
    std::uint64_t asked = 0;
    std::uint64_t retries = 0;
  };
  Second& second_of(Instant now);

  const double share_;
  const std::size_t least_;
  std::array<Second, 60> seconds_;
};

}  // namespace samtale

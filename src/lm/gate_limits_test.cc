#include "lm/gate_limits.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{std::chrono::hours(1)};

// 600 a minute: holds 100, of them 20 in reserve; 8 and 2 are refilled a second.
class ReservedBucketTest : public testing::Test {
 protected:
  [[nodiscard]] Duration wait_for(double amount, Claim claim) const {
    return bucket.ready_at(amount, claim) - now;
  }
  void advance(Duration length) {
    now += length;
    bucket.advance(now);
  }

  Instant now = kStart;
  ReservedBucket bucket{600, 0.2, now};
};

TEST_F(ReservedBucketTest, keeps_the_reserve_from_who_is_not_critical) {
  bucket.take(80, Claim::general);

  EXPECT_EQ(wait_for(1, Claim::general),
            milliseconds(100));  // The reserve is full: all flows here.
  EXPECT_EQ(wait_for(20, Claim::critical), Duration{});
  EXPECT_EQ(wait_for(20, Claim::overtaking), Duration{});
}

TEST_F(ReservedBucketTest, refills_both_parts_by_their_share) {
  bucket.take(80, Claim::general);
  bucket.take(20, Claim::overtaking);

  advance(seconds(1));

  EXPECT_EQ(wait_for(8, Claim::general), Duration{});
  EXPECT_EQ(wait_for(2, Claim::overtaking), Duration{});
  EXPECT_GT(wait_for(9, Claim::general), Duration{});
  EXPECT_GT(wait_for(3, Claim::overtaking), Duration{});
}

TEST_F(ReservedBucketTest, says_when_a_part_is_refilled_though_the_other_fills_up_meanwhile) {
  bucket.take(80, Claim::general);
  bucket.take(4, Claim::overtaking);

  const auto wait = wait_for(40, Claim::general);  // 2 s at 8 a second, then 24 at 10 a second.
  EXPECT_EQ(wait, milliseconds(4400));

  advance(wait - milliseconds(1));
  EXPECT_GT(wait_for(40, Claim::general), Duration{});
  advance(milliseconds(1));
  EXPECT_EQ(wait_for(40, Claim::general), Duration{});
}

TEST_F(ReservedBucketTest, lets_a_request_larger_than_itself_pass_when_full_and_pay_afterwards) {
  EXPECT_EQ(wait_for(300, Claim::general), Duration{});

  bucket.take(300, Claim::general);  // 220 in debt.

  EXPECT_EQ(wait_for(1, Claim::general), milliseconds(22'100));
  EXPECT_EQ(wait_for(20, Claim::critical), Duration{});
}

TEST_F(ReservedBucketTest, gives_what_is_critical_and_first_the_other_part_before_its_reserve) {
  bucket.take(50, Claim::critical);

  EXPECT_EQ(wait_for(20, Claim::overtaking), Duration{});
  EXPECT_EQ(wait_for(30, Claim::general), Duration{});
  EXPECT_GT(wait_for(31, Claim::general), Duration{});
}

TEST_F(ReservedBucketTest, never_holds_more_than_a_sixth_of_a_minute) {
  bucket.give_back(1000);
  advance(minutes(10));

  bucket.take(80, Claim::general);
  bucket.take(20, Claim::overtaking);

  EXPECT_GT(wait_for(1, Claim::general), Duration{});
  EXPECT_GT(wait_for(1, Claim::critical), Duration{});
}

TEST_F(ReservedBucketTest, is_emptied_by_what_others_used_of_the_account_and_never_filled) {
  bucket.learn_left(90, seconds(6));
  EXPECT_EQ(wait_for(70, Claim::general), Duration{});
  EXPECT_GT(wait_for(71, Claim::general), Duration{});

  bucket.learn_left(5, seconds(57));
  EXPECT_GT(wait_for(1, Claim::general), Duration{});
  EXPECT_EQ(wait_for(5, Claim::overtaking), Duration{});

  bucket.learn_left(500, seconds(10));
  EXPECT_GT(wait_for(6, Claim::overtaking), Duration{});
}

TEST_F(ReservedBucketTest, takes_over_the_rate_the_provider_names) {
  bucket.learn_rate(60);
  EXPECT_EQ(bucket.per_minute(), 60);
  bucket.take(8, Claim::general);
  EXPECT_EQ(wait_for(1, Claim::general), seconds(1));

  bucket.learn_rate(6000);
  EXPECT_LT(wait_for(1, Claim::general), milliseconds(13));

  bucket.learn_rate(-1);
  EXPECT_EQ(bucket.per_minute(), 6000);
}

TEST_F(ReservedBucketTest, is_as_much_smaller_and_slower_as_its_part_of_the_account) {
  bucket.set_part(0.5);

  EXPECT_EQ(wait_for(40, Claim::general), Duration{});
  bucket.take(50, Claim::general);
  EXPECT_EQ(wait_for(1, Claim::general), milliseconds(2200)) << "5 a second, all of it";
  EXPECT_EQ(bucket.per_minute(), 600);

  bucket.set_part(1);
  EXPECT_EQ(wait_for(10, Claim::overtaking), Duration{}) << "nothing comes but with time";
  EXPECT_GT(wait_for(11, Claim::overtaking), Duration{});
}

TEST_F(ReservedBucketTest, takes_its_part_of_what_the_provider_says_is_left) {
  bucket.set_part(0.5);

  bucket.learn_left(60, {});

  EXPECT_EQ(wait_for(20, Claim::general), Duration{});
  EXPECT_GT(wait_for(21, Claim::general), Duration{});
}

TEST_F(ReservedBucketTest, passes_something_even_with_no_part_at_all) {
  bucket.set_part(0);
  bucket.take(1, Claim::general);

  EXPECT_LT(wait_for(1, Claim::general), minutes(2));
}

TEST_F(ReservedBucketTest, knows_no_limit_until_it_is_told_one) {
  bucket = ReservedBucket(0, 0.2, now);
  bucket.take(1e9, Claim::general);
  EXPECT_EQ(wait_for(1e9, Claim::general), Duration{});

  bucket.learn_left(0, seconds(7));
  EXPECT_EQ(wait_for(1, Claim::general), seconds(7));

  bucket.learn_rate(60);
  EXPECT_EQ(wait_for(1, Claim::general), Duration{});
}

TEST(QuotaClockTest, closes_for_as_long_as_the_longest_retry_after_says) {
  QuotaClock clock(seconds(1), minutes(5));

  clock.throttled(seconds(30), kStart, kStart);
  clock.throttled(seconds(5), kStart, kStart + seconds(1));

  EXPECT_EQ(clock.closed_until(), kStart + seconds(30));
}

TEST(QuotaClockTest, doubles_its_own_pause_once_a_round_until_there_is_an_answer) {
  QuotaClock clock(seconds(1), seconds(3));

  clock.throttled({}, kStart, kStart + milliseconds(100));
  clock.throttled({}, kStart, kStart + milliseconds(200));  // Sent before the first no came.
  EXPECT_EQ(clock.closed_until(), kStart + milliseconds(1200));

  clock.throttled({}, kStart + seconds(2), kStart + seconds(2));
  EXPECT_EQ(clock.closed_until(), kStart + seconds(4));
  clock.throttled(Duration{}, kStart + seconds(4), kStart + seconds(4));
  EXPECT_EQ(clock.closed_until(), kStart + seconds(7));  // Not 4 s: the longest.

  clock.answered(kStart + seconds(8));
  clock.throttled({}, kStart + seconds(9), kStart + seconds(9));
  EXPECT_EQ(clock.closed_until(), kStart + seconds(10));
}

TEST(QuotaClockTest, believes_a_provider_for_a_day_at_most) {
  QuotaClock clock(seconds(1), minutes(5));

  clock.closed_by(Duration::max(), kStart);

  EXPECT_EQ(clock.closed_until(), kStart + std::chrono::hours(24));
}

class BreakerTest : public testing::Test {
 protected:
  void fail_at(Instant at) { breaker.reported(Breaker::Sign::failed, at - milliseconds(1), at); }
  // A probe at `at` that fails within a second.
  void probe_and_fail(Instant at) {
    ASSERT_TRUE(breaker.may_pass(at));
    breaker.passed(0, at);
    breaker.reported(Breaker::Sign::failed, at, at + seconds(1));
  }

  Breaker breaker{{.failures_to_open = 3, .open_for = seconds(10), .open_longest = seconds(30)}};
};

TEST_F(BreakerTest, opens_after_failures_in_a_row_only) {
  fail_at(kStart);
  fail_at(kStart);
  breaker.reported(Breaker::Sign::alive, kStart, kStart);
  fail_at(kStart);
  fail_at(kStart);
  EXPECT_TRUE(breaker.may_pass(kStart));

  fail_at(kStart);

  EXPECT_FALSE(breaker.may_pass(kStart + seconds(10) - Duration(1)));
  EXPECT_TRUE(breaker.may_pass(kStart + seconds(10)));
}

TEST_F(BreakerTest, lets_one_probe_through_and_closes_when_it_is_answered) {
  for (int i = 0; i < 3; ++i) fail_at(kStart);
  const auto probed = kStart + seconds(10);

  breaker.passed(2, probed);
  EXPECT_FALSE(breaker.may_pass(probed + minutes(1)));
  // Those sent before say nothing of it.
  breaker.reported(Breaker::Sign::alive, kStart, probed + seconds(1));
  breaker.reported(Breaker::Sign::failed, kStart, probed + seconds(1));
  EXPECT_FALSE(breaker.may_pass(probed + minutes(1)));
  breaker.reported(Breaker::Sign::alive, probed, probed + seconds(2));

  EXPECT_TRUE(breaker.is_closed());
}

TEST_F(BreakerTest, waits_twice_as_long_after_each_failed_probe_up_to_its_longest) {
  for (int i = 0; i < 3; ++i) fail_at(kStart);

  probe_and_fail(kStart + seconds(10));
  EXPECT_EQ(breaker.open_until(), kStart + seconds(31));
  probe_and_fail(kStart + seconds(31));
  EXPECT_EQ(breaker.open_until(), kStart + seconds(62));
}

TEST_F(BreakerTest, probes_again_when_a_probe_was_stopped) {
  for (int i = 0; i < 3; ++i) fail_at(kStart);
  breaker.passed(0, kStart + seconds(10));

  breaker.reported(Breaker::Sign::nothing, kStart + seconds(10), kStart + seconds(11));

  EXPECT_TRUE(breaker.may_pass(kStart + seconds(11)));
  EXPECT_FALSE(breaker.is_closed());
}

TEST_F(BreakerTest, gets_over_a_report_with_a_wrong_time) {
  for (int i = 0; i < 3; ++i) fail_at(kStart);
  breaker.passed(1, kStart + seconds(10));

  breaker.reported(Breaker::Sign::alive, kStart, kStart + seconds(11));
  breaker.reported(Breaker::Sign::alive, kStart, kStart + seconds(12));  // The probe's, misdated.

  EXPECT_TRUE(breaker.is_closed());
}

// A provider that takes a second for each request up to `capacity` at once, then longer.
class AdaptiveLimitTest : public testing::Test {
 protected:
  // `rounds` times as many requests as may be under way, sent together and answered together.
  void run(int rounds, std::size_t capacity, Duration base = seconds(1)) {
    for (int round = 0; round < rounds; ++round) {
      const auto sent = limit.value();
      const auto took = base * static_cast<Duration::rep>(std::max(sent, capacity)) /
                        static_cast<Duration::rep>(capacity);
      limit.filled();
      const auto sent_at = now;
      now += took;
      for (std::size_t i = 0; i < sent; ++i) limit.took(took, sent_at, now);
      least = std::min(least, limit.value());
      most = std::max(most, limit.value());
    }
  }
  void watch() {
    least = 1000;
    most = 0;
  }

  Instant now = kStart;
  AdaptiveLimit limit{1, 8, 64};
  std::size_t least = 1000;
  std::size_t most = 0;
};

TEST_F(AdaptiveLimitTest, swings_between_what_the_provider_can_do_and_twice_that) {
  run(100, 16);
  watch();

  run(300, 16);

  EXPECT_GE(least, 14U);
  EXPECT_LE(most, 34U);
}

TEST_F(AdaptiveLimitTest, takes_slowness_that_halving_does_not_help_for_the_usual) {
  run(10, 1000);
  run(10, 1000, seconds(5));
  watch();

  run(20, 1000, seconds(5));

  EXPECT_GE(least, 8U);
  EXPECT_GE(most, 15U);
}

TEST_F(AdaptiveLimitTest, halves_at_most_once_a_round_trip) {
  limit.throttled(now, now + seconds(1));
  limit.throttled(now, now + seconds(1));
  EXPECT_EQ(limit.value(), 4U);

  limit.throttled(now + seconds(2), now + seconds(3));
  EXPECT_EQ(limit.value(), 2U);
}

TEST_F(AdaptiveLimitTest, does_not_grow_while_nobody_needs_it) {
  for (int i = 0; i < 1000; ++i) {
    limit.took(seconds(1), now, now + seconds(1));
    now += seconds(1);
  }

  EXPECT_EQ(limit.value(), 8U);
}

TEST_F(AdaptiveLimitTest, stays_between_its_least_and_its_most) {
  run(200, 1000);
  EXPECT_EQ(limit.value(), 64U);

  for (int i = 0; i < 20; ++i) {
    now += seconds(1);
    limit.throttled(now, now);
  }
  EXPECT_EQ(limit.value(), 1U);
}

TEST(RetryBudgetTest, allows_a_few_and_a_share_of_the_last_minute) {
  RetryBudget budget(0.1, 2);
  EXPECT_TRUE(budget.take_retry(kStart));
  EXPECT_TRUE(budget.take_retry(kStart));
  EXPECT_FALSE(budget.take_retry(kStart));

  for (int i = 0; i < 10; ++i) budget.asked(kStart + seconds(1));

  EXPECT_TRUE(budget.take_retry(kStart + seconds(2)));
  EXPECT_FALSE(budget.take_retry(kStart + seconds(2)));
}

TEST(RetryBudgetTest, forgets_after_a_minute) {
  RetryBudget budget(0.1, 1);
  EXPECT_TRUE(budget.take_retry(kStart));
  EXPECT_FALSE(budget.take_retry(kStart + seconds(59)));

  EXPECT_TRUE(budget.take_retry(kStart + seconds(60)));
}

}  // namespace
}  // namespace samtale

#include "lm/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "lm/testing/manual_clock.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr GateRequest kRequest{CompanyId{1}, Priority::normal, 100, {}, false};
const GateReport kAnswered{.fault = {}, .wait = {}, .hints = {}, .tokens = 100};

GateReport throttled(Duration wait) {
  return {.fault = ChatFault::throttled, .wait = wait, .hints = {}, .tokens = 0};
}

class GateTest : public testing::Test {
 protected:
  Result<> pass(Gate& gate, Duration patience = minutes(1)) {
    return gate.pass(kRequest, clock.now() + patience, {});
  }

  SimClock clock;
};

TEST_F(GateTest, lets_pass_at_once_when_nothing_is_in_the_way) {
  Gate gate({}, clock);
  const auto before = clock.now();

  ASSERT_TRUE(pass(gate));
  EXPECT_EQ(gate.stats().in_flight, 1U);
  gate.report(kRequest, kAnswered, seconds(1));

  EXPECT_EQ(clock.now(), before);
  EXPECT_EQ(gate.stats().in_flight, 0U);
  EXPECT_EQ(gate.stats().passed, 1U);
}

TEST_F(GateTest, waits_by_its_clock_until_the_rate_allows_it) {
  Gate gate({.requests_per_minute = 60, .concurrency_start = 64}, clock);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(pass(gate));  // Of ten, two are reserved.
  const auto before = clock.now();

  ASSERT_TRUE(pass(gate));

  EXPECT_GE(clock.now() - before, seconds(1));
  EXPECT_LT(clock.now() - before, seconds(1) + std::chrono::microseconds(1));
}

TEST_F(GateTest, sends_nothing_before_a_retry_after_ends) {
  Gate gate({}, clock);
  ASSERT_TRUE(pass(gate));
  gate.report(kRequest, throttled(seconds(30)), seconds(1));
  const auto before = clock.now();
  EXPECT_FALSE(gate.stats().is_open);

  ASSERT_TRUE(pass(gate));

  EXPECT_EQ(clock.now() - before, seconds(30));
}

TEST_F(GateTest, refuses_at_once_what_a_retry_after_keeps_back_past_its_deadline) {
  Gate gate({}, clock);
  ASSERT_TRUE(pass(gate));
  gate.report(kRequest, throttled(seconds(30)), seconds(1));
  const auto before = clock.now();

  const auto refused = pass(gate, seconds(30));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::deadline_exceeded);
  EXPECT_NE(refused.error().message.find("30 s"), std::string::npos) << refused.error().message;
  EXPECT_EQ(clock.now(), before);
  EXPECT_TRUE(gate.is_closed_until(before + seconds(30)));
  EXPECT_FALSE(gate.is_closed_until(before + seconds(31)));
}

TEST_F(GateTest, says_that_the_provider_is_away_while_the_breaker_is_open) {
  Gate gate({.failures_to_open = 1, .open_for = seconds(10)}, clock);
  ASSERT_TRUE(pass(gate));
  gate.report(kRequest, {.fault = ChatFault::away, .wait = {}, .hints = {}}, seconds(1));

  const auto refused = pass(gate, seconds(5));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(gate.is_closed_until(clock.now() + seconds(10)));
  EXPECT_TRUE(pass(gate, seconds(11))) << "then one may look";
}

TEST_F(GateTest, refuses_what_can_never_pass_naming_the_limit) {
  Gate gate({.tokens_per_minute = 99}, clock);

  const auto refused = pass(gate);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(refused.error().message.find("99"), std::string::npos);
  EXPECT_EQ(gate.stats().refused, 1U);
}

TEST_F(GateTest, refuses_retries_past_their_budget) {
  Gate gate({.retry_share = 0.1, .retries_min = 1}, clock);
  auto retry = kRequest;
  retry.is_retry = true;
  ASSERT_TRUE(gate.pass(retry, clock.now() + seconds(1), {}));

  const auto refused = gate.pass(retry, clock.now() + seconds(1), {});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
}

TEST_F(GateTest, learns_the_limits_from_the_provider) {
  Gate gate({.concurrency_start = 64}, clock);
  ASSERT_TRUE(pass(gate));
  auto told = kAnswered;
  told.hints = {.requests_per_minute = 60, .requests_left = 2};
  gate.report(kRequest, told, seconds(1));
  const auto before = clock.now();

  ASSERT_TRUE(pass(gate));

  EXPECT_GT(clock.now(), before) << "the two that are left are reserved";
}

TEST_F(GateTest, keeps_with_others_to_one_rate) {
  int passed = 0;
  for (const double part : {0.75, 0.25}) {
    SimClock same_minute;
    Gate gate({.requests_per_minute = 60, .concurrency_start = 64}, same_minute);
    gate.share(part, {});
    const auto end = same_minute.now() + minutes(1);
    while (same_minute.now() < end && gate.pass(kRequest, end, {})) {
      gate.report(kRequest, kAnswered, {});
      ++passed;
    }
  }
  EXPECT_LE(passed, 60 + 10) << "rate and burst";
  EXPECT_GE(passed, 60);
}

TEST_F(GateTest, sends_nothing_before_the_end_of_a_retry_after_that_another_was_told) {
  Gate gate({}, clock);
  const auto end = clock.now() + seconds(30);

  gate.share(1, end);

  EXPECT_EQ(gate.stats().closed_until, end);
  ASSERT_TRUE(pass(gate));
  EXPECT_EQ(clock.now(), end);
}

TEST_F(GateTest, tells_how_much_of_the_rate_it_could_use) {
  Gate gate({.tokens_per_minute = 6'000}, clock);

  ASSERT_TRUE(pass(gate));
  ASSERT_TRUE(pass(gate));

  EXPECT_EQ(gate.stats().tokens_passed, 200);
  EXPECT_EQ(gate.stats().tokens_waiting, 0);
}

TEST_F(GateTest, ends_at_the_deadline_when_no_place_becomes_free) {
  Gate gate({.concurrency_min = 1, .concurrency_start = 1, .concurrency_max = 1}, clock);
  ASSERT_TRUE(pass(gate));
  const auto before = clock.now();

  const auto refused = pass(gate, seconds(3));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(clock.now() - before, seconds(3));
  EXPECT_EQ(gate.stats().waiting, 0U);
}

// The clock is moved by hand: who is not woken waits for ever.
class GateThreadsTest : public testing::Test {
 protected:
  // A thread that waits to pass, and what came of it.
  struct Waiter {
    std::optional<Result<>> outcome;
    std::stop_source stop;
    std::jthread thread;
  };
  std::unique_ptr<Waiter> wait(Gate& gate) {
    auto waiter = std::make_unique<Waiter>();
    waiter->thread = std::jthread([&gate, this, waiter = waiter.get()] {
      waiter->outcome = gate.pass(kRequest, Instant::max(), waiter->stop.get_token());
    });
    return waiter;
  }

  ManualClock clock;
};

TEST_F(GateThreadsTest, wakes_who_waits_as_soon_as_a_place_is_free) {
  Gate gate({.concurrency_min = 1, .concurrency_start = 1, .concurrency_max = 1}, clock);
  ASSERT_TRUE(gate.pass(kRequest, Instant::max(), {}));
  const auto waiter = wait(gate);
  clock.wait_for_sleepers(1);

  gate.report(kRequest, kAnswered, seconds(1));
  waiter->thread.join();

  EXPECT_TRUE(*waiter->outcome);
}

TEST_F(GateThreadsTest, ends_a_wait_that_is_stopped) {
  Gate gate({.concurrency_min = 1, .concurrency_start = 1, .concurrency_max = 1}, clock);
  ASSERT_TRUE(gate.pass(kRequest, Instant::max(), {}));
  const auto waiter = wait(gate);
  clock.wait_for_sleepers(1);

  waiter->stop.request_stop();
  waiter->thread.join();

  EXPECT_EQ(waiter->outcome->error().code, ErrorCode::unavailable);
  EXPECT_EQ(gate.stats().waiting, 0U);
}

TEST_F(GateThreadsTest, keeps_watch_over_the_time_though_the_one_who_did_leaves) {
  Gate gate({.requests_per_minute = 60, .concurrency_start = 64}, clock);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(gate.pass(kRequest, Instant::max(), {}));
  const auto keeper = wait(gate);
  clock.wait_for_sleepers(1);
  const auto other = wait(gate);
  clock.wait_for_sleepers(2);

  keeper->stop.request_stop();
  keeper->thread.join();
  clock.wait_for_sleepers(1);
  clock.advance(seconds(2));
  other->thread.join();

  EXPECT_TRUE(*other->outcome);
}

TEST_F(GateThreadsTest, wakes_one_after_another_as_time_goes_on) {
  Gate gate({.requests_per_minute = 60, .concurrency_start = 64}, clock);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(gate.pass(kRequest, Instant::max(), {}));
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (std::size_t i = 0; i < 5; ++i) waiters.push_back(wait(gate));
  clock.wait_for_sleepers(5);

  for (std::size_t left = 5; left-- > 0;) {
    clock.advance(seconds(1) + std::chrono::microseconds(1));
    clock.wait_for_sleepers(left);
  }
  for (const auto& waiter : waiters) waiter->thread.join();

  for (const auto& waiter : waiters) EXPECT_TRUE(*waiter->outcome);
}

TEST(GateStressTest, leaks_nothing_and_keeps_the_limit_among_many_threads) {
  constexpr std::size_t kLimit = 4;
  SystemClock clock;
  Gate gate({.concurrency_min = kLimit,
             .concurrency_start = kLimit,
             .concurrency_max = kLimit,
             .critical_share = 0,
             .failures_to_open = 1'000'000},
            clock);
  std::atomic<std::size_t> under_way = 0;
  std::atomic<std::size_t> most = 0;
  std::atomic<std::uint64_t> passed = 0;
  std::stop_source stop;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 16; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 300; ++i) {
          const GateRequest request{
              CompanyId{thread % 3}, static_cast<Priority>(i % 3), 10, {}, false};
          const auto patience = std::chrono::microseconds(i % 7 == 0 ? 50 : 10'000'000);
          if (!gate.pass(request, clock.now() + patience, stop.get_token())) continue;
          ++passed;
          const auto now = ++under_way;
          auto seen = most.load();
          while (seen < now && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::yield();
          --under_way;
          gate.report(request, kAnswered, std::chrono::microseconds(1));
          if (thread == 0 && i == 250) stop.request_stop();
        }
      });
    }
  }

  const auto stats = gate.stats();
  EXPECT_LE(most, kLimit);
  EXPECT_EQ(stats.waiting, 0U);
  EXPECT_EQ(stats.in_flight, 0U);
  EXPECT_EQ(stats.passed, passed);
  EXPECT_EQ(stats.passed + stats.refused, 16U * 300U);
}

}  // namespace
}  // namespace samtale

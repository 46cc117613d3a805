// Goal: what may pass is tried again within what deadline, gate and budget allow, and each try is
// paid for once. Method: the scheduler on a clock that sleeping moves; hedges on one that a test
// moves.
#include "lm/sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "lm/testing/manual_clock.h"
#include "lm/testing/scheduler_world.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;
using ::testing::HasSubstr;

const json::Value kYes = json::Object{{"say", "yes"}};

class SenderTest : public testing::Test, protected SchedulerWorld<SimClock> {
 protected:
  // Answers, and writes down when it was asked.
  FakeChatModel::Script timed(ChatOutcome outcome) {
    return [this, outcome](const ChatRequest& request, Instant, const auto&) {
      asked_at.push_back(clock.now());
      return outcome.answer ? FakeChatModel::good(request) : outcome;
    };
  }

  std::vector<Instant> asked_at;
};

TEST_F(SenderTest, tries_again_what_may_pass) {
  model().then_fault(ChatFault::away, ErrorCode::unavailable);
  model().then_fault(ChatFault::broken, ErrorCode::unavailable);
  model().then_fault(ChatFault::late, ErrorCode::deadline_exceeded);

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 4);
  EXPECT_EQ(metric("samtale_lm_requests_total{outcome=\"broken\",provider=\"fake\"}"), 1);
}

TEST_F(SenderTest, counts_answers_that_name_another_model) {
  const std::string counter = "samtale_lm_other_model_total{provider=\"fake\"}";
  EXPECT_EQ(run(task()).answer, kYes);
  EXPECT_EQ(metric(counter), 0);

  auto asked = task();
  asked.request.model = "fake-2";
  EXPECT_EQ(run(asked).answer, kYes);

  EXPECT_EQ(metric(counter), 1);
}

TEST_F(SenderTest, gives_up_after_so_many_tries) {
  for (int i = 0; i < 9; ++i) model().then_fault(ChatFault::away, ErrorCode::unavailable);

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::unavailable);
  EXPECT_EQ(outcome.requests, 4);
  EXPECT_EQ(metric("samtale_lm_refused_total{why=\"away\"}"), 1);
}

TEST_F(SenderTest, sends_nothing_inside_a_retry_after) {
  const auto throttled =
      FakeChatModel::fault(ChatFault::throttled, ErrorCode::resource_exhausted, 20s);
  model().then(timed(throttled));
  model().then(timed(FakeChatModel::answer("")));

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  ASSERT_EQ(asked_at.size(), 2U);
  EXPECT_GE(asked_at[1] - asked_at[0], 20s);
}

TEST_F(SenderTest, asks_another_account_instead_of_waiting_long) {
  auto& second = add_account("second");
  model().then_fault(ChatFault::throttled, ErrorCode::resource_exhausted, 2min);
  const auto started = clock.now();

  EXPECT_EQ(run(task("one")).answer, kYes);
  EXPECT_EQ(run(task("two")).answer, kYes);

  EXPECT_LT(clock.now() - started, 5s);
  EXPECT_EQ(model().requests().size(), 1U);
  EXPECT_EQ(second.requests().size(), 2U);
}

TEST_F(SenderTest, ends_where_a_retry_after_ends_past_the_deadline) {
  model().then_fault(ChatFault::throttled, ErrorCode::resource_exhausted, 2min);
  const auto started = clock.now();

  const auto outcome = run(task(), 60s);

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::unavailable);
  EXPECT_EQ(outcome.requests, 1);
  EXPECT_LT(clock.now() - started, 60s);
}

TEST_F(SenderTest, sends_nothing_after_the_deadline) {
  const auto outcome = run(task(), 0s);

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(model().requests().empty());
  EXPECT_EQ(metric("samtale_lm_refused_total{why=\"late\"}"), 1);
}

TEST_F(SenderTest, passes_the_deadline_down_and_no_call_takes_longer_than_its_time) {
  options.call_timeout = 30s;
  Duration first{};
  Duration second{};
  model().then([&](const auto&, Instant deadline, const auto&) {
    first = deadline - clock.now();
    clock.advance(first);
    return FakeChatModel::fault(ChatFault::late, ErrorCode::deadline_exceeded);
  });
  model().then([&](const auto&, Instant deadline, const auto&) {
    second = deadline - clock.now();
    clock.advance(second);
    return FakeChatModel::fault(ChatFault::late, ErrorCode::deadline_exceeded);
  });

  const auto outcome = run(task(), 45s);

  EXPECT_EQ(first, 30s);
  EXPECT_LE(second, 15s);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(outcome.requests, 2);
}

TEST_F(SenderTest, sends_nothing_once_stopped) {
  std::stop_source stop;
  stop.request_stop();

  const auto outcome = run(task(), 1min, stop.get_token());

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(model().requests().empty());
}

TEST_F(SenderTest, says_that_the_budget_is_spent_and_sends_nothing) {
  limits.company.tokens_per_day = 150;

  const auto outcome = run(task(std::string(600, 'x')));

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(outcome.spend.empty());
  EXPECT_TRUE(model().requests().empty());
  EXPECT_EQ(metric("samtale_lm_refused_total{why=\"budget\"}"), 1);
}

TEST_F(SenderTest, has_the_budget_again_of_what_cannot_have_cost) {
  limits.company.tokens_per_day = 300;
  for (int i = 0; i < 3; ++i) {
    model().then_fault(ChatFault::throttled, ErrorCode::resource_exhausted, 1s);
  }

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes) << outcome.answer.error().message;
  EXPECT_EQ(sum(outcome).tokens, 120);
}

TEST_F(SenderTest, pays_the_input_of_what_may_have_cost) {
  model().then_fault(ChatFault::away, ErrorCode::unavailable, {}, true);
  std::int64_t estimate = 0;
  model().then([&](const ChatRequest& request, Instant, const auto&) {
    estimate = estimate_input_tokens(request);
    return FakeChatModel::good(request);
  });

  const auto outcome = run(task());

  ASSERT_EQ(outcome.spend.size(), 1U);
  EXPECT_EQ(sum(outcome), (Spend{.tokens = 120 + estimate, .micro_usd = 140 + estimate}));
  EXPECT_EQ(outcome.spend[0].requests, 2);
  EXPECT_EQ(outcome.usage.input, 100 + estimate);
}

TEST_F(SenderTest, books_on_each_analyzer_in_equal_shares) {
  auto shared = task();
  shared.analyzers = {"summary", "topics", "intent"};
  model().then([](const ChatRequest& request, Instant, const auto&) {
    auto good = FakeChatModel::good(request);
    good.answer->usage = {.input = 100, .output = 1};
    return good;
  });

  const auto outcome = run(shared);

  ASSERT_EQ(outcome.spend.size(), 3U);
  EXPECT_EQ(outcome.spend[0].spent, (Spend{.tokens = 34, .micro_usd = 34}));
  EXPECT_EQ(outcome.spend[1].spent, (Spend{.tokens = 34, .micro_usd = 34}));
  EXPECT_EQ(outcome.spend[2].analyzer, "intent");
  EXPECT_EQ(outcome.spend[2].spent, (Spend{.tokens = 33, .micro_usd = 34}));
}

class HedgeTest : public testing::Test, protected SchedulerWorld<ManualClock> {
 protected:
  HedgeTest() { options.hedge_share = 1; }

  static LmTask critical(const std::string& question) {
    auto out = task(question);
    out.priority = Priority::critical;
    return out;
  }
  // So that the account is known to answer within 100 ms.
  void warm_up() {
    for (int i = 0; i < 30; ++i) {
      model().then([this](const ChatRequest& request, Instant, const auto&) {
        clock.advance(100ms);
        return FakeChatModel::good(request);
      });
      EXPECT_TRUE(run(task(std::to_string(i))).answer);
    }
  }
  [[nodiscard]] std::size_t sent() { return model().requests().size(); }
};

TEST_F(HedgeTest, sends_a_critical_request_again_that_takes_longer_than_most) {
  warm_up();
  const auto before = sent();
  model().then_hang();
  LmOutcome outcome;
  std::jthread caller([&] { outcome = run(critical("slow")); });
  model().wait_for_requests(before + 1);
  clock.wait_for_sleepers(1);

  clock.advance(100ms);
  caller.join();

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 2);
  EXPECT_NE(model().requests().at(before).idempotency_key,
            model().requests().at(before + 1).idempotency_key);
  EXPECT_GT(sum(outcome).tokens, 120) << "the input of the first is paid too";
  EXPECT_EQ(metric("samtale_lm_hedges_total"), 1);
  EXPECT_EQ(metric("samtale_lm_requests_total{outcome=\"stopped\",provider=\"fake\"}"), 1);
  EXPECT_EQ(gate().stats().in_flight, 0U);
}

TEST_F(HedgeTest, takes_the_first_answer_and_stops_the_second) {
  warm_up();
  const auto before = sent();
  std::stop_source answer_now;
  model().then([&](const ChatRequest& request, Instant, const auto&) {
    clock.sleep_for(1min, answer_now.get_token());
    return FakeChatModel::good(request);
  });
  model().then_hang();
  LmOutcome outcome;
  std::jthread caller([&] { outcome = run(critical("slow")); });
  clock.wait_for_sleepers(2);
  clock.advance(100ms);
  model().wait_for_requests(before + 2);

  answer_now.request_stop();
  caller.join();

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 2);
  EXPECT_EQ(gate().stats().in_flight, 0U);
}

TEST_F(HedgeTest, stops_both_with_their_caller) {
  warm_up();
  const auto before = sent();
  model().then_hang();
  model().then_hang();
  std::stop_source stop;
  LmOutcome outcome;
  std::jthread caller([&] { outcome = run(critical("slow"), 10min, stop.get_token()); });
  model().wait_for_requests(before + 1);
  clock.wait_for_sleepers(1);
  clock.advance(100ms);
  model().wait_for_requests(before + 2);

  stop.request_stop();
  caller.join();

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::unavailable);
  EXPECT_EQ(outcome.requests, 2);
}

TEST_F(HedgeTest, sends_nothing_twice_that_is_not_critical) {
  warm_up();
  model().then([this](const ChatRequest& request, Instant, const auto&) {
    clock.advance(10s);
    return FakeChatModel::good(request);
  });

  EXPECT_EQ(run(task("slow")).requests, 1);
  EXPECT_EQ(metric("samtale_lm_hedges_total"), 0);
}

TEST_F(HedgeTest, sends_no_larger_share_twice_than_it_may) {
  options.hedge_share = 0.5;
  warm_up();

  for (int i = 0; i < 10; ++i) {
    model().then([this](const ChatRequest& request, Instant, const std::stop_token& stop) {
      clock.sleep_for(1min, stop);
      if (!stop.stop_requested()) return FakeChatModel::good(request);
      return FakeChatModel::fault(ChatFault::stopped, ErrorCode::unavailable);
    });
    LmOutcome outcome;
    std::jthread caller([&] { outcome = run(critical("slow " + std::to_string(i))); });
    clock.wait_for_sleepers(2);
    clock.advance(100ms);
    if (i % 2 == 0) clock.advance(1min);  // Half a hedge is saved: the first answers.
    caller.join();
    EXPECT_EQ(outcome.answer, kYes);
  }

  EXPECT_EQ(metric("samtale_lm_hedges_total"), 5);
}

}  // namespace
}  // namespace samtale

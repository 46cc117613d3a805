// Goal: the fewest requests: identical tasks are asked once, those of another company apart.
// Method: threads before a scripted model that answers when the test lets it.
#include "lm/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "lm/testing/manual_clock.h"
#include "lm/testing/scheduler_world.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""min;
using ::testing::HasSubstr;

const json::Value kYes = json::Object{{"say", "yes"}};

class LmSchedulerTest : public testing::Test, protected SchedulerWorld<ManualClock> {
 protected:
  // The next request is answered when `answer_now` is stopped.
  void then_wait() {
    model().then([this](const ChatRequest& request, Instant, const std::stop_token& stop) {
      const std::stop_callback on_stop(stop, [this] { answer_now.request_stop(); });
      clock.sleep_for(60min, answer_now.get_token());
      if (!stop.stop_requested()) return FakeChatModel::good(request);
      return FakeChatModel::fault(ChatFault::stopped, ErrorCode::unavailable, {}, true);
    });
  }

  std::stop_source answer_now;
};

TEST_F(LmSchedulerTest, asks_once_for_a_hundred_identical_tasks) {
  constexpr std::size_t kTasks = 100;
  then_wait();
  std::vector<LmOutcome> outcomes(kTasks);
  std::vector<std::jthread> callers;
  for (auto& outcome : outcomes) {
    callers.emplace_back([&] { outcome = run(task()); });
  }
  clock.wait_for_sleepers(kTasks);

  answer_now.request_stop();
  for (auto& caller : callers) caller.join();

  EXPECT_EQ(model().requests().size(), 1U);
  std::size_t paid = 0;
  for (const auto& outcome : outcomes) {
    EXPECT_EQ(outcome.answer, kYes);
    EXPECT_EQ(outcome.model, "fake-1");
    paid += outcome.spend.size();
    EXPECT_EQ(outcome.is_shared, outcome.spend.empty());
  }
  EXPECT_EQ(paid, 1U);
  EXPECT_EQ(metric("samtale_lm_shared_total{how=\"joined\"}"), 99);
}

TEST_F(LmSchedulerTest, remembers_an_answer_for_a_while) {
  EXPECT_FALSE(run(task()).is_shared);

  const auto again = run(task());
  EXPECT_EQ(again.answer, kYes);
  EXPECT_TRUE(again.is_shared);
  EXPECT_TRUE(again.spend.empty());
  EXPECT_FALSE(run(task("Something else?")).is_shared);
  clock.advance(10min);
  EXPECT_FALSE(run(task()).is_shared);

  EXPECT_EQ(metric("samtale_lm_shared_total{how=\"remembered\"}"), 1);
}

TEST_F(LmSchedulerTest, remembers_no_failure) {
  model().then_text("", Finish::content_filter);

  EXPECT_FALSE(run(task()).answer);

  EXPECT_EQ(run(task()).answer, kYes);
}

TEST_F(LmSchedulerTest, asks_apart_for_two_companies_with_the_same_request) {
  auto ours = task();
  auto theirs = task();
  theirs.company = CompanyId{8};

  EXPECT_FALSE(run(ours).is_shared);
  EXPECT_FALSE(run(theirs).is_shared);

  EXPECT_NE(task_key(ours, "fake-1"), task_key(theirs, "fake-1"));
  const auto requests = model().requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_NE(FakeChatModel::nonce_of(requests[0]), FakeChatModel::nonce_of(requests[1]));
  EXPECT_NE(requests[0].idempotency_key, requests[1].idempotency_key);
}

TEST_F(LmSchedulerTest, knows_a_task_by_all_that_changes_its_answer) {
  const auto key = task_key(task(), "fake-1");
  auto other_model = task();
  other_model.request.model = "other";
  auto other_schema = task();
  auto titled = other_schema.request.schema.value();
  titled.set("title", "other");
  other_schema.request.schema = std::move(titled);
  auto other_limit = task();
  other_limit.request.output_tokens_max = 101;
  auto moved = task();  // The same bytes, cut elsewhere.
  moved.request.messages = {{"system", "You read conversations.4"}, {"user", "What is it about?"}};
  auto other_analyzer = task();
  other_analyzer.analyzers = {"topics"};

  EXPECT_NE(task_key(other_model, "fake-1"), key);
  EXPECT_NE(task_key(task(), "fake-2"), key) << "the default model is a model too";
  EXPECT_EQ(task_key(other_model, "fake-2"), task_key(other_model, "fake-1"));
  EXPECT_NE(task_key(other_schema, "fake-1"), key);
  EXPECT_NE(task_key(other_limit, "fake-1"), key);
  EXPECT_NE(task_key(moved, "fake-1"), key);
  EXPECT_NE(task_key(task("What is it about? "), "fake-1"), key);
  EXPECT_EQ(task_key(other_analyzer, "fake-1"), key) << "who pays changes no answer";
  EXPECT_EQ(answer_nonce(key).size(), 32U);
}

TEST_F(LmSchedulerTest, asks_for_the_nonce_in_the_last_line_of_the_last_message) {
  ASSERT_TRUE(run(task()).answer);

  const auto request = model().requests().at(0);

  EXPECT_THAT(request.messages.back().content, testing::StartsWith("What is it about?\n"));
  EXPECT_THAT(request.messages.back().content,
              testing::EndsWith("\nNonce: " + answer_nonce(task_key(task(), "fake-1"))));
}

TEST_F(LmSchedulerTest, lets_a_joiner_take_over_when_the_leader_is_stopped) {
  then_wait();
  std::stop_source stop;
  LmOutcome led;
  LmOutcome joined;
  std::jthread leader([&] { led = run(task(), 10min, stop.get_token()); });
  clock.wait_for_sleepers(1);
  std::jthread joiner([&] { joined = run(task()); });
  clock.wait_for_sleepers(2);

  stop.request_stop();
  leader.join();
  joiner.join();

  EXPECT_EQ(led.answer.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(led.spend.empty()) << "who asked pays";
  EXPECT_EQ(joined.answer, kYes);
  EXPECT_FALSE(joined.is_shared);
  EXPECT_EQ(model().requests().size(), 2U);
}

TEST_F(LmSchedulerTest, gives_joiners_the_leaders_failure_where_it_would_be_theirs) {
  then_wait();
  model().then_text("nothing");
  LmOutcome joined;
  auto broken = task();
  broken.check = [](const json::Value&) -> Result<> {
    return fail(ErrorCode::invalid_argument, "never good");
  };
  std::jthread leader([&] { EXPECT_FALSE(run(broken).answer); });
  clock.wait_for_sleepers(1);
  std::jthread joiner([&] { joined = run(broken); });
  clock.wait_for_sleepers(2);

  answer_now.request_stop();
  leader.join();
  joiner.join();

  EXPECT_EQ(joined.answer.error().code, ErrorCode::corrupt);
  EXPECT_TRUE(joined.is_shared);
  EXPECT_EQ(model().requests().size(), 2U);
}

TEST_F(LmSchedulerTest, lets_a_joiner_leave_at_its_deadline_without_ending_the_leader) {
  then_wait();
  LmOutcome led;
  LmOutcome joined;
  std::jthread leader([&] { led = run(task(), 20min); });
  clock.wait_for_sleepers(1);
  std::jthread joiner([&] { joined = run(task(), 1min); });
  clock.wait_for_sleepers(2);

  clock.advance(1min);
  joiner.join();
  answer_now.request_stop();
  leader.join();

  EXPECT_EQ(joined.answer.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(led.answer, kYes);
}

TEST_F(LmSchedulerTest, asks_anew_after_it_forgot_a_company) {
  auto theirs = task();
  theirs.company = CompanyId{8};
  EXPECT_FALSE(run(task()).is_shared);
  EXPECT_FALSE(run(theirs).is_shared);

  scheduler().forget(kCompany);

  EXPECT_FALSE(run(task()).is_shared);
  EXPECT_TRUE(run(theirs).is_shared);
}

TEST_F(LmSchedulerTest, lets_a_joiner_ask_whose_own_check_throws_nothing) {
  then_wait();
  auto throwing = task();
  throwing.check = [](const json::Value&) -> Result<> { throw std::runtime_error("broken check"); };
  LmOutcome joined;
  std::jthread leader([&] { EXPECT_THROW(static_cast<void>(run(throwing)), std::runtime_error); });
  clock.wait_for_sleepers(1);
  std::jthread joiner([&] { joined = run(task()); });
  clock.wait_for_sleepers(2);

  answer_now.request_stop();
  leader.join();
  joiner.join();

  EXPECT_EQ(joined.answer, kYes);
}

}  // namespace
}  // namespace samtale

// Goal: an answer is one that can be believed, and where there is none the outcome says each rung.
// Method: the scheduler with one thread, on a clock that sleeping moves.
#include "lm/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lm/testing/scheduler_world.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;
using ::testing::HasSubstr;

const json::Value kYes = json::Object{{"say", "yes"}};

class LadderTest : public testing::Test, protected SchedulerWorld<SimClock> {
 protected:
  static FakeChatModel::Script says(const std::string& text) {
    return [text](const ChatRequest& request, Instant, const auto&) {
      auto said = text;
      const auto at = said.find("NONCE");
      if (at != std::string::npos) said.replace(at, 5, FakeChatModel::nonce_of(request));
      return FakeChatModel::answer(said);
    };
  }
};

TEST_F(LadderTest, takes_a_good_answer_without_its_nonce) {
  const auto outcome = run(task());

  ASSERT_TRUE(outcome.answer) << outcome.answer.error().message;
  EXPECT_EQ(*outcome.answer, kYes);
  EXPECT_EQ(outcome.model, "fake-1");
  EXPECT_EQ(outcome.requests, 1);
  EXPECT_FALSE(outcome.is_shared);
  EXPECT_EQ(outcome.usage, (TokenUsage{.input = 100, .output = 20}));
  EXPECT_EQ(sum(outcome), (Spend{.tokens = 120, .micro_usd = 140}));
  EXPECT_EQ(metric("samtale_lm_requests_total{outcome=\"answer\",provider=\"fake\"}"), 1);
  EXPECT_EQ(metric("samtale_lm_tokens_total{direction=\"output\"}"), 20);
  EXPECT_EQ(metric("samtale_lm_cost_micro_usd_total"), 140);
}

TEST_F(LadderTest, repairs_the_text_without_asking_again) {
  model().then(says("Sure!\n```json\n{'nonce': 'NONCE', say: \"yes\",}\n```"));

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 1);
  EXPECT_EQ(metric("samtale_lm_repairs_total{rung=\"text\"}"), 1);
}

TEST_F(LadderTest, gives_a_longer_limit_to_what_was_cut_and_never_the_same_twice) {
  options.output_tokens_max = 350;
  for (int i = 0; i < 3; ++i) model().then_text("{\"nonce\": \"", Finish::length);

  const auto outcome = run(task());

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::corrupt);
  EXPECT_THAT(outcome.answer.error().message, HasSubstr("longer than 100 tokens"));
  EXPECT_THAT(outcome.answer.error().message, HasSubstr("longer than 350 tokens"));
  std::vector<std::size_t> asked;
  for (const auto& request : model().requests()) asked.push_back(request.output_tokens_max);
  EXPECT_EQ(asked, (std::vector<std::size_t>{100, 200, 350}));
}

TEST_F(LadderTest, never_takes_a_cut_answer_though_it_is_whole_json) {
  model().then([](const ChatRequest& request, Instant, const auto&) {
    auto good = FakeChatModel::good(request, {{"say", "cut"}});
    good.answer->finish = Finish::length;
    return good;
  });

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 2);
}

TEST_F(LadderTest, asks_once_more_and_says_what_is_wrong) {
  model().then(says(R"({"nonce": "NONCE", "say": 7, "more": 1})"));

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  const auto messages = model().requests().at(1).messages;
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[2].role, "assistant");
  EXPECT_THAT(messages[2].content, HasSubstr("\"say\": 7"));
  EXPECT_EQ(messages[3].role, "user");
  EXPECT_THAT(messages[3].content, HasSubstr("/say: must be string, is integer"));
  EXPECT_THAT(messages[3].content, HasSubstr("/more: is not allowed"));
  EXPECT_EQ(metric("samtale_lm_repairs_total{rung=\"prompt\"}"), 1);
}

TEST_F(LadderTest, tells_the_model_what_the_tasks_own_check_says) {
  auto checked = task();
  checked.check = [](const json::Value& value) -> Result<> {
    if (value == kYes) return {};
    return fail(ErrorCode::invalid_argument, "turn 99 does not exist");
  };
  model().then(says(R"({"nonce": "NONCE", "say": "turn 99"})"));

  const auto outcome = run(checked);

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_THAT(model().requests().at(1).messages.back().content,
              HasSubstr("turn 99 does not exist"));
}

TEST_F(LadderTest, bounds_what_it_shows_of_a_bad_answer) {
  model().then(says("{\"nonce\": \"NONCE\", \"say\": \"" + std::string(2'000'000, 'x')));

  EXPECT_EQ(run(task()).answer, kYes);

  EXPECT_LT(model().requests().at(1).messages.at(2).content.size(), 10'000U);
}

TEST_F(LadderTest, shows_nobody_an_answer_without_the_nonce) {
  const std::string others = "their customer's secret";
  model().then(says(R"({"nonce": "00112233445566778899aabbccddeeff", "say": ")" + others + "\"}"));
  model().then(says(R"({"say": ")" + others + "\"}"));

  const auto outcome = run(task());

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::corrupt);
  EXPECT_THAT(outcome.answer.error().message, HasSubstr("nonce"));
  EXPECT_THAT(outcome.answer.error().message, Not(HasSubstr(others)));
  for (const auto& request : model().requests()) {
    for (const auto& message : request.messages) {
      EXPECT_THAT(message.content, Not(HasSubstr(others)));
    }
  }
}

TEST_F(LadderTest, does_not_take_a_nonce_that_stands_elsewhere_in_the_answer) {
  for (int i = 0; i < 2; ++i) model().then(says(R"({"nonce": "other", "say": "NONCE"})"));

  const auto outcome = run(task());

  ASSERT_FALSE(outcome.answer);
  EXPECT_THAT(outcome.answer.error().message, HasSubstr("\"nonce\" is not the one"));
}

TEST_F(LadderTest, goes_to_the_next_account_and_says_each_rung_at_the_end) {
  auto& second = add_account("second");
  for (int i = 0; i < 2; ++i) {
    model().then(says("NONCE nothing"));
    second.then(says(R"({"nonce": "NONCE"})"));
  }

  const auto outcome = run(task());

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::corrupt);
  EXPECT_EQ(
      outcome.answer.error().message,
      "failed with cause: fake: it is not JSON: no JSON object and no array is in it; "
      "fake: after a repair prompt, it is not JSON: no JSON object and no array is in it; "
      "second: it does not fit the schema: (whole): \"say\" is missing; "
      "second: after a repair prompt, it does not fit the schema: (whole): \"say\" is missing");
  EXPECT_EQ(outcome.requests, 4);
  EXPECT_EQ(sum(outcome).tokens, 4 * 120);
  EXPECT_EQ(metric("samtale_lm_repairs_total{rung=\"account\"}"), 1);
  EXPECT_EQ(metric("samtale_lm_refused_total{why=\"broken\"}"), 1);
}

TEST_F(LadderTest, takes_the_next_accounts_answer) {
  add_account("second");
  for (int i = 0; i < 2; ++i) model().then(says("nothing"));

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 3);
}

TEST_F(LadderTest, can_be_tried_again_later_where_an_account_was_away) {
  auto& second = add_account("second");
  for (int i = 0; i < 2; ++i) model().then(says("nothing"));
  for (int i = 0; i < 4; ++i) second.then_fault(ChatFault::away, ErrorCode::unavailable);

  const auto outcome = run(task());

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::unavailable);
}

TEST_F(LadderTest, ends_where_the_content_filter_stops_it) {
  add_account("second");
  model().then_text("", Finish::content_filter);

  const auto outcome = run(task());

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(outcome.answer.error().message, HasSubstr("content_filter"));
  EXPECT_EQ(outcome.requests, 1);
  EXPECT_EQ(sum(outcome).tokens, 120);
}

TEST_F(LadderTest, ends_where_a_request_is_refused_for_what_it_is) {
  add_account("second");
  model().then_fault(ChatFault::refused, ErrorCode::invalid_argument);

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(outcome.requests, 1);
  EXPECT_TRUE(outcome.spend.empty());
}

TEST_F(LadderTest, goes_to_the_next_account_where_a_key_or_a_model_is_refused) {
  add_account("second");
  model().then_fault(ChatFault::refused, ErrorCode::unavailable);

  const auto outcome = run(task());

  EXPECT_EQ(outcome.answer, kYes);
  EXPECT_EQ(outcome.requests, 2);
}

TEST_F(LadderTest, refuses_a_schema_that_cannot_be_checked) {
  auto odd = task();
  auto schema = odd.request.schema.value();
  schema.set("oneOf", json::Array{});
  odd.request.schema = std::move(schema);

  const auto outcome = run(odd);

  EXPECT_EQ(outcome.answer.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(model().requests().empty());
}

TEST_F(LadderTest, gives_each_rung_a_key_of_its_own_and_each_try_of_a_rung_the_same) {
  add_account("second");
  model().then_fault(ChatFault::away, ErrorCode::unavailable);
  model().then_text("", Finish::length);
  model().then(says("nothing"));
  model().then(says("nothing"));

  EXPECT_EQ(run(task()).answer, kYes);

  std::vector<std::string> keys;
  for (const auto& request : model(0).requests()) keys.push_back(request.idempotency_key);
  for (const auto& request : model(1).requests()) keys.push_back(request.idempotency_key);
  ASSERT_EQ(keys.size(), 5U);
  EXPECT_EQ(keys[0], keys[1]);
  EXPECT_EQ(std::set(keys.begin(), keys.end()).size(), 4U);
}

TEST_F(LadderTest, judges_answers_that_came_another_way_by_the_same_proofs) {
  const auto key = scheduler().key_of(task());
  const auto asked = with_nonce(task().request, answer_nonce(key));

  const auto good = judge_answer(task(), key, *FakeChatModel::good(asked).answer);
  auto cut = *FakeChatModel::good(asked).answer;
  cut.finish = Finish::length;
  const auto swapped = FakeChatModel::good({.messages = {{"user", "Nonce: another"}}});

  EXPECT_EQ(good, kYes);
  EXPECT_EQ(judge_answer(task(), key, cut).error().code, ErrorCode::corrupt);
  EXPECT_EQ(judge_answer(task(), key, *swapped.answer).error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace samtale

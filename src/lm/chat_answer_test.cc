#include "lm/chat_answer.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

constexpr std::size_t kBytesMax = 100'000;
constexpr std::int64_t kEstimate = 77;

auto read(const std::string& body) { return read_chat_answer(body, kEstimate, kBytesMax); }

std::string with_usage(const std::string& usage) {
  return R"({"choices":[{"message":{"content":"abcdef"},"finish_reason":"stop"}],"usage":)" +
         usage + "}";
}

TEST(ChatAnswerTest, has_text_end_usage_and_model) {
  const auto answer = read(R"({"id":"x","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,
      "message":{"role":"assistant","content":"{\"a\":1}","refusal":null},"finish_reason":"stop"}],
      "usage":{"prompt_tokens":120,"completion_tokens":9,"total_tokens":129,
               "prompt_tokens_details":{"cached_tokens":64}}})");

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, R"({"a":1})");
  EXPECT_EQ(answer->finish, Finish::stop);
  EXPECT_EQ(answer->model, "gpt-4o-mini-2024-07-18");
  EXPECT_EQ(answer->usage, (TokenUsage{.input = 120, .cached_input = 64, .output = 9}));
}

TEST(ChatAnswerTest, estimates_usage_that_is_missing_or_cannot_be) {
  for (const auto* usage :
       {"null", "{}", R"({"prompt_tokens":5})", R"({"prompt_tokens":-1,"completion_tokens":2})",
        R"({"prompt_tokens":5,"completion_tokens":"2"})",
        R"({"prompt_tokens":5,"completion_tokens":9000000000000000000})"}) {
    EXPECT_EQ(read(with_usage(usage))->usage,
              (TokenUsage{.input = kEstimate, .output = token_estimate("abcdef")}))
        << usage;
  }
}

TEST(ChatAnswerTest, never_counts_more_cached_than_there_was) {
  const auto answer = read(with_usage(R"({"prompt_tokens":5,"completion_tokens":2,
      "prompt_tokens_details":{"cached_tokens":500}})"));

  EXPECT_EQ(answer->usage.cached_input, 5);
}

TEST(ChatAnswerTest, may_be_without_text_only_where_it_did_not_end_by_itself) {
  const auto with_end = [](const std::string& reason) {
    return read(R"({"choices":[{"message":{"content":null},"finish_reason":)" + reason + "}]}");
  };

  EXPECT_EQ(with_end(R"("length")")->finish, Finish::length);
  EXPECT_EQ(with_end(R"("content_filter")")->finish, Finish::content_filter);
  EXPECT_EQ(with_end(R"("tool_calls")")->finish, Finish::other);
  EXPECT_EQ(with_end("null")->finish, Finish::other);
  EXPECT_EQ(with_end(R"("stop")").error().fault, ChatFault::broken);
}

TEST(ChatAnswerTest, is_broken_where_it_is_not_what_the_protocol_says) {
  for (const auto* body :
       {"", "{", "[]", "null", "{}", R"({"choices":[]})", R"({"choices":{}})",
        R"({"choices":[{}]})", R"({"choices":[{"message":{}, "finish_reason":"stop"}]})",
        R"({"choices":[{"message":{"content":7},"finish_reason":"length"}]})",
        R"({"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]} x)",
        "{\"choices\":[{\"message\":{\"content\":\"\xff\"},\"finish_reason\":\"stop\"}]}"}) {
    const auto answer = read(body);
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().fault, ChatFault::broken) << body;
    EXPECT_TRUE(answer.error().may_have_cost) << body;
  }
}

TEST(ChatAnswerTest, is_broken_where_it_is_too_long) {
  EXPECT_FALSE(read_chat_answer(with_usage("null"), kEstimate, 20));
  EXPECT_TRUE(read_chat_answer(with_usage("null"), kEstimate, 200));
}

TEST(ChatAnswerTest, does_not_repeat_a_key_that_stands_twice) {
  const auto answer = read(R"({"choices":[{"Kirsten Hansen":1,"Kirsten Hansen":2}]})");

  EXPECT_FALSE(answer.error().error.message.contains("Kirsten"));
}

TEST(ChatRefusalTest, tells_type_and_code_and_not_the_message) {
  const auto failure = read_refusal(400, R"({"error":{"message":"you said: Kirsten Hansen",
      "type":"invalid_request_error","code":"context_length_exceeded"}})");

  EXPECT_EQ(failure.fault, ChatFault::refused);
  EXPECT_EQ(failure.error.code, ErrorCode::invalid_argument);
  EXPECT_EQ(failure.error.message,
            "status 400 (type invalid_request_error, code context_length_exceeded)");
}

TEST(ChatRefusalTest, leaves_out_a_type_or_code_that_is_no_word) {
  const auto failure = read_refusal(500, R"({"error":{"type":"Kirsten Hansen","code":500}})");

  EXPECT_EQ(failure.error.message, "status 500");
}

TEST(ChatRefusalTest, may_have_cost_where_somebody_did_not_wait_for_the_answer) {
  for (const int status : {408, 504, 524}) EXPECT_TRUE(read_refusal(status, "").may_have_cost);
  for (const int status : {400, 401, 429, 500, 502, 503}) {
    EXPECT_FALSE(read_refusal(status, "").may_have_cost) << status;
  }
}

TEST(ChatRefusalTest, takes_another_success_for_a_broken_answer_and_a_redirect_for_a_wrong_url) {
  EXPECT_EQ(read_refusal(202, "").fault, ChatFault::broken);
  EXPECT_EQ(read_refusal(301, "").fault, ChatFault::refused);
  EXPECT_EQ(read_refusal(301, "").error.code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace samtale

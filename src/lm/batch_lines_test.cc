#include "lm/batch_lines.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

constexpr std::size_t kLineBytesMax = 10'000;

std::string line(const std::string& id, const std::string& text) {
  return R"({"id":"r","custom_id":")" + id +
         R"(","error":null,"response":{"status_code":200,"body":{"choices":[{"message":{"content":")" +
         text +
         R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}}})"
         "\n";
}

TEST(BatchLinesTest, are_answers_by_their_ids) {
  const auto lines = read_batch_lines(line("b", "2") + line("a", "1"), kLineBytesMax);

  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].id, "b");
  EXPECT_EQ(lines[0].answer->text, "2");
  EXPECT_EQ(lines[1].id, "a");
  EXPECT_EQ(lines[1].answer->usage, (TokenUsage{.input = 5, .output = 2}));
}

TEST(BatchLinesTest, count_once_an_id_and_not_without_one) {
  const auto lines = read_batch_lines(
      line("a", "first") + "no JSON\n\n{}\n[]\n{\"custom_id\":7}\n" + line("a", "second") +
          line("long", std::string(kLineBytesMax, 'x')) + line("b", "last").substr(0, 40),
      kLineBytesMax);

  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].answer->text, "first");
}

TEST(BatchLinesTest, tell_failures_apart) {
  const auto lines = read_batch_lines(
      R"({"custom_id":"expired","response":null,"error":{"code":"batch_expired","message":"Kirsten"}})"
      "\n"
      R"({"custom_id":"busy","response":{"status_code":429,"body":{}}})"
      "\n"
      R"({"custom_id":"wrong","response":{"status_code":400,"body":{"error":{"code":"bad"}}}})"
      "\n"
      R"({"custom_id":"odd","response":{"status_code":99999999999,"body":{}}})"
      "\n"
      R"({"custom_id":"empty","response":null,"error":null})"
      "\n",
      kLineBytesMax);

  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0].answer.error().fault, ChatFault::away);
  EXPECT_TRUE(lines[0].answer.error().error.message.contains("batch_expired"));
  EXPECT_FALSE(lines[0].answer.error().error.message.contains("Kirsten"));
  EXPECT_FALSE(lines[0].answer.error().may_have_cost);
  EXPECT_EQ(lines[1].answer.error().fault, ChatFault::throttled);
  EXPECT_EQ(lines[2].answer.error().fault, ChatFault::refused);
  EXPECT_EQ(lines[3].answer.error().fault, ChatFault::away);
  EXPECT_EQ(lines[4].answer.error().fault, ChatFault::broken);
}

}  // namespace
}  // namespace samtale

#include "lm/chat_stream.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

constexpr std::size_t kBytesMax = 10'000;

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

std::string piece(const std::string& text) {
  return event(R"({"model":"m","choices":[{"index":0,"delta":{"content":")" + text +
               R"("},"finish_reason":null}],"usage":null})");
}

std::string end(const std::string& reason) {
  return event(R"({"choices":[{"index":0,"delta":{},"finish_reason":")" + reason + "\"}]}");
}

const std::string kUsage =
    event(R"({"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":7,)"
          R"("prompt_tokens_details":{"cached_tokens":10}}})");
const std::string kDone = event("[DONE]");

std::expected<ChatAnswer, ChatFailure> read(const std::string& stream) {
  ChatStreamReader reader(kBytesMax, 77);
  reader.take(stream);
  return reader.finish();
}

TEST(ChatStreamTest, puts_the_pieces_together) {
  const auto answer =
      read(": hello\n\n" + piece("") + piece("æø") + piece("å!") + end("stop") + kUsage + kDone);

  ASSERT_TRUE(answer) << answer.error().error.message;
  EXPECT_EQ(answer->text, "æøå!");
  EXPECT_EQ(answer->finish, Finish::stop);
  EXPECT_EQ(answer->model, "m");
  EXPECT_EQ(answer->usage, (TokenUsage{.input = 50, .cached_input = 10, .output = 7}));
}

TEST(ChatStreamTest, is_the_same_wherever_it_is_cut_and_however_lines_end) {
  const auto stream = "\xEF\xBB\xBF" + piece("one ") + "event: x\nid: 7\n" + piece("two") +
                      end("stop") + kUsage + kDone;
  const auto whole = *read(stream);
  for (const std::string line_end : {"\n", "\r\n", "\r"}) {
    std::string other;
    for (const char c : stream) other += c == '\n' ? line_end : std::string(1, c);
    for (std::size_t cut = 0; cut <= other.size(); ++cut) {
      ChatStreamReader reader(kBytesMax, 77);
      ASSERT_TRUE(reader.take(std::string_view(other).substr(0, cut)));
      ASSERT_TRUE(reader.take(std::string_view(other).substr(cut)));
      const auto answer = reader.finish();
      ASSERT_TRUE(answer) << cut;
      ASSERT_EQ(answer->text, whole.text) << cut;
      ASSERT_EQ(answer->usage, whole.usage) << cut;
      ASSERT_TRUE(reader.is_done());
    }
  }
}

TEST(ChatStreamTest, joins_the_data_lines_of_an_event) {
  const auto answer = read(
      "data: {\"choices\":[{\"delta\":\ndata:{\"content\":\"a\"},\n"
      "data: \"finish_reason\":\"stop\"}]}\n\n");

  ASSERT_TRUE(answer) << answer.error().error.message;
  EXPECT_EQ(answer->text, "a");
}

TEST(ChatStreamTest, is_whole_only_once_it_says_how_it_ended) {
  EXPECT_EQ(read(piece("half")).error().fault, ChatFault::broken);
  EXPECT_EQ(read(piece("half") + kDone).error().fault, ChatFault::broken);
  EXPECT_EQ(read(piece("whole") + end("stop"))->text, "whole");
  EXPECT_EQ(read(piece("cut") + end("length"))->finish, Finish::length);
}

TEST(ChatStreamTest, ignores_what_comes_after_it_is_done) {
  ChatStreamReader reader(kBytesMax, 77);
  reader.take(piece("a") + end("stop") + kDone);

  EXPECT_TRUE(reader.take(event("{") + std::string(2 * kBytesMax, 'x')));
  EXPECT_EQ(reader.finish()->text, "a");
}

TEST(ChatStreamTest, takes_a_refusal_for_filtered_and_none_for_nothing) {
  const auto refusing = event(R"({"choices":[{"delta":{"refusal":"I will not"}}]})");
  const auto none = event(R"({"choices":[{"delta":{"content":"a","refusal":null}}]})");

  EXPECT_EQ(read(refusing + end("stop"))->finish, Finish::content_filter);
  EXPECT_EQ(read(none + end("stop"))->finish, Finish::stop);
}

TEST(ChatStreamTest, reads_the_first_of_several_choices) {
  const auto other = event(R"({"choices":[{"index":1,"delta":{"content":"other"}}]})");

  EXPECT_EQ(read(piece("a") + other + end("stop"))->text, "a");
}

TEST(ChatStreamTest, is_away_where_an_error_comes_in_between_without_its_words) {
  const auto answer =
      read(piece("a") + event(R"({"error":{"message":"Kirsten","code":"overload"}})"));

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().fault, ChatFault::away);
  EXPECT_TRUE(answer.error().error.message.ends_with("(code overload)"));
}

TEST(ChatStreamTest, is_broken_where_it_is_not_what_the_protocol_says) {
  for (const auto& stream :
       {std::string(), std::string("{\"choices\":[]}"), event("{"), event("[]"), event("{}"),
        event(R"({"choices":[{"delta":{"content":7}}]})"),
        event("{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}")}) {
    const auto answer = read(stream);
    ASSERT_FALSE(answer) << stream;
    EXPECT_EQ(answer.error().fault, ChatFault::broken) << stream;
  }
}

TEST(ChatStreamTest, stops_reading_what_is_too_long_in_a_line_an_event_or_all) {
  const std::string endless_line = "data: " + std::string(2 * kBytesMax, 'x');
  std::string endless_event;
  std::string endless_text;
  for (int i = 0; i < 200; ++i) {
    endless_event += "data: " + std::string(100, 'x') + "\n";
    endless_text += piece(std::string(100, 'x'));
  }
  for (const auto& stream : {endless_line, endless_event, endless_text}) {
    ChatStreamReader reader(kBytesMax, 77);
    EXPECT_FALSE(reader.take(stream));
    EXPECT_EQ(reader.finish().error().fault, ChatFault::broken);
  }
}

}  // namespace
}  // namespace samtale

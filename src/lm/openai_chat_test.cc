#include "lm/openai_chat.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <optional>

#include "sim/sim_clock.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;

constexpr auto kAnswer =
    R"({"choices":[{"message":{"content":"{}"},"finish_reason":"stop"}],"model":"m"})";

class OpenAiChatTest : public testing::Test {
 protected:
  OpenAiChatOptions options(const std::string& url = "https://lm.example") const {
    OpenAiChatOptions options;
    options.url = url;
    options.key = "sk-secret";
    options.model = "small";
    return options;
  }
  ChatOutcome ask(const OpenAiChatOptions& with, const ChatRequest& request = {}) {
    return (*make_openai_chat(http, clock, with))->ask(request, clock.now() + 20s, {});
  }
  // Of the last call.
  std::optional<std::string> header(const std::string& name) const {
    for (const auto& [other, value] : HttpHeaders(http.calls().back().headers)) {
      if (other == name) return value;
    }
    return std::nullopt;
  }

  FakeHttpClient http;
  SimClock clock;
};

TEST_F(OpenAiChatTest, completes_the_url_as_other_clients_do) {
  for (const auto* url : {"https://lm.example", "https://lm.example/", "https://lm.example/v1",
                          "https://lm.example/v1/"}) {
    http.then_answer(200, kAnswer);
    ASSERT_TRUE(ask(options(url)).answer) << url;
    EXPECT_EQ(http.calls().back().url, "https://lm.example/v1/chat/completions");
  }
  const auto chat = *make_openai_chat(http, clock, options());
  EXPECT_EQ(chat->name(), "openai:https://lm.example/v1");
  EXPECT_EQ(chat->default_model(), "small");
}

TEST_F(OpenAiChatTest, sends_key_idempotency_key_and_the_time_that_is_left) {
  http.then_answer(200, kAnswer);

  ASSERT_TRUE(ask(options(), {.idempotency_key = "try-1"}).answer);

  EXPECT_EQ(header("Authorization"), "Bearer sk-secret");
  EXPECT_EQ(header("Idempotency-Key"), "try-1");
  EXPECT_EQ(http.calls().back().timeout, 20s);
}

TEST_F(OpenAiChatTest, sends_neither_key_where_there_is_none) {
  auto open = options();
  open.key.clear();
  http.then_answer(200, kAnswer);

  ASSERT_TRUE(ask(open).answer);

  EXPECT_EQ(header("Authorization"), std::nullopt);
  EXPECT_EQ(header("Idempotency-Key"), std::nullopt);
}

TEST_F(OpenAiChatTest, sends_nothing_once_the_deadline_is_over) {
  const auto chat = *make_openai_chat(http, clock, options());

  const auto outcome = chat->ask({}, clock.now(), {});

  EXPECT_EQ(outcome.answer.error().fault, ChatFault::late);
  EXPECT_FALSE(outcome.answer.error().may_have_cost);
  EXPECT_TRUE(http.calls().empty());
}

TEST_F(OpenAiChatTest, sends_no_message_that_is_not_utf8) {
  const auto outcome = ask(options(), {.messages = {{"user", "\xff"}}});

  EXPECT_EQ(outcome.answer.error().fault, ChatFault::refused);
  EXPECT_EQ(outcome.answer.error().error.code, ErrorCode::invalid_argument);
  EXPECT_TRUE(http.calls().empty());
}

TEST_F(OpenAiChatTest, keeps_a_stream_that_broke_only_after_it_was_done) {
  auto streaming = options();
  streaming.stream = true;
  const std::string whole =
      "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
  const auto break_after = [&](const std::string& stream) {
    http.then([=](const HttpCall& call) -> Result<HttpAnswer> {
      call.on_body(stream);
      return fail(ErrorCode::unavailable, "reset");
    });
    return ask(streaming);
  };

  EXPECT_EQ(break_after(whole).answer.error().fault, ChatFault::away);
  EXPECT_EQ(break_after(whole + "data: [DONE]\n\n").answer->text, "a");
}

TEST_F(OpenAiChatTest, refuses_options_that_cannot_work_without_repeating_a_secret) {
  const auto error_of = [&](const std::function<void(OpenAiChatOptions&)>& change) {
    auto changed = options();
    change(changed);
    const auto chat = make_openai_chat(http, clock, changed);
    const auto batches = make_openai_batches(http, clock, changed);
    EXPECT_FALSE(batches);
    EXPECT_EQ(chat.error().code, ErrorCode::invalid_argument);
    return chat ? "" : chat.error().message;
  };

  for (const auto* url :
       {"", "lm.example", "ftp://lm.example", "https://", "https://u:pw@lm.example",
        "https://lm.example/?key=pw", "https://lm.example/#pw", "https://a b"}) {
    EXPECT_FALSE(error_of([&](auto& o) { o.url = url; }).contains("pw")) << url;
  }
  for (const auto* key : {"sk secret", "sk-secret\n", "sk-\xC3\xA6"}) {
    EXPECT_FALSE(error_of([&](auto& o) { o.key = key; }).contains("sk")) << key;
  }
  error_of([](auto& o) { o.model.clear(); });
  error_of([](auto& o) { o.structured = "xml"; });
  error_of([](auto& o) { o.max_tokens_field.clear(); });
  error_of([](auto& o) { o.answer_bytes_max = 0; });
  error_of([](auto& o) { o.silence_max = 0s; });
  error_of([](auto& o) { o.temperature = std::numeric_limits<double>::quiet_NaN(); });
}

}  // namespace
}  // namespace samtale

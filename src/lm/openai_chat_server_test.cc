// Goal:   the chat client and the real HTTP client together, against a server that plays each
// fault,
//         with a stream and without.
// Method: the scripted server, one process for all tests. Errors of it quote the prompt, as those
// of
//         providers do, so that a test sees whether ours do too.
#include <gtest/gtest.h>

#include <thread>

#include "lm/openai_chat.h"
#include "lm/testing/scripted_lm_server.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr auto kKey = "sk-nobody-may-see-this";
constexpr auto kNonce = "00112233445566778899aabbccddeeff";

ChatRequest make_request(const std::string& model) {
  ChatRequest request;
  request.model = model;
  request.messages = {{"system", "You read conversations."},
                      {"user", "[0] customer: My parcel is Vertraulich\n[1] agent: Sorry"},
                      {"user", "What is it about? Vertraulich.\nNonce: " + std::string(kNonce)}};
  request.schema_name = "result";
  request.schema = json::parse(R"({"type":"object","additionalProperties":false,
      "required":["nonce","turn","quote"],"properties":{"nonce":{"type":"string"},
      "turn":{"type":"integer"},"quote":{"type":"string"}}})")
                       .value();
  return request;
}

class OpenAiChatServerTest : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    server = std::make_unique<ScriptedLmServer>(SAMTALE_SOURCE_DIR,
                                                std::vector<std::string>{"--retry-after", "7"});
  }
  static void TearDownTestSuite() { server.reset(); }

  OpenAiChatOptions options() const {
    OpenAiChatOptions options;
    options.url = server->url();
    options.key = kKey;
    options.model = "ok";
    options.stream = GetParam();
    options.answer_bytes_max = std::size_t{256} << 10;  // So that endless is soon over.
    return options;
  }
  ChatOutcome ask(const ChatRequest& request, Duration timeout = 30s) {
    return (*make_openai_chat(*http, clock, options()))->ask(request, clock.now() + timeout, {});
  }
  // With its error checked for what none may hold.
  ChatFailure failure_of(const std::string& model, Duration timeout = 30s) {
    auto outcome = ask(make_request(model), timeout);
    if (outcome.answer) {
      ADD_FAILURE() << model << " was answered";
      return {};
    }
    const auto& message = outcome.answer.error().error.message;
    EXPECT_FALSE(message.contains(kKey)) << message;
    EXPECT_FALSE(message.contains("Vertraulich")) << message;
    EXPECT_FALSE(message.contains(kNonce)) << message;
    return outcome.answer.error();
  }

  inline static std::unique_ptr<ScriptedLmServer> server;

  std::unique_ptr<HttpClient> http = make_http_client();
  SystemClock clock;
};

INSTANTIATE_TEST_SUITE_P(Whole, OpenAiChatServerTest, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Stream, OpenAiChatServerTest, testing::Values(true));

// What only a stream can do.
class OpenAiChatStreamTest : public OpenAiChatServerTest {};
INSTANTIATE_TEST_SUITE_P(Stream, OpenAiChatStreamTest, testing::Values(true));

TEST_P(OpenAiChatServerTest, has_the_text_and_what_it_cost) {
  const auto outcome = ask(make_request("ok"));

  ASSERT_TRUE(outcome.answer) << outcome.answer.error().error.message;
  EXPECT_EQ(outcome.answer->text, R"({"nonce": ")" + std::string(kNonce) +
                                      R"(", "turn": 0, "quote": "My parcel is Vertraulich"})");
  EXPECT_EQ(outcome.answer->finish, Finish::stop);
  EXPECT_EQ(outcome.answer->model, "ok");
  EXPECT_GT(outcome.answer->usage.input, 50);
  EXPECT_EQ(outcome.answer->usage.output,
            static_cast<std::int64_t>((outcome.answer->text.size() + 3) / 4));
}

TEST_P(OpenAiChatServerTest, estimates_on_the_high_side_what_is_not_counted) {
  const auto request = make_request("no-usage");
  const auto counted = ask(make_request("ok"));

  const auto outcome = ask(request);

  ASSERT_TRUE(outcome.answer) << outcome.answer.error().error.message;
  EXPECT_EQ(outcome.answer->usage.input, estimate_input_tokens(request));
  EXPECT_GT(outcome.answer->usage.input, counted.answer->usage.input);
  EXPECT_GT(outcome.answer->usage.output, counted.answer->usage.output);
}

TEST_P(OpenAiChatServerTest, says_how_an_answer_ended) {
  const auto cut = ask(make_request("length"));
  const auto filtered = ask(make_request("content-filter"));
  const auto refused = ask(make_request("refusal"));

  ASSERT_TRUE(cut.answer && filtered.answer && refused.answer);
  EXPECT_EQ(cut.answer->finish, Finish::length);
  EXPECT_EQ(cut.answer->usage.output, 1024);
  EXPECT_EQ(filtered.answer->finish, Finish::content_filter);
  EXPECT_EQ(refused.answer->finish, Finish::content_filter);
  EXPECT_EQ(refused.answer->text, "");
}

TEST_P(OpenAiChatServerTest, names_the_model_that_answered) {
  EXPECT_EQ(ask(make_request("other-model")).answer->model, "gpt-other");
}

TEST_P(OpenAiChatServerTest, hands_on_a_swapped_answer_which_only_its_nonce_gives_away) {
  ASSERT_TRUE(ask(make_request("ok")).answer);
  auto request = make_request("swapped");
  request.messages.back().content = "Nonce: ffff";

  const auto outcome = ask(request);

  ASSERT_TRUE(outcome.answer);
  EXPECT_FALSE(outcome.answer->text.contains("ffff"));
}

TEST_P(OpenAiChatServerTest, tells_a_full_account_apart_with_the_wait_it_asks_for) {
  EXPECT_EQ(failure_of("429").wait, std::nullopt);
  EXPECT_EQ(failure_of("429-wait").wait, 7s);
  const auto until_date = failure_of("429-date").wait;
  for (const auto* model : {"429", "429-wait", "429-date"}) {
    const auto failure = failure_of(model);
    EXPECT_EQ(failure.fault, ChatFault::throttled) << model;
    EXPECT_EQ(failure.error.code, ErrorCode::resource_exhausted) << model;
    EXPECT_FALSE(failure.may_have_cost) << model;
  }

  ASSERT_TRUE(until_date);
  EXPECT_GT(*until_date, 3s);
  EXPECT_LE(*until_date, 7s);
}

TEST_P(OpenAiChatServerTest, tells_a_server_apart_that_is_away) {
  for (const auto* model :
       {"500", "502", "503", "529", "408", "503-wait", "200-error", "reset", "reset-stream"}) {
    const auto failure = failure_of(model);
    EXPECT_EQ(failure.fault, ChatFault::away) << model << ": " << failure.error.message;
    EXPECT_EQ(failure.error.code, ErrorCode::unavailable) << model;
  }
  EXPECT_EQ(failure_of("503-wait").wait, 7s);
}

TEST_P(OpenAiChatServerTest, knows_what_may_have_cost_although_it_failed) {
  for (const auto* model : {"reset", "reset-stream", "half-json", "200-error"}) {
    EXPECT_TRUE(failure_of(model).may_have_cost) << model;
  }
  for (const auto* model : {"400", "401", "500", "503-wait"}) {
    EXPECT_FALSE(failure_of(model).may_have_cost) << model;
  }
}

TEST_P(OpenAiChatServerTest, tells_a_server_apart_that_is_not_there) {
  std::string url;
  {
    const ScriptedLmServer gone(SAMTALE_SOURCE_DIR);
    url = gone.url();
  }
  auto other = options();
  other.url = url;

  const auto outcome =
      (*make_openai_chat(*http, clock, other))->ask(make_request("ok"), clock.now() + 30s, {});

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().fault, ChatFault::away);
  EXPECT_FALSE(outcome.answer.error().may_have_cost);
}

TEST_P(OpenAiChatServerTest, tells_an_answer_apart_that_is_none) {
  for (const auto* model : {"half-json", "utf8", "empty-choices", "not-json", "huge", "endless"}) {
    const auto failure = failure_of(model);
    EXPECT_EQ(failure.fault, ChatFault::broken) << model << ": " << failure.error.message;
    EXPECT_EQ(failure.error.code, ErrorCode::unavailable) << model;
    EXPECT_TRUE(failure.may_have_cost) << model;
  }
}

TEST_P(OpenAiChatStreamTest, never_takes_half_a_stream_for_an_answer) {
  EXPECT_EQ(failure_of("half-stream").fault, ChatFault::broken);
}

TEST_P(OpenAiChatServerTest, tells_a_request_apart_that_will_never_be_taken) {
  for (const auto* model : {"400", "413", "422"}) {
    const auto failure = failure_of(model);
    EXPECT_EQ(failure.fault, ChatFault::refused) << model;
    EXPECT_EQ(failure.error.code, ErrorCode::invalid_argument) << model;
  }
  for (const auto* model : {"401", "403", "404"}) {
    const auto failure = failure_of(model);
    EXPECT_EQ(failure.fault, ChatFault::refused) << model;
    EXPECT_EQ(failure.error.code, ErrorCode::unavailable) << model;
    EXPECT_TRUE(failure.error.message.contains("type invalid_request_error"))
        << failure.error.message;
  }
}

TEST_P(OpenAiChatServerTest, gives_up_at_the_deadline) {
  for (const auto* model : {"hang", "silent", "drip"}) {
    const auto begin = clock.now();
    const auto failure = failure_of(model, 300ms);
    EXPECT_EQ(failure.fault, ChatFault::late) << model << ": " << failure.error.message;
    EXPECT_EQ(failure.error.code, ErrorCode::deadline_exceeded) << model;
    EXPECT_TRUE(failure.may_have_cost) << model;
    EXPECT_LT(clock.now() - begin, 10s) << model;
  }
}

TEST_P(OpenAiChatStreamTest, gives_a_silent_stream_up_long_before_the_deadline) {
  auto impatient = options();
  impatient.silence_max = 100ms;

  const auto outcome = (*make_openai_chat(*http, clock, impatient))
                           ->ask(make_request("silent"), clock.now() + 600s, {});

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().fault, ChatFault::late);
}

TEST_P(OpenAiChatServerTest, stops_when_it_is_told_to) {
  const auto chat = *make_openai_chat(*http, clock, options());
  std::stop_source stop;
  const std::jthread stopper([&] {
    while (server->count("concurrent") == 0) continue;
    stop.request_stop();
  });

  const auto outcome = chat->ask(make_request("hang"), clock.now() + 60s, stop.get_token());

  ASSERT_FALSE(outcome.answer);
  EXPECT_EQ(outcome.answer.error().fault, ChatFault::stopped);
}

TEST_P(OpenAiChatServerTest, repeats_a_request_by_its_key_without_paying_twice) {
  auto request = make_request("ok");
  request.idempotency_key = GetParam() ? "stream-7" : "whole-7";
  const auto repeated = server->count("idempotency_keys_repeated");

  const auto first = ask(request);
  const auto paid = server->count("tokens_out");
  const auto again = ask(request);

  ASSERT_TRUE(first.answer && again.answer);
  EXPECT_EQ(first.answer->text, again.answer->text);
  EXPECT_EQ(server->count("tokens_out"), paid);
  EXPECT_EQ(server->count("idempotency_keys_repeated"), repeated + 1);
}

TEST_P(OpenAiChatServerTest, learns_the_limits_of_an_account_also_from_a_refusal) {
  const ScriptedLmServer limited(SAMTALE_SOURCE_DIR, {"--rpm", "2", "--tpm", "100000"});
  auto account = options();
  account.url = limited.url();
  const auto chat = *make_openai_chat(*http, clock, account);
  const auto ask_limited = [&] { return chat->ask(make_request("ok"), clock.now() + 30s, {}); };

  const auto first = ask_limited();
  ASSERT_TRUE(ask_limited().answer);
  const auto refused = ask_limited();

  EXPECT_EQ(first.hints.requests_per_minute, 2);
  EXPECT_EQ(first.hints.requests_left, 1);
  EXPECT_EQ(first.hints.tokens_per_minute, 100'000);
  ASSERT_TRUE(first.hints.requests_reset);
  EXPECT_GT(*first.hints.requests_reset, 20s);
  ASSERT_FALSE(refused.answer);
  EXPECT_EQ(refused.answer.error().fault, ChatFault::throttled);
  EXPECT_GT(refused.answer.error().wait, 10s);
  EXPECT_EQ(refused.hints.requests_left, 0);
}

TEST_P(OpenAiChatServerTest, answers_64_callers_at_once) {
  const auto chat = *make_openai_chat(*http, clock, options());
  std::vector<std::jthread> callers;

  for (int i = 0; i < 64; ++i) {
    callers.emplace_back([&, i] {
      auto request = make_request("ok");
      const auto nonce = "caller" + std::to_string(i);
      request.messages.back().content = "Nonce: " + nonce;
      for (int again = 0; again < 3; ++again) {
        const auto outcome = chat->ask(request, clock.now() + 60s, {});
        EXPECT_TRUE(outcome.answer && outcome.answer->text.contains("\"" + nonce + "\"")) << nonce;
      }
    });
  }
}

}  // namespace
}  // namespace samtale

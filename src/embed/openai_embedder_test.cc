#include "embed/openai_embedder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "json/json.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const std::string kTwoVectors =
    R"({"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}]})";
const std::string kOneVector = R"({"data":[{"index":0,"embedding":[3,4]}]})";
const std::vector<std::string> kTwoTexts = {"first", "second"};
const std::vector<std::string> kOneText = {"first"};

class OpenAiEmbedderTest : public testing::Test {
 protected:
  OpenAiEmbedderTest() {
    options.url = "https://example.test/v1";
    options.key = "secret-key";
    options.model = "small";
    options.dimension = 2;
  }

  std::unique_ptr<OpenAiEmbedder> make() {
    auto made = OpenAiEmbedder::make(http, clock, random, options);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  Result<std::vector<std::vector<float>>> embed(const std::vector<std::string>& texts,
                                                Duration timeout = 30s) {
    return make()->embed(texts, EmbedRole::passage, nullptr, timeout);
  }
  json::Value body_of(std::size_t call) { return *json::parse(http.calls().at(call).body); }

  FakeHttpClient http;
  SimClock clock;
  SimRandom random{1};
  OpenAiEmbedderOptions options;
};

TEST_F(OpenAiEmbedderTest, returns_unit_vectors_in_the_order_of_the_texts) {
  http.then_answer(200, kTwoVectors);

  const auto vectors = embed(kTwoTexts);

  ASSERT_TRUE(vectors) << vectors.error().message;
  EXPECT_EQ((*vectors)[0], (std::vector{0.6F, 0.8F}));
  EXPECT_EQ((*vectors)[1], (std::vector{0.0F, 1.0F}));
}

TEST_F(OpenAiEmbedderTest, sends_the_key_the_model_and_the_texts) {
  http.then_answer(200, kOneVector);

  ASSERT_TRUE(embed(kOneText));

  const auto call = http.calls().at(0);
  EXPECT_EQ(call.url, "https://example.test/v1/embeddings");
  EXPECT_EQ(call.headers.at(1).second, "Bearer secret-key");
  EXPECT_EQ(call.body, R"({"model":"small","input":["first"]})");
}

TEST_F(OpenAiEmbedderTest, completes_a_url_without_a_path_and_keeps_one_with_a_path) {
  for (const auto* url :
       {"https://example.test", "https://example.test/", "https://example.test/v1"}) {
    options.url = url;
    http.then_answer(200, kOneVector);
    ASSERT_TRUE(embed(kOneText));
    EXPECT_EQ(http.calls().back().url, "https://example.test/v1/embeddings");
  }
  options.url = "https://example.test/openai/v2/";
  http.then_answer(200, kOneVector);

  ASSERT_TRUE(embed(kOneText));

  EXPECT_EQ(http.calls().back().url, "https://example.test/openai/v2/embeddings");
}

TEST_F(OpenAiEmbedderTest, writes_the_prefix_of_the_side_in_front_of_a_text) {
  options.query_prefix = "query: ";
  options.passage_prefix = "passage: ";
  http.then_answer(200, kOneVector);
  http.then_answer(200, kOneVector);
  const auto embedder = make();

  ASSERT_TRUE(embedder->embed(kOneText, EmbedRole::query, nullptr, 1s));
  ASSERT_TRUE(embedder->embed(kOneText, EmbedRole::passage, nullptr, 1s));

  EXPECT_EQ(*body_of(0).at_pointer("/input/0")->as_string(), "query: first");
  EXPECT_EQ(*body_of(1).at_pointer("/input/0")->as_string(), "passage: first");
}

TEST_F(OpenAiEmbedderTest, tells_the_side_in_a_field_if_asked_to) {
  options.input_type = true;
  http.then_answer(200, kOneVector);

  ASSERT_TRUE(make()->embed(kOneText, EmbedRole::query, nullptr, 1s));

  EXPECT_EQ(*body_of(0).find("input_type")->as_string(), "query");
}

TEST_F(OpenAiEmbedderTest, splits_texts_beyond_the_batch_limit_into_requests) {
  options.batch_max = 2;
  http.then_answer(200, kTwoVectors);
  http.then_answer(200, kOneVector);

  const auto vectors = embed({"a", "b", "c"});

  ASSERT_TRUE(vectors);
  EXPECT_EQ(vectors->size(), 3U);
  EXPECT_EQ(http.calls().size(), 2U);
}

TEST_F(OpenAiEmbedderTest, asks_nobody_for_no_texts) {
  EXPECT_TRUE(embed({})->empty());
  EXPECT_TRUE(http.calls().empty());
}

TEST_F(OpenAiEmbedderTest, learns_the_dimension_when_it_is_made_and_names_itself_by_it) {
  options.dimension = 0;
  http.then_answer(200, kOneVector);

  const auto embedder = make();

  EXPECT_EQ(embedder->dimension(), 2U);
  EXPECT_EQ(embedder->model_id(), "openai:small:2");
}

TEST_F(OpenAiEmbedderTest, has_another_model_id_with_other_prefixes) {
  const auto plain = make()->model_id();
  options.passage_prefix = "passage: ";
  const auto with_prefix = make()->model_id();
  options.passage_prefix = "search_document: ";

  EXPECT_NE(plain, with_prefix);
  EXPECT_NE(with_prefix, make()->model_id());
}

TEST_F(OpenAiEmbedderTest, refuses_another_dimension_and_names_both) {
  http.then_answer(200, R"({"data":[{"index":0,"embedding":[1,2,3]}]})");

  const auto vectors = embed(kOneText);

  ASSERT_FALSE(vectors);
  EXPECT_EQ(vectors.error().code, ErrorCode::unavailable);
  EXPECT_NE(vectors.error().message.find("3 numbers where 2"), std::string::npos);
  EXPECT_EQ(http.calls().size(), 1U);
}

TEST_F(OpenAiEmbedderTest, tries_again_after_the_rest_a_busy_server_asks_for) {
  http.then_answer(429, "{}", {{"retry-after", "7"}});
  http.then_answer(200, kOneVector);
  const auto begin = clock.now();

  ASSERT_TRUE(embed(kOneText));

  EXPECT_GE(clock.now() - begin, 7s);
  EXPECT_LT(clock.now() - begin, 8s);
}

TEST_F(OpenAiEmbedderTest, fails_at_once_if_the_rest_asked_for_ends_past_the_timeout) {
  http.then_answer(429, "{}", {{"retry-after", "60"}});
  const auto begin = clock.now();

  const auto vectors = embed(kOneText, 30s);

  ASSERT_FALSE(vectors);
  EXPECT_EQ(vectors.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(vectors.error().message.find("60000 ms"), std::string::npos);
  EXPECT_EQ(clock.now(), begin);
}

TEST_F(OpenAiEmbedderTest, tries_a_failing_server_a_bounded_number_of_times) {
  for (int i = 0; i < 10; ++i) http.then_answer(503, "overloaded");

  const auto vectors = embed(kOneText);

  ASSERT_FALSE(vectors);
  EXPECT_EQ(vectors.error().code, ErrorCode::unavailable);
  EXPECT_EQ(http.calls().size(), 4U);
}

TEST_F(OpenAiEmbedderTest, tries_again_after_a_lost_connection) {
  http.then_fail(ErrorCode::unavailable, "connection reset");
  http.then_answer(200, kOneVector);

  EXPECT_TRUE(embed(kOneText));
}

TEST_F(OpenAiEmbedderTest, gives_each_try_only_the_time_that_is_left) {
  http.then([this](const HttpCall&) -> Result<HttpAnswer> {
    clock.advance(4s);
    return HttpAnswer{500, {}, ""};
  });
  http.then_answer(200, kOneVector);

  ASSERT_TRUE(embed(kOneText, 10s));

  EXPECT_EQ(http.calls().at(0).timeout, 10s);
  EXPECT_LE(http.calls().at(1).timeout, 6s);
}

TEST_F(OpenAiEmbedderTest, passes_a_missed_deadline_on_without_another_try) {
  http.then_fail(ErrorCode::deadline_exceeded, "no answer in 30000 ms");

  EXPECT_EQ(embed(kOneText).error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(http.calls().size(), 1U);
}

TEST_F(OpenAiEmbedderTest, never_pauses_past_the_deadline_whatever_the_faults) {
  std::mt19937_64 chance(5);
  for (int round = 0; round < 200; ++round) {
    FakeHttpClient faulty([&](const HttpCall& call) -> Result<HttpAnswer> {
      clock.advance(Duration(static_cast<std::int64_t>(chance() % 2'000) * 1'000'000));
      EXPECT_GT(call.timeout, 0ms);
      return HttpAnswer{
          chance() % 2 == 0 ? 429 : 500, {{"retry-after", std::to_string(chance() % 5)}}, ""};
    });
    const auto embedder = *OpenAiEmbedder::make(faulty, clock, random, options);
    const auto deadline = clock.now() + 6s;

    ASSERT_FALSE(embedder->embed(kOneText, EmbedRole::query, nullptr, 6s));

    EXPECT_LT(clock.now(), deadline + 2s) << "only the last answer itself may be late";
  }
}

TEST_F(OpenAiEmbedderTest, blames_the_text_for_a_refusal_and_shortens_what_the_server_said) {
  for (const int status : {400, 413, 422}) {
    http.then_answer(status, R"({"error":{"message":")" + std::string(5000, 'x') + "\"}}");

    const auto vectors = embed(kOneText);

    ASSERT_FALSE(vectors);
    EXPECT_EQ(vectors.error().code, ErrorCode::invalid_argument);
    EXPECT_LT(vectors.error().message.size(), 400U);
  }
  EXPECT_EQ(http.calls().size(), 3U);
}

TEST_F(OpenAiEmbedderTest, does_not_blame_the_text_for_a_wrong_key_or_model) {
  for (const int status : {301, 401, 402, 403, 404}) {
    http.then_answer(status, R"({"error":{"message":"Incorrect API key: secret-key"}})");

    const auto vectors = embed(kOneText);

    ASSERT_FALSE(vectors);
    EXPECT_EQ(vectors.error().code, ErrorCode::unavailable) << status;
    EXPECT_EQ(vectors.error().message.find("secret-key"), std::string::npos);
  }
  EXPECT_EQ(http.calls().size(), 5U);
}

TEST_F(OpenAiEmbedderTest, calls_an_answer_past_its_limit_the_servers_fault) {
  http.then_fail(ErrorCode::resource_exhausted, "the answer is longer than 67000 bytes");

  EXPECT_EQ(embed(kOneText).error().code, ErrorCode::unavailable);
  EXPECT_LT(http.calls().at(0).answer_bytes_max, 100'000U);
}

TEST_F(OpenAiEmbedderTest, refuses_text_that_is_not_utf8_without_asking) {
  EXPECT_EQ(embed({"\xFF"}).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(http.calls().empty());
}

TEST_F(OpenAiEmbedderTest, is_not_made_with_options_that_cannot_work) {
  const auto code_with = [&](auto change) {
    auto wrong = options;
    change(wrong);
    return OpenAiEmbedder::make(http, clock, random, wrong).error().code;
  };

  EXPECT_EQ(code_with([](auto& o) { o.url = "example.test"; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.model = ""; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.key = "a\r\nX: y"; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.batch_max = 0; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.dimension = 0; }), ErrorCode::unavailable);
}

}  // namespace
}  // namespace samtale

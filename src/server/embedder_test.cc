#include <gmock/gmock.h>

#include "server/app.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using std::chrono_literals::operator""ms;

class MakeEmbedderTest : public testing::Test {
 protected:
  Result<MadeEmbedder> make() { return make_embedder(config, http_client, clock, random, log); }

  Config config;
  FakeHttpClient http_client;
  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
};

TEST_F(MakeEmbedderTest, the_builtin_one_needs_nothing_and_is_always_ready) {
  const auto made = make();

  ASSERT_TRUE(made);
  EXPECT_THAT(made->embedder->model_id(), HasSubstr("builtin"));
  EXPECT_FALSE(made->watch);
  EXPECT_TRUE(made->is_ready());
  EXPECT_THAT(http_client.calls(), SizeIs(0));
}

TEST_F(MakeEmbedderTest, a_server_is_asked_as_the_configuration_says) {
  config.embed.kind = "openai";
  config.embed.url = "https://embed.test/v1";
  config.embed.model = "small";
  config.embed.timeout = 1234ms;
  http_client.then_answer(200, R"({"data":[{"index":0,"embedding":[0.6,0.8]}]})");

  const auto made = make();

  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->embedder->model_id(), "openai:small:2");
  EXPECT_FALSE(made->watch);
  EXPECT_TRUE(made->is_ready());
  ASSERT_THAT(http_client.calls(), SizeIs(1));
  EXPECT_EQ(http_client.calls().front().url, "https://embed.test/v1/embeddings");
  EXPECT_EQ(http_client.calls().front().timeout, 1234ms);
}

TEST_F(MakeEmbedderTest, a_server_of_known_dimension_is_not_asked_at_the_start) {
  config.embed.kind = "openai";
  config.embed.url = "https://embed.test/v1";
  config.embed.model = "small";
  config.embed.dimension = 8;

  const auto made = make();

  ASSERT_TRUE(made);
  EXPECT_EQ(made->embedder->dimension(), 8U);
  EXPECT_THAT(http_client.calls(), SizeIs(0));
}

TEST_F(MakeEmbedderTest, a_managed_one_is_watched_and_not_ready_before_its_server_runs) {
  config.embed.kind = "managed";
  config.embed.model = "e5";
  config.embed.dimension = 8;
  config.embed.command = {"/nonexistent", "{port}"};

  const auto made = make();

  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->embedder->model_id(), "managed:e5:8");
  EXPECT_TRUE(made->watch);
  EXPECT_FALSE(made->is_ready());
}

TEST_F(MakeEmbedderTest, a_key_file_that_is_missing_is_named_before_anything_is_sent) {
  config.embed.kind = "openai";
  config.embed.url = "https://embed.test/v1";
  config.embed.model = "small";
  config.embed.api_key_file = "/nonexistent/key";

  const auto made = make();

  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(made.error().message, HasSubstr("/nonexistent/key"));
  EXPECT_THAT(http_client.calls(), SizeIs(0));
}

}  // namespace
}  // namespace samtale

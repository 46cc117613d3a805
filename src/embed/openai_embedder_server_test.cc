// Goal:   the embedder and the real HTTP client together, against a server that misbehaves.
// Method: the scripted server, one process for all tests; faults that need waiting use a clock of
//         the test's, so that only the network takes real time.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embed/model_process.h"
#include "embed/openai_embedder.h"
#include "embed/testing/temporary_folder.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const std::string kServer = SAMTALE_SOURCE_DIR "/tests/support/scripted_embedding_server.py";

class OpenAiEmbedderServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    const auto announce = *folder / "port";
    ASSERT_EQ(::mkfifo(announce.c_str(), 0600), 0);
    const int fifo = ::open(announce.c_str(), O_RDWR | O_CLOEXEC);
    auto started = ModelProcess::start({"python3", kServer, "--port", "0", "--announce", announce},
                                       *folder / "server.log");
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);

    pollfd announced{.fd = fifo, .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&announced, 1, 30'000), 1) << "the server has not started";
    char text[16] = {};
    ASSERT_GT(::read(fifo, text, sizeof text - 1), 0);
    port = std::stoi(text);
    ::close(fifo);
  }
  static void TearDownTestSuite() {
    server.reset();
    folder.reset();
  }

  Result<std::vector<std::vector<float>>> embed(const std::string& model,
                                                const std::vector<std::string>& texts,
                                                Duration timeout = 30s) {
    OpenAiEmbedderOptions options;
    options.url = "http://127.0.0.1:" + std::to_string(port);
    options.model = model;
    options.dimension = 8;
    const auto embedder = *OpenAiEmbedder::make(*http, clock, random, options);
    return embedder->embed(texts, EmbedRole::passage, nullptr, timeout);
  }
  ErrorCode code_of(const std::string& model, Duration timeout = 30s) {
    const auto vectors = embed(model, {"first", "second"}, timeout);
    return vectors ? ErrorCode::conflict : vectors.error().code;
  }

  inline static std::unique_ptr<TemporaryFolder> folder;
  inline static std::unique_ptr<ModelProcess> server;
  inline static int port = 0;

  std::unique_ptr<HttpClient> http = make_http_client();
  SimClock clock;
  SimRandom random{1};
};

TEST_F(OpenAiEmbedderServerTest, embeds_whatever_the_order_of_the_answer) {
  const auto straight = embed("ok", {"first", "second", "æøå \"quoted\" \n"});
  const auto reversed = embed("reversed", {"first", "second", "æøå \"quoted\" \n"});

  ASSERT_TRUE(straight) << straight.error().message;
  ASSERT_TRUE(reversed) << reversed.error().message;
  EXPECT_EQ(*straight, *reversed);
  EXPECT_NE((*straight)[0], (*straight)[1]);
}

TEST_F(OpenAiEmbedderServerTest, outlives_faults_that_pass) {
  for (const auto* model : {"429:2", "429-wait:2", "500:2", "503-date:2", "reset:2"}) {
    EXPECT_TRUE(embed(model, {"first"})) << model;
  }
}

TEST_F(OpenAiEmbedderServerTest, has_the_right_error_for_faults_that_stay) {
  EXPECT_EQ(code_of("429"), ErrorCode::resource_exhausted);
  EXPECT_EQ(code_of("429-wait"), ErrorCode::resource_exhausted);
  EXPECT_EQ(code_of("zero"), ErrorCode::invalid_argument);
  for (const auto* model : {"500", "reset", "half-json", "short", "dimension", "nan"}) {
    EXPECT_EQ(code_of(model), ErrorCode::unavailable) << model;
  }
}

TEST_F(OpenAiEmbedderServerTest, cuts_off_an_endless_answer) {
  EXPECT_EQ(code_of("huge"), ErrorCode::unavailable);
}

TEST_F(OpenAiEmbedderServerTest, gives_a_hanging_server_up_at_the_deadline) {
  EXPECT_EQ(code_of("hang", 100ms), ErrorCode::deadline_exceeded);
}

TEST_F(OpenAiEmbedderServerTest, blames_the_texts_when_one_of_them_is_refused) {
  const auto vectors = embed("ok", {"fine", "POISON"});

  ASSERT_FALSE(vectors);
  EXPECT_EQ(vectors.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(vectors.error().message.contains("content filter"));
}

}  // namespace
}  // namespace samtale

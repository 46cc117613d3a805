// Goal:   the embedder keeps a server running through every way in which it can fail.
// Method: a real process (the scripted server) and real HTTP; the watch is stepped by hand and its
//         clock moves only when a test moves it.
#include "embed/managed_embedder.h"

#include <gtest/gtest.h>

#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <thread>

#include "embed/testing/temporary_folder.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const std::string kServer = SAMTALE_SOURCE_DIR "/tests/support/scripted_embedding_server.py";

class ManagedEmbedderTest : public testing::Test {
 protected:
  ManagedEmbedderTest() {
    options.command = {"python3", kServer, "--port", "{port}"};
    options.server.model = "ok";
    options.server.dimension = 8;
    options.log_path = folder / "server.log";
    options.stop_grace = 10ms;
    options.probe_timeout = 5s;
  }

  void make() { make(clock); }
  void make(Clock& with) {
    auto made = ManagedEmbedder::make(*http, with, random, log, options);
    ASSERT_TRUE(made) << made.error().message;
    embedder = std::move(*made);
  }
  // Steps until it is so; gives up after a time in which any machine gets there.
  bool step_until(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      embedder->step();
      std::this_thread::yield();
    }
    return true;
  }
  bool becomes_ready() {
    return step_until([this] { return embedder->is_ready(); });
  }
  bool goes_down() {
    return step_until([this] { return log.has("embed.server_down"); });
  }
  Result<std::vector<std::vector<float>>> embed(const std::string& text, Duration timeout = 20s) {
    return embedder->embed({&text, 1}, EmbedRole::passage, nullptr, timeout);
  }
  pid_t pid() {
    for (const auto& line : log.lines()) {
      const auto at = line.find("pid=");
      if (at != std::string::npos) return std::stoi(line.substr(at + 4));
    }
    return 0;
  }

  // Returns once every thread of the server has stopped: until the kernel has told them all, one of
  // them may still answer a probe.
  void freeze() {
    siginfo_t info{};
    ASSERT_EQ(::kill(pid(), SIGSTOP), 0);
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid()), &info, WSTOPPED | WNOWAIT), 0);
  }

  // Returns once the server has ended: its connections close earlier, and a probe in between would
  // find a server that does not answer.
  void ends() {
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOWAIT), 0);
  }

  TemporaryFolder folder;
  std::unique_ptr<HttpClient> http = make_http_client();
  SimClock clock;            // Of one thread.
  SystemClock system_clock;  // Where callers have threads of their own.
  SimRandom random{1};
  MemoryLog log;
  ManagedEmbedderOptions options;
  std::unique_ptr<ManagedEmbedder> embedder;
};

TEST_F(ManagedEmbedderTest, starts_a_server_and_embeds_with_it) {
  make();
  ASSERT_TRUE(becomes_ready());

  const auto vectors = embed("hello");

  ASSERT_TRUE(vectors) << vectors.error().message;
  EXPECT_EQ(vectors->front().size(), 8U);
  EXPECT_EQ(embedder->model_id(), "managed:ok:8");
}

TEST_F(ManagedEmbedderTest, is_unavailable_and_says_why_until_the_server_is_ready) {
  make();

  const auto vectors = embed("hello");

  ASSERT_FALSE(vectors);
  EXPECT_EQ(vectors.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(vectors.error().message.contains("not been started"));
}

TEST_F(ManagedEmbedderTest, starts_a_server_anew_that_has_died) {
  make();
  ASSERT_TRUE(becomes_ready());

  ASSERT_FALSE(embed("DIE"));
  ends();
  ASSERT_TRUE(goes_down());
  EXPECT_TRUE(embed("hello").error().message.contains("exited with status 3"));
  clock.advance(1s);

  ASSERT_TRUE(becomes_ready());
  EXPECT_TRUE(embed("hello"));
}

TEST_F(ManagedEmbedderTest, waits_longer_after_each_failure_in_a_row) {
  options.command = {"sh", "-c", "exit 1 # {port}"};
  make();

  for (const auto pause : {1'000ms, 2'000ms, 4'000ms, 8'000ms}) {
    const auto failures = [&] {
      return std::ranges::count_if(
          log.lines(), [](const auto& line) { return line.starts_with("embed.server_down"); });
    };
    const auto before = failures();
    ASSERT_TRUE(step_until([&] { return failures() > before; }));

    clock.advance(pause / 2 - 1ms);  // Half of the pause is certain, half is chance.
    EXPECT_GT(embedder->step(), 0ms);
    EXPECT_EQ(failures(), before + 1);
    clock.advance(pause / 2 + 1ms);
  }
}

TEST_F(ManagedEmbedderTest, starts_a_server_anew_that_hangs) {
  options.probe_timeout = 50ms;
  options.silent_probes_max = 2;
  make();
  ASSERT_TRUE(becomes_ready());

  EXPECT_EQ(embed("FREEZE", 50ms).error().code, ErrorCode::deadline_exceeded);

  ASSERT_TRUE(goes_down());
  EXPECT_TRUE(log.lines().back().contains("does not answer"));
}

TEST_F(ManagedEmbedderTest, notices_without_any_call_that_a_server_hangs) {
  options.probe_timeout = 50ms;
  make();
  ASSERT_TRUE(becomes_ready());
  freeze();

  clock.advance(options.probe_every);

  EXPECT_TRUE(goes_down());
}

TEST_F(ManagedEmbedderTest, does_not_restart_a_server_that_merely_refuses_a_text) {
  make();
  ASSERT_TRUE(becomes_ready());

  EXPECT_EQ(embed("POISON").error().code, ErrorCode::invalid_argument);
  embedder->step();

  EXPECT_TRUE(embedder->is_ready());
}

TEST_F(ManagedEmbedderTest, never_calls_a_server_of_another_dimension_ready) {
  options.server.dimension = 9;
  make();
  embedder->step();

  ASSERT_TRUE(step_until([this] {
    clock.advance(1s);
    return log.has("embed.server_down");
  }));

  EXPECT_FALSE(embedder->is_ready());
}

TEST_F(ManagedEmbedderTest, stops_its_server_when_it_is_told_to_stop) {
  make();
  ASSERT_TRUE(becomes_ready());
  ASSERT_EQ(::kill(pid(), 0), 0);
  std::stop_source stop;
  stop.request_stop();

  embedder->run(stop.get_token());

  EXPECT_EQ(::kill(pid(), 0), -1);
  EXPECT_EQ(errno, ESRCH);
  EXPECT_FALSE(embed("hello"));
}

TEST_F(ManagedEmbedderTest, serves_many_threads_while_the_server_dies_and_comes_back) {
  options.server.tries_max = 1;
  options.restart_base = 1ms;
  make(system_clock);
  ASSERT_TRUE(becomes_ready());
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) good += embed("hello") ? 1 : 0;
      });
    }
    ::kill(pid(), SIGKILL);
    ASSERT_TRUE(goes_down());
    const int before = good;

    ASSERT_TRUE(step_until([&] { return good > before + 10; }));
  }
}

TEST_F(ManagedEmbedderTest, is_not_made_with_options_that_cannot_work) {
  const auto code_with = [&](auto change) {
    auto wrong = options;
    change(wrong);
    return ManagedEmbedder::make(*http, clock, random, log, wrong).error().code;
  };

  EXPECT_EQ(code_with([](auto& o) { o.command = {}; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.command = {"x"}; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.server.dimension = 0; }), ErrorCode::invalid_argument);
  EXPECT_EQ(code_with([](auto& o) { o.server.model = ""; }), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace samtale

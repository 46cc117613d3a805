// Goal: run() with real threads and the real disk: appends from many, reads, erasures and trims
// meanwhile, and an end with nothing left waiting.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <thread>
#include <vector>

#include "accept/accept_log.h"
#include "sim/memory_log.h"

namespace samtale {
namespace {

constexpr int kThreads = 4;
constexpr int kEach = 300;
constexpr AcceptLogOptions kOptions{.segment_bytes = 256 << 10, .record_bytes_max = 64 << 10};

class AcceptLogThreadsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto name = (std::filesystem::temp_directory_path() / "accept-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
    log = open_accept_log(*files, folder + "/log", kOptions, clock, lines).value();
    committer = std::jthread([this](const std::stop_token& stop) { log->run(stop); });
  }
  void TearDown() override {
    stop();
    log.reset();
    std::filesystem::remove_all(folder);
  }
  void stop() {
    committer.request_stop();
    if (committer.joinable()) committer.join();
  }

  std::string folder;
  std::unique_ptr<Files> files = make_system_files();
  SystemClock clock;
  MemoryLog lines;
  std::unique_ptr<AcceptLog> log;
  std::jthread committer;
};

TEST_F(AcceptLogThreadsTest, keeps_each_threads_order_while_others_read_and_erase) {
  std::atomic<int> answered = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        std::string payload(700, static_cast<char>('a' + thread));
        payload.replace(0, 4, std::to_string(1000 + i));
        std::latch done(1);
        log->append(std::move(payload), [&](const Result<LogPosition>& position) {
          EXPECT_TRUE(position);
          ++answered;
          done.count_down();
        });
        if (i % 2 == 0)
          done.wait();
        else
          while (!done.try_wait()) std::this_thread::yield();
      }
    });
  }

  std::vector<int> next(kThreads, 1000);
  int erased = 0;
  int read = 0;
  for (LogPosition from{}; read < kThreads * kEach;) {
    const auto entries = log->read(from, 20'000);
    ASSERT_TRUE(entries) << entries.error().message;
    if (entries->empty()) std::this_thread::yield();
    for (const auto& entry : *entries) {
      ASSERT_EQ(entry.payload.size(), 700U);
      const auto thread = static_cast<std::size_t>(entry.payload.back() - 'a');
      ASSERT_EQ(std::stoi(entry.payload.substr(0, 4)), next[thread]++);
      if (++read % 50 == 0) {
        ASSERT_TRUE(log->erase(entry.position));
        ++erased;
      }
      from = entry.next;
    }
  }
  threads.clear();

  EXPECT_EQ(answered, kThreads * kEach);
  std::size_t gone = 0;
  for (LogPosition from{};;) {
    const auto entries = log->read(from, 1 << 20).value();
    if (entries.empty()) break;
    for (const auto& entry : entries) gone += entry.is_erased ? 1 : 0;
    from = entries.back().next;
  }
  EXPECT_EQ(gone, static_cast<std::size_t>(erased));
}

TEST_F(AcceptLogThreadsTest, a_reader_meets_erasures_whole) {
  std::vector<LogPosition> positions(200);
  std::latch done(200);
  for (auto& position : positions) {
    log->append(std::string(3000, 'x'), [&](const Result<LogPosition>& at) {
      position = at.value();
      done.count_down();
    });
  }
  done.wait();

  std::jthread eraser([&] {
    for (const auto position : positions) EXPECT_TRUE(log->erase(position));
  });
  for (std::size_t erased = 0; erased < positions.size();) {
    erased = 0;
    for (LogPosition from{}; from < log->end();) {
      const auto entries = log->read(from, 1 << 20);
      ASSERT_TRUE(entries) << entries.error().message;
      for (const auto& entry : *entries) {
        ASSERT_TRUE(entry.is_erased || entry.payload == std::string(3000, 'x'));
        erased += entry.is_erased ? 1 : 0;
      }
      if (entries->empty()) break;
      from = entries->back().next;
    }
  }
}

TEST_F(AcceptLogThreadsTest, an_append_gets_its_turn_between_erasures) {
  LogPosition position{};
  std::latch first(1);
  log->append("a secret", [&](const Result<LogPosition>& at) {
    position = at.value();
    first.count_down();
  });
  first.wait();

  std::vector<std::jthread> erasers;
  for (int i = 0; i < 2; ++i) {
    erasers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) EXPECT_TRUE(log->erase(position));
    });
  }
  for (int i = 0; i < 20; ++i) {
    std::latch done(1);
    log->append("beside", [&](const Result<LogPosition>&) { done.count_down(); });
    done.wait();
  }

  EXPECT_EQ(log->stats().appended, 21U);
}

TEST_F(AcceptLogThreadsTest, ends_with_nothing_waiting) {
  std::atomic<int> answered = 0;
  for (int i = 0; i < 1000; ++i) {
    log->append(std::string(100, 'x'), [&](const Result<LogPosition>& position) {
      if (position) ++answered;
    });
  }

  stop();

  EXPECT_EQ(answered, 1000);
}

TEST_F(AcceptLogThreadsTest, trims_behind_a_reader) {
  LogPosition last{};
  for (int i = 0; i < 40; ++i) {
    std::latch done(1);
    log->append(std::string(60'000, 'x'), [&](const Result<LogPosition>& at) {
      last = at.value();
      done.count_down();
    });
    done.wait();
    ASSERT_TRUE(log->trim(last));
  }

  EXPECT_LE(log->stats().segments, 3U);
  EXPECT_EQ(log->read(last, 1)->size(), 1U);
}

}  // namespace
}  // namespace samtale

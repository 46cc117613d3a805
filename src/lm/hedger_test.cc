#include "lm/hedger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <semaphore>

#include "lm/testing/manual_clock.h"

namespace samtale {
namespace {

TEST(HedgerTest, begins_when_the_time_has_come) {
  ManualClock clock;
  Hedger hedger(clock);
  std::binary_semaphore begun(0);
  Hedger::Work work(hedger, clock.now() + std::chrono::seconds(2),
                    [&](const std::stop_token&) { begun.release(); });
  clock.wait_for_sleepers(1);

  clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(begun.try_acquire());
  clock.advance(std::chrono::seconds(1));

  begun.acquire();
  work.end();
}

TEST(HedgerTest, looks_earlier_for_what_is_due_earlier) {
  ManualClock clock;
  Hedger hedger(clock);
  std::binary_semaphore begun(0);
  const auto nothing = [](const std::stop_token&) {};
  Hedger::Work later(hedger, clock.now() + std::chrono::hours(2), nothing);
  clock.wait_for_sleepers(1);

  Hedger::Work sooner(hedger, clock.now(), [&](const std::stop_token&) { begun.release(); });

  begun.acquire();
}

TEST(HedgerTest, never_begins_what_was_called_off) {
  ManualClock clock;
  std::atomic<int> begun = 0;
  {
    Hedger hedger(clock);
    Hedger::Work work(hedger, clock.now() + std::chrono::seconds(1),
                      [&](const std::stop_token&) { ++begun; });

    work.end();
    clock.advance(std::chrono::seconds(5));
    Hedger::Work other(hedger, clock.now(), [&](const std::stop_token&) { begun += 10; });
    while (begun == 0) std::this_thread::yield();
  }

  EXPECT_EQ(begun, 10);
}

TEST(HedgerTest, waits_for_what_it_has_begun_and_can_stop_it) {
  ManualClock clock;
  Hedger hedger(clock);
  std::binary_semaphore begun(0);
  bool was_stopped = false;
  Hedger::Work work(hedger, clock.now(), [&](const std::stop_token& stop) {
    begun.release();
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait(lock, stop, [] { return false; });
    was_stopped = true;
  });
  begun.acquire();

  work.stop();
  work.end();

  EXPECT_TRUE(was_stopped);
}

}  // namespace
}  // namespace samtale

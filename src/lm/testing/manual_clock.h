// ManualClock: moves only when a test moves it, and may be slept on by many threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "sys/clock.h"

namespace samtale {

// Threads: any method from any thread.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override {
    return WallTime(std::chrono::floor<std::chrono::microseconds>(now().time_since_epoch()));
  }
  [[nodiscard]] Instant now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  void sleep_for(Duration length, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    const auto end = now_ + length;
    ++sleepers_;
    changed_.notify_all();
    changed_.wait(lock, stop, [&] { return now_ >= end; });
    --sleepers_;
    changed_.notify_all();
  }

  void advance(Duration length) {
    const std::lock_guard lock(mutex_);
    now_ += length;
    changed_.notify_all();
  }
  void wait_for_sleepers(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sleepers_ == count; });
  }

 private:
  mutable std::mutex mutex_;  // Guards the rest.
  std::condition_variable_any changed_;
  Instant now_{std::chrono::hours(1)};
  std::size_t sleepers_ = 0;
};

}  // namespace samtale

// SimClock: a clock that moves only when a test or a simulation moves it.
#pragma once

#include <atomic>

#include "sys/clock.h"

namespace samtale {

// Threads: any method from any thread. Nobody waits: sleeping only moves the time on, for all.
class SimClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override {
    return kStart + std::chrono::duration_cast<std::chrono::microseconds>(elapsed());
  }
  [[nodiscard]] Instant now() const override { return Instant{} + elapsed(); }
  void sleep_for(Duration length, std::stop_token) override { advance(length); }

  void advance(Duration length) { elapsed_ += length.count(); }

 private:
  static constexpr WallTime kStart =
      std::chrono::sys_days(std::chrono::year{2026} / std::chrono::January / 1);
  [[nodiscard]] Duration elapsed() const { return Duration(elapsed_.load()); }

  std::atomic<Duration::rep> elapsed_{0};
};

}  // namespace samtale

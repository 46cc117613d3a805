// SimClock: a clock that moves only when a test or a simulation moves it.
#pragma once

#include "sys/clock.h"

namespace samtale {

// Threads: one. A simulation has a single thread, so sleeping only moves the time on.
class SimClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override {
    return kStart + std::chrono::duration_cast<std::chrono::microseconds>(elapsed_);
  }
  [[nodiscard]] Instant now() const override { return Instant{} + elapsed_; }
  void sleep_for(Duration length, std::stop_token) override { elapsed_ += length; }

  void advance(Duration length) { elapsed_ += length; }

 private:
  static constexpr WallTime kStart =
      std::chrono::sys_days(std::chrono::year{2026} / std::chrono::January / 1);
  Duration elapsed_{};
};

}  // namespace samtale

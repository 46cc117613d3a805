// The clock of the process, handed to whoever needs one. Nothing else in src/ asks the OS for the
// time, so that a simulation can own it.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>

namespace samtale {

using Duration = std::chrono::nanoseconds;
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;             // For records.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;  // For waiting.

// Threads: every method may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  [[nodiscard]] virtual WallTime wall_now() const = 0;  // May jump; never subtract two of these.
  [[nodiscard]] virtual Instant now() const = 0;        // Never goes back.

  // Returns after `length`, or as soon as `stop` is requested.
  virtual void sleep_for(Duration length, std::stop_token stop) = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override;
  [[nodiscard]] Instant now() const override;
  void sleep_for(Duration length, std::stop_token stop) override;
};

// Microseconds since 1970-01-01 UTC: how times are stored.
[[nodiscard]] constexpr std::int64_t to_us(WallTime time) {
  return time.time_since_epoch().count();
}
[[nodiscard]] constexpr WallTime from_us(std::int64_t us) {
  return WallTime(std::chrono::microseconds(us));
}

}  // namespace samtale

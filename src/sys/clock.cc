#include "sys/clock.h"

#include <condition_variable>
#include <mutex>

namespace samtale {

WallTime SystemClock::wall_now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

Instant SystemClock::now() const { return std::chrono::steady_clock::now(); }

void SystemClock::sleep_for(Duration length, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, length, [] { return false; });
}

}  // namespace samtale

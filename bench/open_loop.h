// What is done at a fixed rate, whether or not what was before has ended: latencies count from when
// it was due, so that nothing that is slow hides what waits behind it.
#pragma once

#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace samtale {

inline double wall_s() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// Several threads may share one.
struct OpenLoop {
  double per_s = 1;
  double begin = 0;  // As wall_s().
  double end = 0;
  std::atomic<std::uint64_t> next = 0;

  // Calls act(n, due) for each n that no other thread has, when it is due or as soon as it can.
  template <class Act>
  void run(const Act& act) {
    ::prctl(PR_SET_TIMERSLACK, 1'000UL);  // Else it wakes 50 µs late.
    for (auto n = next++;; n = next++) {
      const auto due = begin + static_cast<double>(n) / per_s;
      if (due >= end) return;
      const auto ahead = due - wall_s();
      if (ahead > 0) std::this_thread::sleep_for(std::chrono::duration<double>(ahead));
      act(n, due);
    }
  }
};

inline double tenths(double value) { return std::round(value * 10) / 10; }

inline double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto place = share * static_cast<double>(values.size());
  return values[std::min(static_cast<std::size_t>(place), values.size() - 1)];
}

}  // namespace samtale

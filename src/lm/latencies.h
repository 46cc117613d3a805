// Latencies: how long the last answers of an account took.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>

#include "sys/clock.h"

namespace samtale {

// Threads: any.
class Latencies {
 public:
  void add(Duration took) {
    const std::lock_guard lock(last_mutex_);
    last_[count_++ % kKept] = took;
    // Sorting out 200 numbers takes a microsecond: not for each of them.
    if (count_ % kRefresh == 0 && count_ >= kEnough) p95_ = find_p95().count();
  }

  // Nothing while too few are known.
  [[nodiscard]] std::optional<Duration> p95() const {
    const Duration known(p95_.load());
    return known > Duration::zero() ? std::optional(known) : std::nullopt;
  }

 private:
  static constexpr std::size_t kKept = 200;
  static constexpr std::size_t kEnough = 20;
  static constexpr std::size_t kRefresh = 10;

  [[nodiscard]] Duration find_p95() const {
    auto sorted = last_;
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(count_, kKept));
    const auto at = sorted.begin() + (end - sorted.begin()) * 95 / 100;
    std::nth_element(sorted.begin(), at, end);
    return *at;
  }

  mutable std::mutex last_mutex_;
  std::array<Duration, kKept> last_{};  // A ring, guarded by last_mutex_.
  std::size_t count_ = 0;               // Guarded by last_mutex_.
  std::atomic<Duration::rep> p95_ = 0;
};

}  // namespace samtale

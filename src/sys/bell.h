// Bell: wakes threads that rest, when there may be something for them to do.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include "sys/clock.h"

namespace samtale {

// Whoever looks for something to do reads rings() first and, having found nothing, waits with that:
// what came meanwhile has rung, and it does not wait.
// Threads: any method from any thread.
class Bell {
 public:
  // Of what can be found by now. Cheap where nobody waits.
  void ring();
  // How often it was rung.
  [[nodiscard]] std::uint64_t rings() const { return rings_; }
  // Returns once it was rung more often than `heard`, or after `length`, or as soon as `stop` is
  // requested. True if it was rung.
  bool wait(std::uint64_t heard, Duration length, const std::stop_token& stop);

 private:
  std::atomic<std::uint64_t> rings_ = 0;
  std::mutex mutex_;
  std::condition_variable_any rung_;
};

}  // namespace samtale

// AdaptiveBatch: how many texts the next call to an embedder should carry, and whether waiting for
// more of them pays.
#pragma once

#include <chrono>
#include <cstddef>

#include "sys/clock.h"

namespace samtale {

struct AdaptiveBatchOptions {
  std::size_t size_max = 32;                         // The embedder's batch_max.
  Duration target = std::chrono::milliseconds(250);  // Of one call.
  Duration wait_max = std::chrono::milliseconds(20);
};

// Doubles the size while calls take less than half the target, then adds one at a time; a call that
// takes longer than the target shrinks it in proportion, at most by half; a failed call halves it.
// So a batch grows only on the evidence of full ones, and one slow call costs little.
// Threads: one.
// Source:  Chiu and Jain, "Analysis of the increase and decrease algorithms" (1989), with the slow
//          start of TCP (RFC 5681 section 3.1).
class AdaptiveBatch {
 public:
  explicit AdaptiveBatch(AdaptiveBatchOptions options = {});

  // 0 if nothing waits; else between 1 and size_max.
  [[nodiscard]] std::size_t next_size(std::size_t waiting) const;

  // How long to hold `waiting` texts back for more to join them. Zero if the batch is full or
  // another call is not already running: an idle embedder is never kept waiting.
  [[nodiscard]] Duration next_wait(std::size_t waiting, bool other_call_runs) const;

  // What a call of `size` texts did. `ok` is false if it failed for whatever reason.
  void observe(std::size_t size, Duration took, bool ok);

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  const AdaptiveBatchOptions options_;
  std::size_t size_ = 1;
  bool fast_start_ = true;  // Until the first call past the target or the first failure.
  Duration last_took_{};
};

}  // namespace samtale

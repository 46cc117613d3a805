// SimRandom: chance that a seed repeats.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>

#include "sys/random.h"

namespace samtale {

// Threads: any method from any thread; a repeatable order needs a single one.
class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::string bytes(std::size_t count) override {
    const std::lock_guard lock(engine_mutex_);
    std::string out(count, '\0');
    for (char& byte : out) byte = static_cast<char>(engine_());
    return out;
  }

  [[nodiscard]] std::uint64_t next() {
    const std::lock_guard lock(engine_mutex_);
    return engine_();
  }
  [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return next() % limit; }
  [[nodiscard]] bool one_in(std::uint64_t count) { return below(count) == 0; }

 private:
  std::mutex engine_mutex_;
  std::mt19937_64 engine_;  // Guarded by engine_mutex_.
};

}  // namespace samtale

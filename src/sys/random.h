// Chance, handed in like the clock, so that a seed repeats a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace samtale {

// Threads: any method from any thread.
class Random {
 public:
  virtual ~Random() = default;

  // `count` bytes fit for keys and ids (unguessable in production).
  [[nodiscard]] virtual std::string bytes(std::size_t count) = 0;

  // Uniform in [0, 1).
  [[nodiscard]] double fraction();
};

// The kernel's generator (getrandom(2)).
class SystemRandom final : public Random {
 public:
  [[nodiscard]] std::string bytes(std::size_t count) override;
};

}  // namespace samtale

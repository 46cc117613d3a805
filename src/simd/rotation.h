// Rotation: turns vectors at random, after which no dimension is larger than others by nature.
//
// Signs and Hadamard transforms, as in Ailon and Chazelle, "The Fast Johnson-Lindenstrauss
// Transform" (2009): as many rounds as give each dimension something of all. The same in every
// process.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace samtale {

// Threads: any.
class Rotation {
 public:
  // Of vectors of so many dimensions, at most 2^17.
  explicit Rotation(std::size_t dimension);

  // Dimensions of a vector that was turned: whole blocks of kHalfBlockDimensions.
  [[nodiscard]] std::size_t size() const { return size_; }
  // A product of two that were turned differs from theirs by at most so much of their lengths.
  [[nodiscard]] float error() const { return error_; }

  // turned: size() floats.
  void turn(std::span<const float> vector, std::span<float> turned) const;

  [[nodiscard]] std::size_t bytes() const { return signs_.capacity() * sizeof(float); }

 private:
  std::size_t size_;
  std::vector<float> signs_;  // A round after the other.
  float error_;
};

}  // namespace samtale

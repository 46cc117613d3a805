#include "simd/rotation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "simd/codes.h"

namespace samtale {
namespace {

// SplitMix64 (Steele, Lea and Flood, 2014): the same signs in every process.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

std::size_t rounds_for(std::size_t size) {
  std::size_t rounds = 0;
  for (std::size_t mixed = 1; mixed < size; mixed *= kTurned) ++rounds;
  return rounds;
}

}  // namespace

Rotation::Rotation(std::size_t dimension)
    : size_((dimension + kHalfBlockDimensions - 1) / kHalfBlockDimensions * kHalfBlockDimensions) {
  const auto rounds = rounds_for(size_);
  signs_.resize(rounds * size_);
  for (std::size_t i = 0; i < signs_.size(); ++i) {
    signs_[i] = (mix(i) & 1U) != 0 ? 1.0F : -1.0F;
  }
  // Three sums and a product a round, and the factor's own rounding: five roundings of each of the
  // two vectors, and as much again for what is of second order.
  error_ = static_cast<float>(rounds) * 2 * 2 * 5 * std::ldexp(1.0F, -24);
}

void Rotation::turn(std::span<const float> vector, std::span<float> turned) const {
  // The rounds go to and fro between the two, and end in `turned`.
  std::vector<float> other(size_);
  const auto rounds = size_ == 0 ? 0 : signs_.size() / size_;
  auto* from = rounds % 2 == 0 ? turned.data() : other.data();
  auto* to = rounds % 2 == 0 ? other.data() : turned.data();
  std::ranges::copy(vector, from);
  std::fill(from + vector.size(), from + size_, 0.0F);
  for (std::size_t round = 0; round < rounds; ++round) {
    const bool deals = round + 1 < rounds;
    code_kernels().turn(from, signs_.data() + round * size_, size_ / kTurned, deals, to);
    std::swap(from, to);
  }
}

}  // namespace samtale

// CompactRows: vectors in 4 or 2 bits a dimension, for comparing where a small error only costs a
// detour.
//
// For a query q and vectors x around their mean m, with r = x - m,
//
//   q.x = q.m + m.r + (q - m).r
//
// so only r and q - m are rounded, which are short where vectors have much in common. r is turned
// by a random rotation, the same for each (simd/rotation.h), and rounded to 16 or 4 levels. A scale
// makes its score with itself right (as in Gao and Long, "RaBitQ", SIGMOD 2024), so that scores err
// to both sides alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/huge_pages.h"
#include "simd/rotation.h"

namespace samtale {

// Errors of many dimensions cancel out: the more there are, the fewer bits each needs.
//
// Shapes:  64 bytes for each 128 dimensions of a vector, or 256 at 2 bits, or part of them.
// Threads: any, while nothing is added.
class CompactRows {
 public:
  struct Query {
    std::vector<std::int8_t> codes;
    float offset = 0;  // What the sums of products are too large by.
    float scale = 0;   // A score times this is about the dot product.
    float common = 0;  // The dot product with the mean.
    // Scores, times scale, are hardly ever farther off: four standard deviations.
    float likely_error = 0;
  };

  // Bits that are enough for so many dimensions: walks with fewer go no farther.
  static constexpr std::size_t kTwoBitsFrom = 1'024;
  [[nodiscard]] static constexpr unsigned bits_for(std::size_t dimension) {
    return dimension < kTwoBitsFrom ? 4 : 2;
  }

  // mean: about that of the vectors to come; at most 2^17 numbers. bits: 4 or 2.
  CompactRows(std::span<const float> mean, unsigned bits);

  void reserve(std::size_t rows);
  // Of about unit length.
  void add(std::span<const float> vector);

  [[nodiscard]] Query encode(std::span<const float> query) const;
  // What to multiply `query` with the rows at `places` gives, up to a factor of the query's own.
  // `sums` is for its own use.
  void score(const Query& query, std::span<const std::uint32_t> places,
             std::vector<std::int32_t>& sums, std::vector<float>& scores) const;

  [[nodiscard]] std::size_t bytes() const {
    return codes_.capacity() + mean_.capacity() * sizeof(float) +
           factors_.capacity() * sizeof(Factors) + rotation_.bytes();
  }

 private:
  [[nodiscard]] std::vector<float> rotated(std::span<const float> vector) const;

  Rotation rotation_;
  std::vector<float> mean_;  // Rotated.
  unsigned bits_;
  float middle_;  // Level u stands for u - middle_ steps.
  std::size_t blocks_;
  HugeVector<std::uint8_t> codes_;
  struct Factors {
    float scale;
    float shift;  // m.r
  };
  std::vector<Factors> factors_;
  double squared_errors_ = 0;  // Lengths of what the scaled codes leave out, of all rows.
};

}  // namespace samtale

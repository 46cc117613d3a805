// Vectors quantised to 8, 4 or 2 bits: their making and their dot products, by the widest
// instructions this processor has.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace samtale {

// One instruction set's kernel. Pointers need no alignment.
struct CodeKernels {
  const char* name;
  // out[r] = sum of query[i] * rows[r * dimension + i]: exact, so the same for every kernel. All
  // values within -127 and 127; `dimension` at most 2^17.
  void (*dot_rows)(const std::int8_t* query, const std::int8_t* rows, std::size_t count,
                   std::size_t dimension, std::int32_t* out);
  // The same for the rows at `places`, which may lie far apart: those to come are fetched ahead.
  // The query's values within query_code_max(dimension), or the sum would not fit.
  void (*dot_some)(const std::int16_t* query, const std::int8_t* rows, const std::uint32_t* places,
                   std::size_t count, std::size_t dimension, std::int32_t* out);
  // The same for rows of 4 bits a dimension, 0 to 15, in blocks of 64 bytes: byte i of a block
  // holds dimension i of its 128 in the low half and dimension 64 + i in the high half. The query
  // has 128 values a block, in order, within -127 and 127; at most 2^10 blocks a row.
  void (*dot_rows_half)(const std::int8_t* query, const std::uint8_t* rows, std::size_t count,
                        std::size_t blocks, std::int32_t* out);
  void (*dot_some_half)(const std::int8_t* query, const std::uint8_t* rows,
                        const std::uint32_t* places, std::size_t count, std::size_t blocks,
                        std::int32_t* out);
  // The same for rows of 2 bits a dimension, 0 to 3: byte i of a block holds dimensions i, 64 + i,
  // 128 + i and 192 + i of its 256, from the lowest bits on.
  void (*dot_some_quarter)(const std::int8_t* query, const std::uint8_t* rows,
                           const std::uint32_t* places, std::size_t count, std::size_t blocks,
                           std::int32_t* out);

  // out[i] = values[i] * per_step, rounded to the nearest (to the even one of two), within -127 and
  // 127. All products are to be below 2^31. The same for every kernel.
  void (*quantise)(const float* values, std::size_t count, float per_step, std::int8_t* out);
  // A round of a random rotation: values times signs, and of each eight that lie `rows` apart the
  // Walsh-Hadamard transform, lengths kept. 8 * `rows` values, `rows` a multiple of 8. Dealt out
  // like cards, so that the eight lie side by side, if `deals`; else where they were. `out` is
  // apart from `values`. The same for every kernel.
  void (*turn)(const float* values, const float* signs, std::size_t rows, bool deals, float* out);
};

// What a query's values may be at most, and at least, in a sum of so many products.
[[nodiscard]] constexpr std::int32_t query_code_max(std::size_t dimension) {
  constexpr std::size_t kSumMax = std::numeric_limits<std::int32_t>::max();
  constexpr std::size_t kMost = std::numeric_limits<std::int16_t>::max();
  constexpr std::size_t kRowMax = 127;
  return static_cast<std::int32_t>(
      std::min(kMost, kSumMax / (kRowMax * std::max<std::size_t>(dimension, 1))));
}

// The greatest size of a value, by which a step is chosen; 0 of none.
[[nodiscard]] inline float greatest_size(std::span<const float> values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

inline constexpr std::size_t kTurned = 8;               // Values that are turned together.
inline constexpr float kTurnScale = 0.35355339059327F;  // 1 / sqrt(kTurned).
inline constexpr std::size_t kCodeBlockBytes = 64;      // Of codes of fewer than 8 bits.
inline constexpr std::size_t kHalfBlockDimensions = 128;
inline constexpr std::size_t kQuarterBlockDimensions = 256;

// Chosen once, at the first call: AVX-512 if the processor has it, else AVX2, or NEON, else scalar.
// The environment variable SAMTALE_SIMD=scalar|avx2|avx512|neon forces one, as for the distances.
// Threads: any.
[[nodiscard]] const CodeKernels& code_kernels();

// Each by itself, for tests: that which every processor runs, and those of this one, the widest
// first.
[[nodiscard]] const CodeKernels& scalar_code_kernels();
[[nodiscard]] std::vector<const CodeKernels*> wide_code_kernels();

}  // namespace samtale

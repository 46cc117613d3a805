// Distances between vectors of floats, by the widest instructions this processor has.
#pragma once

#include <cstddef>
#include <span>

namespace samtale {

// One instruction set's kernels. Pointers need no alignment.
struct DistanceKernels {
  const char* name;
  // Sum of a[i] * b[i].
  float (*dot)(const float* a, const float* b, std::size_t dimension);
  // out[r] = dot(query, rows + r * dimension): the same bits as `dot`, wherever the row lies, so
  // that equal vectors have equal scores.
  void (*dot_rows)(const float* query, const float* rows, std::size_t count, std::size_t dimension,
                   float* out);
};

// Chosen once, at the first call: AVX2 and FMA, or NEON, if the processor has them, else scalar.
// The environment variable SAMTALE_SIMD=scalar forces that (for tests, and to look at a suspicious
// result by the other); what the processor lacks is passed over.
// Threads: any.
[[nodiscard]] const DistanceKernels& distance_kernels();

// Each by itself, for tests: that which every processor runs, and this one's own; null if it has
// none.
[[nodiscard]] const DistanceKernels& scalar_distance_kernels();
[[nodiscard]] const DistanceKernels* wide_distance_kernels();

[[nodiscard]] inline float dot(std::span<const float> a, std::span<const float> b) {
  return distance_kernels().dot(a.data(), b.data(), a.size() < b.size() ? a.size() : b.size());
}

}  // namespace samtale

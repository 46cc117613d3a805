#include "simd/distance.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#include <cmath>

namespace samtale {
namespace {

// Four sums under way, so that none holds the others up.
float dot_neon(const float* a, const float* b, std::size_t dimension) {
  constexpr std::size_t kSums = 4;
  constexpr std::size_t kLanes = 4;
  float32x4_t sums[kSums] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dimension; i += kSums * kLanes) {
    for (std::size_t k = 0; k < kSums; ++k) {
      sums[k] = vfmaq_f32(sums[k], vld1q_f32(a + i + k * kLanes), vld1q_f32(b + i + k * kLanes));
    }
  }
  auto sum = vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
  for (; i < dimension; ++i) sum = std::fma(a[i], b[i], sum);
  return sum;
}

void dot_rows_neon(const float* query, const float* rows, std::size_t count, std::size_t dimension,
                   float* out) {
  for (std::size_t r = 0; r < count; ++r) out[r] = dot_neon(query, rows + r * dimension, dimension);
}

constexpr DistanceKernels kNeon{.name = "neon", .dot = dot_neon, .dot_rows = dot_rows_neon};

}  // namespace

// Every 64-bit ARM processor has these instructions.
const DistanceKernels* wide_distance_kernels() { return &kNeon; }

}  // namespace samtale

#endif

#include "simd/distance.h"

namespace samtale {
namespace {

float dot_scalar(const float* a, const float* b, std::size_t dimension) {
  float sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) sum += a[i] * b[i];
  return sum;
}

void dot_rows_scalar(const float* query, const float* rows, std::size_t count,
                     std::size_t dimension, float* out) {
  for (std::size_t r = 0; r < count; ++r)
    out[r] = dot_scalar(query, rows + r * dimension, dimension);
}

constexpr DistanceKernels kScalar{.name = "scalar", .dot = dot_scalar, .dot_rows = dot_rows_scalar};

}  // namespace

const DistanceKernels& scalar_distance_kernels() { return kScalar; }

#if !defined(__x86_64__) && !defined(__aarch64__)
const DistanceKernels* wide_distance_kernels() { return nullptr; }
#endif

}  // namespace samtale

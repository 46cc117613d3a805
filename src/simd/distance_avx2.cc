#include "simd/distance.h"

#if defined(__x86_64__)

#include <immintrin.h>

// Marked function by function, not by a flag for the file: an inline function of the standard
// library compiled here with AVX2 could otherwise be the copy the linker keeps for all.
#define SAMTALE_AVX2 __attribute__((target("avx2,fma")))

namespace samtale {
namespace {

// Two sums a row, so that a row alone is not held up by one chain of additions.
struct Sums {
  __m256 even;
  __m256 odd;
};

SAMTALE_AVX2 inline float total(const Sums& sums) {
  const auto eight = _mm256_add_ps(sums.even, sums.odd);
  auto four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

// The floats past the last whole sixteen, in the same order for a row alone and one of four.
SAMTALE_AVX2 inline float with_tail(const Sums& sums, const float* a, const float* b,
                                    std::size_t from, std::size_t dimension) {
  float sum = total(sums);
  for (std::size_t i = from; i < dimension; ++i) {
    sum = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a[i]), _mm_set_ss(b[i]), _mm_set_ss(sum)));
  }
  return sum;
}

SAMTALE_AVX2 inline void step(Sums& sums, __m256 even, __m256 odd, const float* row) {
  sums.even = _mm256_fmadd_ps(even, _mm256_loadu_ps(row), sums.even);
  sums.odd = _mm256_fmadd_ps(odd, _mm256_loadu_ps(row + 8), sums.odd);
}

SAMTALE_AVX2 float dot_avx2(const float* a, const float* b, std::size_t dimension) {
  Sums sums{_mm256_setzero_ps(), _mm256_setzero_ps()};
  std::size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    step(sums, _mm256_loadu_ps(a + i), _mm256_loadu_ps(a + i + 8), b + i);
  }
  return with_tail(sums, a, b, i, dimension);
}

// Four rows at a time: the query is loaded once for four, and eight sums are under way, as many as
// it takes to keep both multipliers busy (latency 4, two a cycle).
SAMTALE_AVX2 void dot_rows_avx2(const float* query, const float* rows, std::size_t count,
                                std::size_t dimension, float* out) {
  std::size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    const float* row[4];
    Sums sums[4];
    for (std::size_t k = 0; k < 4; ++k) {
      row[k] = rows + (r + k) * dimension;
      sums[k] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    }
    std::size_t i = 0;
    for (; i + 16 <= dimension; i += 16) {
      const auto even = _mm256_loadu_ps(query + i);
      const auto odd = _mm256_loadu_ps(query + i + 8);
      for (std::size_t k = 0; k < 4; ++k) step(sums[k], even, odd, row[k] + i);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out[r + k] = with_tail(sums[k], query, row[k], i, dimension);
    }
  }
  for (; r < count; ++r) out[r] = dot_avx2(query, rows + r * dimension, dimension);
}

constexpr DistanceKernels kAvx2{.name = "avx2", .dot = dot_avx2, .dot_rows = dot_rows_avx2};

}  // namespace

const DistanceKernels* wide_distance_kernels() {
  const bool runs = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return runs ? &kAvx2 : nullptr;
}

}  // namespace samtale

#endif

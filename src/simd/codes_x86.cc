#include "simd/codes.h"
#include "simd/each_row.h"

#if defined(__x86_64__)

#include <immintrin.h>

// Marked function by function, as in distance_avx2.cc.
#define SAMTALE_AVX2 __attribute__((target("avx2")))
#define SAMTALE_AVX512 __attribute__((target("avx512f,avx512bw")))

namespace samtale {
namespace {

SAMTALE_AVX2 inline std::int32_t total(__m256i eight) {
  auto four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 1)));
}

// vpmaddwd adds pairs of products, at most 2 * 32767 * 127 each, into 32 bits.
SAMTALE_AVX2 inline __m256i step(__m256i sum, const std::int16_t* query, const std::int8_t* row) {
  const auto codes = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
  const auto wide = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(wide, codes));
}

SAMTALE_AVX2 inline std::int32_t dot_avx2(const std::int16_t* query, const std::int8_t* row,
                                          std::size_t dimension) {
  auto even = _mm256_setzero_si256();
  auto odd = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 32 <= dimension; i += 32) {
    even = step(even, query + i, row + i);
    odd = step(odd, query + i + 16, row + i + 16);
  }
  return add_tail(total(_mm256_add_epi32(even, odd)), query, row, i, dimension);
}

SAMTALE_AVX2 void dot_some_avx2(const std::int16_t* query, const std::int8_t* rows,
                                const std::uint32_t* places, std::size_t count,
                                std::size_t dimension, std::int32_t* out) {
  for_some(rows, places, count, dimension, [&](std::size_t r, const std::int8_t* row) SAMTALE_AVX2 {
    out[r] = dot_avx2(query, row, dimension);
  });
}

// vpmaddubsw adds pairs of products, at most 2 * 127 * 127 each, into 16 bits. It takes the first
// of each product without a sign; the query's goes to the row.
SAMTALE_AVX2 inline __m256i byte_step(__m256i sum, const std::int8_t* query,
                                      const std::int8_t* row) {
  const auto codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
  const auto values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
  const auto pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(values), _mm256_sign_epi8(codes, values));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

SAMTALE_AVX2 inline std::int32_t dot_avx2(const std::int8_t* query, const std::int8_t* row,
                                          std::size_t dimension) {
  auto even = _mm256_setzero_si256();
  auto odd = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 64 <= dimension; i += 64) {
    even = byte_step(even, query + i, row + i);
    odd = byte_step(odd, query + i + 32, row + i + 32);
  }
  if (i + 32 <= dimension) {
    even = byte_step(even, query + i, row + i);
    i += 32;
  }
  return add_tail(total(_mm256_add_epi32(even, odd)), query, row, i, dimension);
}

SAMTALE_AVX2 void dot_rows_avx2(const std::int8_t* query, const std::int8_t* rows,
                                std::size_t count, std::size_t dimension, std::int32_t* out) {
  for_all(rows, count, dimension, [&](std::size_t r, const std::int8_t* row) SAMTALE_AVX2 {
    out[r] = dot_avx2(query, row, dimension);
  });
}

// Of 32 bytes of codes and the 32 values of each half: vpmaddubsw adds pairs of products, at most
// 2 * 15 * 127 each, into 16 bits, which hold the two halves' together, and those of four steps.
SAMTALE_AVX2 inline __m256i half_pairs(const std::int8_t* query, const std::uint8_t* codes) {
  const auto mask = _mm256_set1_epi8(0x0F);
  const auto both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  const auto low = _mm256_maddubs_epi16(
      _mm256_and_si256(both, mask), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query)));
  const auto high = _mm256_maddubs_epi16(
      _mm256_and_si256(_mm256_srli_epi16(both, 4), mask),
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + kCodeBlockBytes)));
  return _mm256_add_epi16(low, high);
}

SAMTALE_AVX2 inline __m256i half_block_pairs(const std::int8_t* query, const std::uint8_t* codes) {
  return _mm256_add_epi16(half_pairs(query, codes), half_pairs(query + 32, codes + 32));
}

SAMTALE_AVX2 inline std::int32_t dot_half_avx2(const std::int8_t* query, const std::uint8_t* row,
                                               std::size_t blocks) {
  const auto ones = _mm256_set1_epi16(1);
  auto sum = _mm256_setzero_si256();
  std::size_t b = 0;
  for (; b + 2 <= blocks; b += 2) {
    const auto* const values = query + b * kHalfBlockDimensions;
    const auto* const codes = row + b * kCodeBlockBytes;
    const auto pairs =
        _mm256_add_epi16(half_block_pairs(values, codes),
                         half_block_pairs(values + kHalfBlockDimensions, codes + kCodeBlockBytes));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
  }
  if (b < blocks) {
    const auto pairs =
        half_block_pairs(query + b * kHalfBlockDimensions, row + b * kCodeBlockBytes);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
  }
  return total(sum);
}

SAMTALE_AVX2 void dot_rows_half_avx2(const std::int8_t* query, const std::uint8_t* rows,
                                     std::size_t count, std::size_t blocks, std::int32_t* out) {
  for_all(rows, count, blocks * kCodeBlockBytes,
          [&](std::size_t r, const std::uint8_t* row)
              SAMTALE_AVX2 { out[r] = dot_half_avx2(query, row, blocks); });
}

SAMTALE_AVX2 void dot_some_half_avx2(const std::int8_t* query, const std::uint8_t* rows,
                                     const std::uint32_t* places, std::size_t count,
                                     std::size_t blocks, std::int32_t* out) {
  for_some(rows, places, count, blocks * kCodeBlockBytes,
           [&](std::size_t r, const std::uint8_t* row)
               SAMTALE_AVX2 { out[r] = dot_half_avx2(query, row, blocks); });
}

// Of 32 bytes of codes and the 32 values of each quarter: pairs of products of at most 2 * 3 * 127
// each, of which 16 bits hold ten times as many as are added up here.
SAMTALE_AVX2 inline __m256i quarter_pairs(const std::int8_t* query, const std::uint8_t* codes) {
  const auto mask = _mm256_set1_epi8(3);
  const auto four = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  const auto pairs = [&](__m256i shifted, std::size_t quarter) SAMTALE_AVX2 {
    const auto values =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + quarter * kCodeBlockBytes));
    return _mm256_maddubs_epi16(_mm256_and_si256(shifted, mask), values);
  };
  return _mm256_add_epi16(
      _mm256_add_epi16(pairs(four, 0), pairs(_mm256_srli_epi16(four, 2), 1)),
      _mm256_add_epi16(pairs(_mm256_srli_epi16(four, 4), 2), pairs(_mm256_srli_epi16(four, 6), 3)));
}

SAMTALE_AVX2 inline std::int32_t dot_quarter_avx2(const std::int8_t* query, const std::uint8_t* row,
                                                  std::size_t blocks) {
  const auto ones = _mm256_set1_epi16(1);
  auto sum = _mm256_setzero_si256();
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto* const values = query + b * kQuarterBlockDimensions;
    const auto* const codes = row + b * kCodeBlockBytes;
    const auto pairs =
        _mm256_add_epi16(quarter_pairs(values, codes), quarter_pairs(values + 32, codes + 32));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
  }
  return total(sum);
}

SAMTALE_AVX2 void dot_some_quarter_avx2(const std::int8_t* query, const std::uint8_t* rows,
                                        const std::uint32_t* places, std::size_t count,
                                        std::size_t blocks, std::int32_t* out) {
  for_some(rows, places, count, blocks * kCodeBlockBytes,
           [&](std::size_t r, const std::uint8_t* row)
               SAMTALE_AVX2 { out[r] = dot_quarter_avx2(query, row, blocks); });
}

// Through memory: g++ 12 warns of the undefined halves in its own _mm512_reduce_add_epi32.
SAMTALE_AVX512 inline std::int32_t total(__m512i sixteen) {
  alignas(64) std::int32_t lanes[16];
  _mm512_store_si512(lanes, sixteen);
  const auto* halves = reinterpret_cast<const __m256i*>(lanes);
  return total(_mm256_add_epi32(_mm256_load_si256(halves), _mm256_load_si256(halves + 1)));
}

SAMTALE_AVX512 inline __m512i step(__m512i sum, const std::int16_t* query, const std::int8_t* row) {
  const auto codes =
      _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_loadu_si512(query), codes));
}

SAMTALE_AVX512 inline std::int32_t dot_avx512(const std::int16_t* query, const std::int8_t* row,
                                              std::size_t dimension) {
  auto even = _mm512_setzero_si512();
  auto odd = _mm512_setzero_si512();
  std::size_t i = 0;
  for (; i + 64 <= dimension; i += 64) {
    even = step(even, query + i, row + i);
    odd = step(odd, query + i + 32, row + i + 32);
  }
  return add_tail(total(_mm512_add_epi32(even, odd)), query, row, i, dimension);
}

SAMTALE_AVX512 void dot_some_avx512(const std::int16_t* query, const std::int8_t* rows,
                                    const std::uint32_t* places, std::size_t count,
                                    std::size_t dimension, std::int32_t* out) {
  for_some(rows, places, count, dimension,
           [&](std::size_t r, const std::int8_t* row)
               SAMTALE_AVX512 { out[r] = dot_avx512(query, row, dimension); });
}

SAMTALE_AVX512 inline std::int32_t dot_half_avx512(const std::int8_t* query,
                                                   const std::uint8_t* row, std::size_t blocks) {
  const auto mask = _mm512_set1_epi8(0x0F);
  const auto ones = _mm512_set1_epi16(1);
  auto sum = _mm512_setzero_si512();
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto* const values = query + b * kHalfBlockDimensions;
    const auto both = _mm512_loadu_si512(row + b * kCodeBlockBytes);
    const auto low = _mm512_maddubs_epi16(_mm512_and_si512(both, mask), _mm512_loadu_si512(values));
    const auto high = _mm512_maddubs_epi16(_mm512_and_si512(_mm512_srli_epi16(both, 4), mask),
                                           _mm512_loadu_si512(values + kCodeBlockBytes));
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_add_epi16(low, high), ones));
  }
  return total(sum);
}

SAMTALE_AVX512 void dot_rows_half_avx512(const std::int8_t* query, const std::uint8_t* rows,
                                         std::size_t count, std::size_t blocks, std::int32_t* out) {
  for_all(rows, count, blocks * kCodeBlockBytes,
          [&](std::size_t r, const std::uint8_t* row)
              SAMTALE_AVX512 { out[r] = dot_half_avx512(query, row, blocks); });
}

SAMTALE_AVX512 void dot_some_half_avx512(const std::int8_t* query, const std::uint8_t* rows,
                                         const std::uint32_t* places, std::size_t count,
                                         std::size_t blocks, std::int32_t* out) {
  for_some(rows, places, count, blocks * kCodeBlockBytes,
           [&](std::size_t r, const std::uint8_t* row)
               SAMTALE_AVX512 { out[r] = dot_half_avx512(query, row, blocks); });
}

SAMTALE_AVX512 inline std::int32_t dot_quarter_avx512(const std::int8_t* query,
                                                      const std::uint8_t* row, std::size_t blocks) {
  const auto mask = _mm512_set1_epi8(3);
  const auto ones = _mm512_set1_epi16(1);
  auto sum = _mm512_setzero_si512();
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto* const values = query + b * kQuarterBlockDimensions;
    const auto four = _mm512_loadu_si512(row + b * kCodeBlockBytes);
    const auto pairs = [&](__m512i shifted, std::size_t quarter) SAMTALE_AVX512 {
      return _mm512_maddubs_epi16(_mm512_and_si512(shifted, mask),
                                  _mm512_loadu_si512(values + quarter * kCodeBlockBytes));
    };
    const auto all =
        _mm512_add_epi16(_mm512_add_epi16(pairs(four, 0), pairs(_mm512_srli_epi16(four, 2), 1)),
                         _mm512_add_epi16(pairs(_mm512_srli_epi16(four, 4), 2),
                                          pairs(_mm512_srli_epi16(four, 6), 3)));
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(all, ones));
  }
  return total(sum);
}

SAMTALE_AVX512 void dot_some_quarter_avx512(const std::int8_t* query, const std::uint8_t* rows,
                                            const std::uint32_t* places, std::size_t count,
                                            std::size_t blocks, std::int32_t* out) {
  for_some(rows, places, count, blocks * kCodeBlockBytes,
           [&](std::size_t r, const std::uint8_t* row)
               SAMTALE_AVX512 { out[r] = dot_quarter_avx512(query, row, blocks); });
}

SAMTALE_AVX2 inline __m256i rounded(const float* values, __m256 per_step) {
  const auto product = _mm256_mul_ps(_mm256_loadu_ps(values), per_step);
  return _mm256_max_epi32(_mm256_cvtps_epi32(product), _mm256_set1_epi32(-127));
}

// Packing cuts off above 127, within each half; so the halves are put in order at the end.
SAMTALE_AVX2 void quantise_avx2(const float* values, std::size_t count, float per_step,
                                std::int8_t* out) {
  const auto wide = _mm256_set1_ps(per_step);
  const auto order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const auto low = _mm256_packs_epi32(rounded(values + i, wide), rounded(values + i + 8, wide));
    const auto high =
        _mm256_packs_epi32(rounded(values + i + 16, wide), rounded(values + i + 24, wide));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
  }
  scalar_code_kernels().quantise(values + i, count - i, per_step, out + i);
}

SAMTALE_AVX2 inline void transpose(__m256* rows) {
  __m256 pairs[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m256 fours[8];
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}

SAMTALE_AVX2 void turn_avx2(const float* values, const float* signs, std::size_t rows, bool deals,
                            float* out) {
  for (std::size_t r = 0; r < rows; r += 8) {
    __m256 points[kTurned];
    for (std::size_t p = 0; p < kTurned; ++p) {
      points[p] = _mm256_mul_ps(_mm256_loadu_ps(values + p * rows + r),
                                _mm256_loadu_ps(signs + p * rows + r));
    }
    for (std::size_t half = kTurned / 2; half > 0; half /= 2) {
      for (std::size_t p = 0; p < kTurned; ++p) {
        if ((p & half) != 0) continue;
        const auto sum = _mm256_add_ps(points[p], points[p + half]);
        points[p + half] = _mm256_sub_ps(points[p], points[p + half]);
        points[p] = sum;
      }
    }
    for (auto& point : points) point = _mm256_mul_ps(point, _mm256_set1_ps(kTurnScale));
    if (deals) transpose(points);
    for (std::size_t p = 0; p < kTurned; ++p) {
      _mm256_storeu_ps(deals ? out + (r + p) * kTurned : out + p * rows + r, points[p]);
    }
  }
}

constexpr CodeKernels kAvx2{.name = "avx2",
                            .dot_rows = dot_rows_avx2,
                            .dot_some = dot_some_avx2,
                            .dot_rows_half = dot_rows_half_avx2,
                            .dot_some_half = dot_some_half_avx2,
                            .dot_some_quarter = dot_some_quarter_avx2,
                            .quantise = quantise_avx2,
                            .turn = turn_avx2};
constexpr CodeKernels kAvx512{.name = "avx512",
                              .dot_rows = dot_rows_avx2,
                              .dot_some = dot_some_avx512,
                              .dot_rows_half = dot_rows_half_avx512,
                              .dot_some_half = dot_some_half_avx512,
                              .dot_some_quarter = dot_some_quarter_avx512,
                              .quantise = quantise_avx2,
                              .turn = turn_avx2};

}  // namespace

std::vector<const CodeKernels*> wide_code_kernels() {
  std::vector<const CodeKernels*> found;
  const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2 && __builtin_cpu_supports("avx512f") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0) {
    found.push_back(&kAvx512);
  }
  if (has_avx2) found.push_back(&kAvx2);
  return found;
}

}  // namespace samtale

#endif

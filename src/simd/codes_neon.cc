#include "simd/codes.h"
#include "simd/each_row.h"

#if defined(__aarch64__)

#include <arm_neon.h>

namespace samtale {
namespace {

// Two sums, so that a row alone is not held up by one chain of additions.
struct Sums {
  int32x4_t even = vdupq_n_s32(0);
  int32x4_t odd = vdupq_n_s32(0);

  [[nodiscard]] std::int32_t total() const { return vaddvq_s32(vaddq_s32(even, odd)); }
};

int32x4_t step(int32x4_t sum, const std::int16_t* query, int16x8_t codes) {
  const auto values = vld1q_s16(query);
  sum = vmlal_s16(sum, vget_low_s16(values), vget_low_s16(codes));
  return vmlal_high_s16(sum, values, codes);
}

std::int32_t dot_neon(const std::int16_t* query, const std::int8_t* row, std::size_t dimension) {
  Sums sums;
  std::size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    const auto codes = vld1q_s8(row + i);
    sums.even = step(sums.even, query + i, vmovl_s8(vget_low_s8(codes)));
    sums.odd = step(sums.odd, query + i + 8, vmovl_high_s8(codes));
  }
  return add_tail(sums.total(), query, row, i, dimension);
}

void dot_some_neon(const std::int16_t* query, const std::int8_t* rows, const std::uint32_t* places,
                   std::size_t count, std::size_t dimension, std::int32_t* out) {
  for_some(rows, places, count, dimension, [&](std::size_t r, const std::int8_t* row) {
    out[r] = dot_neon(query, row, dimension);
  });
}

// Pairs of products are added in 16 bits.
int16x8_t add_products(int16x8_t pairs, int8x16_t query, int8x16_t codes) {
  pairs = vmlal_s8(pairs, vget_low_s8(query), vget_low_s8(codes));
  return vmlal_high_s8(pairs, query, codes);
}

// Of at most 127 * 127 each, of which 16 bits hold two.
int32x4_t byte_step(int32x4_t sum, const std::int8_t* query, const std::int8_t* row) {
  return vpadalq_s16(sum, add_products(vdupq_n_s16(0), vld1q_s8(query), vld1q_s8(row)));
}

std::int32_t dot_neon(const std::int8_t* query, const std::int8_t* row, std::size_t dimension) {
  Sums sums;
  std::size_t i = 0;
  for (; i + 32 <= dimension; i += 32) {
    sums.even = byte_step(sums.even, query + i, row + i);
    sums.odd = byte_step(sums.odd, query + i + 16, row + i + 16);
  }
  return add_tail(sums.total(), query, row, i, dimension);
}

void dot_rows_neon(const std::int8_t* query, const std::int8_t* rows, std::size_t count,
                   std::size_t dimension, std::int32_t* out) {
  for_all(rows, count, dimension,
          [&](std::size_t r, const std::int8_t* row) { out[r] = dot_neon(query, row, dimension); });
}

// Products of at most 15 * 127 each, of which 16 bits hold the 16 that fall together.
int32x4_t half_step(int32x4_t sum, const std::int8_t* query, const std::uint8_t* row) {
  auto pairs = vdupq_n_s16(0);
  for (std::size_t i = 0; i < kCodeBlockBytes; i += 16) {
    const auto both = vld1q_u8(row + i);
    const auto low = vandq_u8(both, vdupq_n_u8(0x0F));
    pairs = add_products(pairs, vld1q_s8(query + i), vreinterpretq_s8_u8(low));
    pairs = add_products(pairs, vld1q_s8(query + kCodeBlockBytes + i),
                         vreinterpretq_s8_u8(vshrq_n_u8(both, 4)));
  }
  return vpadalq_s16(sum, pairs);
}

// The same of at most 3 * 127 each, and 32.
int32x4_t quarter_step(int32x4_t sum, const std::int8_t* query, const std::uint8_t* row) {
  const auto mask = vdupq_n_u8(3);
  auto pairs = vdupq_n_s16(0);
  for (std::size_t i = 0; i < kCodeBlockBytes; i += 16) {
    const auto four = vld1q_u8(row + i);
    const uint8x16_t codes[] = {vandq_u8(four, mask), vandq_u8(vshrq_n_u8(four, 2), mask),
                                vandq_u8(vshrq_n_u8(four, 4), mask), vshrq_n_u8(four, 6)};
    for (std::size_t quarter = 0; quarter < 4; ++quarter) {
      pairs = add_products(pairs, vld1q_s8(query + quarter * kCodeBlockBytes + i),
                           vreinterpretq_s8_u8(codes[quarter]));
    }
  }
  return vpadalq_s16(sum, pairs);
}

template <std::size_t dimensions, auto add_block>
std::int32_t dot_blocks(const std::int8_t* query, const std::uint8_t* row, std::size_t blocks) {
  Sums sums;
  std::size_t b = 0;
  for (; b + 2 <= blocks; b += 2) {
    const auto* const values = query + b * dimensions;
    const auto* const codes = row + b * kCodeBlockBytes;
    sums.even = add_block(sums.even, values, codes);
    sums.odd = add_block(sums.odd, values + dimensions, codes + kCodeBlockBytes);
  }
  if (b < blocks) {
    sums.even = add_block(sums.even, query + b * dimensions, row + b * kCodeBlockBytes);
  }
  return sums.total();
}
constexpr auto dot_half = dot_blocks<kHalfBlockDimensions, half_step>;
constexpr auto dot_quarter = dot_blocks<kQuarterBlockDimensions, quarter_step>;

void dot_rows_half_neon(const std::int8_t* query, const std::uint8_t* rows, std::size_t count,
                        std::size_t blocks, std::int32_t* out) {
  for_all(rows, count, blocks * kCodeBlockBytes,
          [&](std::size_t r, const std::uint8_t* row) { out[r] = dot_half(query, row, blocks); });
}

void dot_some_half_neon(const std::int8_t* query, const std::uint8_t* rows,
                        const std::uint32_t* places, std::size_t count, std::size_t blocks,
                        std::int32_t* out) {
  for_some(rows, places, count, blocks * kCodeBlockBytes,
           [&](std::size_t r, const std::uint8_t* row) { out[r] = dot_half(query, row, blocks); });
}

void dot_some_quarter_neon(const std::int8_t* query, const std::uint8_t* rows,
                           const std::uint32_t* places, std::size_t count, std::size_t blocks,
                           std::int32_t* out) {
  for_some(
      rows, places, count, blocks * kCodeBlockBytes,
      [&](std::size_t r, const std::uint8_t* row) { out[r] = dot_quarter(query, row, blocks); });
}

int16x4_t rounded(const float* values, float per_step) {
  const auto whole = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(values), per_step));
  return vqmovn_s32(vmaxq_s32(whole, vdupq_n_s32(-127)));
}

// Narrowing cuts off above 127.
void quantise_neon(const float* values, std::size_t count, float per_step, std::int8_t* out) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const auto eight =
        vcombine_s16(rounded(values + i, per_step), rounded(values + i + 4, per_step));
    vst1_s8(out + i, vqmovn_s16(eight));
  }
  scalar_code_kernels().quantise(values + i, count - i, per_step, out + i);
}

void transpose(float32x4_t* rows) {
  const auto pairs = vtrnq_f32(rows[0], rows[1]);
  const auto others = vtrnq_f32(rows[2], rows[3]);
  rows[0] = vcombine_f32(vget_low_f32(pairs.val[0]), vget_low_f32(others.val[0]));
  rows[1] = vcombine_f32(vget_low_f32(pairs.val[1]), vget_low_f32(others.val[1]));
  rows[2] = vcombine_f32(vget_high_f32(pairs.val[0]), vget_high_f32(others.val[0]));
  rows[3] = vcombine_f32(vget_high_f32(pairs.val[1]), vget_high_f32(others.val[1]));
}

void turn_neon(const float* values, const float* signs, std::size_t rows, bool deals, float* out) {
  constexpr std::size_t kLanes = 4;
  for (std::size_t r = 0; r < rows; r += kLanes) {
    float32x4_t points[kTurned];
    for (std::size_t p = 0; p < kTurned; ++p) {
      points[p] = vmulq_f32(vld1q_f32(values + p * rows + r), vld1q_f32(signs + p * rows + r));
    }
    for (std::size_t half = kTurned / 2; half > 0; half /= 2) {
      for (std::size_t p = 0; p < kTurned; ++p) {
        if ((p & half) != 0) continue;
        const auto sum = vaddq_f32(points[p], points[p + half]);
        points[p + half] = vsubq_f32(points[p], points[p + half]);
        points[p] = sum;
      }
    }
    for (auto& point : points) point = vmulq_n_f32(point, kTurnScale);
    if (!deals) {
      for (std::size_t p = 0; p < kTurned; ++p) vst1q_f32(out + p * rows + r, points[p]);
      continue;
    }
    transpose(points);
    transpose(points + kLanes);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      vst1q_f32(out + (r + lane) * kTurned, points[lane]);
      vst1q_f32(out + (r + lane) * kTurned + kLanes, points[kLanes + lane]);
    }
  }
}

constexpr CodeKernels kNeon{.name = "neon",
                            .dot_rows = dot_rows_neon,
                            .dot_some = dot_some_neon,
                            .dot_rows_half = dot_rows_half_neon,
                            .dot_some_half = dot_some_half_neon,
                            .dot_some_quarter = dot_some_quarter_neon,
                            .quantise = quantise_neon,
                            .turn = turn_neon};

}  // namespace

// Every 64-bit ARM processor has these instructions.
std::vector<const CodeKernels*> wide_code_kernels() { return {&kNeon}; }

}  // namespace samtale

#endif

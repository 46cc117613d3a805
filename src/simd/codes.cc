#include "simd/codes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace samtale {
namespace {

template <class Code>
std::int32_t dot_scalar(const Code* query, const std::int8_t* row, std::size_t dimension) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) sum += std::int32_t{query[i]} * row[i];
  return sum;
}

void dot_rows_scalar(const std::int8_t* query, const std::int8_t* rows, std::size_t count,
                     std::size_t dimension, std::int32_t* out) {
  for (std::size_t r = 0; r < count; ++r)
    out[r] = dot_scalar(query, rows + r * dimension, dimension);
}

void dot_some_scalar(const std::int16_t* query, const std::int8_t* rows,
                     const std::uint32_t* places, std::size_t count, std::size_t dimension,
                     std::int32_t* out) {
  for (std::size_t r = 0; r < count; ++r) {
    out[r] = dot_scalar(query, rows + places[r] * dimension, dimension);
  }
}

std::int32_t dot_half_scalar(const std::int8_t* query, const std::uint8_t* row,
                             std::size_t blocks) {
  std::int32_t sum = 0;
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto* const low = query + b * kHalfBlockDimensions;
    for (std::size_t i = 0; i < kCodeBlockBytes; ++i) {
      const auto both = row[b * kCodeBlockBytes + i];
      sum += low[i] * (both & 0x0F) + low[kCodeBlockBytes + i] * (both >> 4);
    }
  }
  return sum;
}

std::int32_t dot_quarter_scalar(const std::int8_t* query, const std::uint8_t* row,
                                std::size_t blocks) {
  std::int32_t sum = 0;
  for (std::size_t b = 0; b < blocks; ++b) {
    for (std::size_t i = 0; i < kQuarterBlockDimensions; ++i) {
      const auto four = row[b * kCodeBlockBytes + i % kCodeBlockBytes];
      const auto code = four >> 2 * (i / kCodeBlockBytes) & 3;
      sum += query[b * kQuarterBlockDimensions + i] * code;
    }
  }
  return sum;
}

void dot_rows_half_scalar(const std::int8_t* query, const std::uint8_t* rows, std::size_t count,
                          std::size_t blocks, std::int32_t* out) {
  for (std::size_t r = 0; r < count; ++r) {
    out[r] = dot_half_scalar(query, rows + r * blocks * kCodeBlockBytes, blocks);
  }
}

void dot_some_half_scalar(const std::int8_t* query, const std::uint8_t* rows,
                          const std::uint32_t* places, std::size_t count, std::size_t blocks,
                          std::int32_t* out) {
  for (std::size_t r = 0; r < count; ++r) {
    out[r] = dot_half_scalar(query, rows + places[r] * blocks * kCodeBlockBytes, blocks);
  }
}

void dot_some_quarter_scalar(const std::int8_t* query, const std::uint8_t* rows,
                             const std::uint32_t* places, std::size_t count, std::size_t blocks,
                             std::int32_t* out) {
  for (std::size_t r = 0; r < count; ++r) {
    out[r] = dot_quarter_scalar(query, rows + places[r] * blocks * kCodeBlockBytes, blocks);
  }
}

void quantise_scalar(const float* values, std::size_t count, float per_step, std::int8_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] =
        static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] * per_step), -127.0F, 127.0F));
  }
}

void turn_scalar(const float* values, const float* signs, std::size_t rows, bool deals,
                 float* out) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::array<float, kTurned> points;
    for (std::size_t p = 0; p < kTurned; ++p)
      points[p] = values[p * rows + r] * signs[p * rows + r];
    for (std::size_t half = kTurned / 2; half > 0; half /= 2) {
      for (std::size_t p = 0; p < kTurned; ++p) {
        if ((p & half) != 0) continue;
        const float sum = points[p] + points[p + half];
        points[p + half] = points[p] - points[p + half];
        points[p] = sum;
      }
    }
    for (std::size_t p = 0; p < kTurned; ++p) {
      out[deals ? r * kTurned + p : p * rows + r] = points[p] * kTurnScale;
    }
  }
}

constexpr CodeKernels kScalar{.name = "scalar",
                              .dot_rows = dot_rows_scalar,
                              .dot_some = dot_some_scalar,
                              .dot_rows_half = dot_rows_half_scalar,
                              .dot_some_half = dot_some_half_scalar,
                              .dot_some_quarter = dot_some_quarter_scalar,
                              .quantise = quantise_scalar,
                              .turn = turn_scalar};

const CodeKernels& choose() {
  const char* variable = std::getenv("SAMTALE_SIMD");
  const std::string_view forced = variable == nullptr ? "" : variable;
  const auto wide = wide_code_kernels();
  if (wide.empty() || forced == kScalar.name) return kScalar;
  for (const auto* kernels : wide) {
    if (kernels->name == forced) return *kernels;
  }
  return *wide.front();
}

}  // namespace

const CodeKernels& code_kernels() {
  static const CodeKernels& chosen = choose();
  return chosen;
}

const CodeKernels& scalar_code_kernels() { return kScalar; }

#if !defined(__x86_64__) && !defined(__aarch64__)
std::vector<const CodeKernels*> wide_code_kernels() { return {}; }
#endif

}  // namespace samtale

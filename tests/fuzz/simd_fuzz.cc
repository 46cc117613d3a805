// Rooms: simd
//
// Every kernel against the scalar one, on vectors of any bits and any dimension: near it, NaN where
// it has NaN, and a row among others to the bit as alone.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "simd/codes.h"
#include "simd/distance.h"

namespace samtale {
namespace {

void check_near(const DistanceKernels& kernels, const std::vector<float>& a, const float* b) {
  const auto got = kernels.dot(a.data(), b, a.size());
  const auto expected = scalar_distance_kernels().dot(a.data(), b, a.size());
  double magnitude = 0;
  for (std::size_t i = 0; i < a.size(); ++i) magnitude += std::abs(double{a[i]} * b[i]);
  // Past the range of a float the order of the sum decides what overflows.
  if (!(magnitude < 1e38)) return;
  const auto error = std::abs(double{got} - double{expected});
  SAMTALE_CHECK(error <= 1e-5 * magnitude + 1e-37, "kernels differ by rounding only");
}

void check(const DistanceKernels& kernels, const std::vector<float>& query,
           const std::vector<float>& rows, std::size_t count) {
  std::vector<float> scores(count);
  kernels.dot_rows(query.data(), rows.data(), count, query.size(), scores.data());
  for (std::size_t r = 0; r < count; ++r) {
    const auto* row = rows.data() + r * query.size();
    const auto alone = kernels.dot(query.data(), row, query.size());
    const bool same =
        std::bit_cast<std::uint32_t>(scores[r]) == std::bit_cast<std::uint32_t>(alone);
    SAMTALE_CHECK(same || (std::isnan(scores[r]) && std::isnan(alone)), "a row is scored as alone");
    check_near(kernels, query, row);
  }
}

// The same bytes as codes: no kernel may differ at all.
void check_codes(std::size_t dimension, const std::uint8_t* data, std::size_t size) {
  std::vector<std::int8_t> codes(size);
  for (std::size_t i = 0; i < size; ++i) codes[i] = static_cast<std::int8_t>(data[i] % 255 - 127);
  const auto middle = codes.begin() + static_cast<std::ptrdiff_t>(dimension);
  const std::vector<std::int8_t> query(codes.begin(), middle);
  const std::vector<std::int16_t> wide_query(codes.begin(), middle);
  const std::vector<std::int8_t> rows(middle, codes.end());
  std::vector<std::uint32_t> places(rows.size() / dimension);
  std::iota(places.begin(), places.end(), 0U);
  std::vector<std::int32_t> expected(places.size());
  scalar_code_kernels().dot_rows(query.data(), rows.data(), places.size(), dimension,
                                 expected.data());
  for (const auto* kernels : wide_code_kernels()) {
    std::vector<std::int32_t> sums(places.size());
    kernels->dot_rows(query.data(), rows.data(), places.size(), dimension, sums.data());
    SAMTALE_CHECK(sums == expected, "sums of codes are exact");
    kernels->dot_some(wide_query.data(), rows.data(), places.data(), places.size(), dimension,
                      sums.data());
    SAMTALE_CHECK(sums == expected, "sums of rows apart are exact");
  }
}

// A query, and rows of blocks of codes behind it.
struct CompactCodes {
  CompactCodes(std::size_t blocks, std::size_t block_dimensions, const std::uint8_t* data,
               std::size_t size) {
    const auto dimensions = std::min(blocks * block_dimensions, size);
    for (std::size_t i = 0; i < dimensions; ++i) {
      query.push_back(static_cast<std::int8_t>(data[i] % 255 - 127));
    }
    rows.assign(data + dimensions, data + size);
    places.resize(rows.size() / (blocks * kCodeBlockBytes));
    std::iota(places.begin(), places.end(), 0U);
  }

  std::vector<std::int8_t> query;
  std::vector<std::uint8_t> rows;
  std::vector<std::uint32_t> places;
};

// And as codes of 4 bits.
void check_half_codes(std::size_t blocks, const std::uint8_t* data, std::size_t size) {
  const CompactCodes codes(blocks, kHalfBlockDimensions, data, size);
  const auto& [query, rows, places] = codes;
  std::vector<std::int32_t> expected(places.size());
  scalar_code_kernels().dot_rows_half(query.data(), rows.data(), places.size(), blocks,
                                      expected.data());
  for (const auto* kernels : wide_code_kernels()) {
    std::vector<std::int32_t> sums(expected.size());
    kernels->dot_rows_half(query.data(), rows.data(), places.size(), blocks, sums.data());
    SAMTALE_CHECK(sums == expected, "sums of half codes are exact");
    kernels->dot_some_half(query.data(), rows.data(), places.data(), places.size(), blocks,
                           sums.data());
    SAMTALE_CHECK(sums == expected, "sums of half codes apart are exact");
  }
}

// And of 2 bits.
void check_quarter_codes(std::size_t blocks, const std::uint8_t* data, std::size_t size) {
  const CompactCodes codes(blocks, kQuarterBlockDimensions, data, size);
  const auto& [query, rows, places] = codes;
  std::vector<std::int32_t> expected(places.size());
  scalar_code_kernels().dot_some_quarter(query.data(), rows.data(), places.data(), places.size(),
                                         blocks, expected.data());
  for (const auto* kernels : wide_code_kernels()) {
    std::vector<std::int32_t> sums(expected.size());
    kernels->dot_some_quarter(query.data(), rows.data(), places.data(), places.size(), blocks,
                              sums.data());
    SAMTALE_CHECK(sums == expected, "sums of quarter codes are exact");
  }
}

// No kernel may differ, nor write past the end, on any floats whose products fit.
void check_quantise(const std::vector<float>& floats) {
  std::vector<float> values;
  std::ranges::copy_if(floats, std::back_inserter(values),
                       [](float value) { return std::abs(value) < 1e8F; });
  std::vector<std::int8_t> expected(values.size());
  scalar_code_kernels().quantise(values.data(), values.size(), 3, expected.data());
  for (const auto* kernels : wide_code_kernels()) {
    std::vector<std::int8_t> codes(values.size());
    kernels->quantise(values.data(), values.size(), 3, codes.data());
    SAMTALE_CHECK(codes == expected, "codes are the same");
  }
}

}  // namespace
}  // namespace samtale

// The first byte is the dimension; the floats that follow are the query, then the rows.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* wide = samtale::wide_distance_kernels();
  if (size == 0 || data[0] == 0 || wide == nullptr) return 0;
  const std::size_t dimension = data[0];
  if (size > dimension) samtale::check_codes(dimension, data + 1, size - 1);
  for (const std::size_t blocks : {1, 2, 3}) {
    samtale::check_half_codes(blocks, data + 1, size - 1);
    samtale::check_quarter_codes(blocks, data + 1, size - 1);
  }
  std::vector<float> floats((size - 1) / sizeof(float));
  std::memcpy(floats.data(), data + 1, floats.size() * sizeof(float));
  samtale::check_quantise(floats);
  if (floats.size() < dimension) return 0;
  const auto middle = floats.begin() + static_cast<std::ptrdiff_t>(dimension);
  const std::vector<float> query(floats.begin(), middle);
  const std::vector<float> rows(middle, floats.end());
  samtale::check(*wide, query, rows, rows.size() / dimension);
  return 0;
}

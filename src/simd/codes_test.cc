// Goal:   every kernel gives the exact sum, whatever the dimension, also at the ends of the range.
// Method: seeded codes of every dimension around the kernels' steps, against the scalar kernel.
#include "simd/codes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace samtale {
namespace {

constexpr std::size_t kRows = 5;

std::vector<std::int32_t> sums(const CodeKernels& kernels, const std::vector<std::int8_t>& query,
                               const std::vector<std::int8_t>& rows) {
  std::vector<std::int32_t> out(kRows);
  kernels.dot_rows(query.data(), rows.data(), kRows, query.size(), out.data());
  return out;
}

// Backwards, and one of them twice.
std::vector<std::int32_t> sums_of_some(const CodeKernels& kernels,
                                       const std::vector<std::int16_t>& query,
                                       const std::vector<std::int8_t>& rows) {
  const std::vector<std::uint32_t> places{4, 3, 2, 1, 0, 3};
  std::vector<std::int32_t> out(places.size());
  kernels.dot_some(query.data(), rows.data(), places.data(), places.size(), query.size(),
                   out.data());
  return out;
}

TEST(CodesTest, sum_by_hand) {
  const std::vector<std::int8_t> rows{1, 1, 3, 0, 0, 4, -5, -6, 127, -127};

  EXPECT_EQ(sums(scalar_code_kernels(), {1, -2}, rows),
            (std::vector<std::int32_t>{-1, 3, -8, 7, 381}));
  EXPECT_EQ(sums_of_some(scalar_code_kernels(), {1, -200}, rows),
            (std::vector<std::int32_t>{25'527, 1'195, -800, 3, -199, 1'195}));
}

TEST(CodesTest, every_kernel_gives_the_same_sums_at_every_dimension) {
  for (const auto* kernels : wide_code_kernels()) {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> code(-127, 127);
    for (std::size_t dimension = 0; dimension <= 1600; dimension += dimension < 200 ? 1 : 97) {
      std::vector<std::int8_t> query(dimension);
      std::vector<std::int16_t> fine_query(dimension);
      std::vector<std::int8_t> rows(kRows * dimension);
      std::uniform_int_distribution<int> fine(-query_code_max(dimension),
                                              query_code_max(dimension));
      for (auto& value : query) value = static_cast<std::int8_t>(code(random));
      for (auto& value : fine_query) value = static_cast<std::int16_t>(fine(random));
      for (auto& value : rows) value = static_cast<std::int8_t>(code(random));

      ASSERT_EQ(sums(*kernels, query, rows), sums(scalar_code_kernels(), query, rows))
          << kernels->name << " " << dimension;
      ASSERT_EQ(sums_of_some(*kernels, fine_query, rows),
                sums_of_some(scalar_code_kernels(), fine_query, rows))
          << kernels->name << " " << dimension;
    }
  }
}

// By blocks, backwards, and one of them twice.
std::vector<std::int32_t> half_sums(const CodeKernels& kernels,
                                    const std::vector<std::int8_t>& query,
                                    const std::vector<std::uint8_t>& rows) {
  const std::vector<std::uint32_t> places{4, 3, 2, 1, 0, 3};
  std::vector<std::int32_t> out(places.size());
  kernels.dot_some_half(query.data(), rows.data(), places.data(), places.size(),
                        query.size() / kHalfBlockDimensions, out.data());
  return out;
}

// One after the other.
std::vector<std::int32_t> half_sums_in_order(const CodeKernels& kernels,
                                             const std::vector<std::int8_t>& query,
                                             const std::vector<std::uint8_t>& rows) {
  std::vector<std::int32_t> out(kRows);
  kernels.dot_rows_half(query.data(), rows.data(), kRows, query.size() / kHalfBlockDimensions,
                        out.data());
  return out;
}

TEST(CodesTest, sum_of_4_bits_by_hand) {
  std::vector<std::int8_t> query(kHalfBlockDimensions);
  query[0] = 2;
  query[1] = -3;
  query[64] = 5;
  query[127] = -127;
  std::vector<std::uint8_t> rows(kRows * kCodeBlockBytes);
  rows[0] = 0x41;   // Dimension 0 is 1, dimension 64 is 4.
  rows[1] = 0x02;   // Dimension 1 is 2.
  rows[63] = 0xF0;  // Dimension 127 is 15.

  EXPECT_EQ(half_sums(scalar_code_kernels(), query, rows),
            (std::vector<std::int32_t>{0, 0, 0, 0, 2 - 6 + 20 - 127 * 15, 0}));
  EXPECT_EQ(half_sums_in_order(scalar_code_kernels(), query, rows),
            (std::vector<std::int32_t>{2 - 6 + 20 - 127 * 15, 0, 0, 0, 0}));
}

std::vector<std::int32_t> quarter_sums(const CodeKernels& kernels,
                                       const std::vector<std::int8_t>& query,
                                       const std::vector<std::uint8_t>& rows) {
  const std::vector<std::uint32_t> places{4, 3, 2, 1, 0, 3};
  std::vector<std::int32_t> out(places.size());
  kernels.dot_some_quarter(query.data(), rows.data(), places.data(), places.size(),
                           query.size() / kQuarterBlockDimensions, out.data());
  return out;
}

TEST(CodesTest, sum_of_2_bits_by_hand) {
  std::vector<std::int8_t> query(kQuarterBlockDimensions);
  query[0] = 2;
  query[64] = 5;
  query[129] = -3;
  query[255] = -127;
  std::vector<std::uint8_t> rows(kRows * kCodeBlockBytes);
  rows[0] = 0b00'00'10'01;   // Dimension 0 is 1, dimension 64 is 2.
  rows[1] = 0b00'11'00'00;   // Dimension 129 is 3.
  rows[63] = 0b11'00'00'00;  // Dimension 255 is 3.

  EXPECT_EQ(quarter_sums(scalar_code_kernels(), query, rows),
            (std::vector<std::int32_t>{0, 0, 0, 0, 2 + 10 - 9 - 127 * 3, 0}));
}

TEST(CodesTest, every_kernel_gives_the_same_sums_of_4_and_2_bits) {
  for (const auto* kernels : wide_code_kernels()) {
    std::mt19937 random(2);
    std::uniform_int_distribution<int> code(-127, 127);
    for (const bool is_greatest : {false, true}) {
      for (std::size_t blocks = 1; blocks <= 40; ++blocks) {
        std::vector<std::int8_t> query(blocks * kHalfBlockDimensions);
        std::vector<std::uint8_t> rows(kRows * blocks * kCodeBlockBytes);
        for (auto& value : query) {
          value = static_cast<std::int8_t>(is_greatest ? -127 : code(random));
        }
        for (auto& value : rows) value = static_cast<std::uint8_t>(is_greatest ? 255 : random());

        ASSERT_EQ(half_sums(*kernels, query, rows), half_sums(scalar_code_kernels(), query, rows))
            << kernels->name << " " << blocks;
        ASSERT_EQ(half_sums_in_order(*kernels, query, rows),
                  half_sums_in_order(scalar_code_kernels(), query, rows))
            << kernels->name << " " << blocks;
        auto longer = query;  // A block of 2 bits has twice as many.
        longer.insert(longer.end(), query.begin(), query.end());
        ASSERT_EQ(quarter_sums(*kernels, longer, rows),
                  quarter_sums(scalar_code_kernels(), longer, rows))
            << kernels->name << " " << blocks;
      }
    }
  }
}

TEST(CodesTest, the_greatest_sum_fits) {
  auto all = wide_code_kernels();
  all.push_back(&scalar_code_kernels());
  for (const std::size_t dimension : {1, 384, 1536, 1 << 17}) {
    const std::vector<std::int8_t> rows(kRows * dimension, -127);
    const std::vector<std::int8_t> query(dimension, 127);
    const auto sum = static_cast<std::int32_t>(-127 * 127 * static_cast<std::int64_t>(dimension));
    const auto greatest = query_code_max(dimension);
    const std::vector<std::int16_t> fine(dimension, static_cast<std::int16_t>(greatest));
    const auto fine_sum = static_cast<std::int32_t>(-127 * std::int64_t{greatest} *
                                                    static_cast<std::int64_t>(dimension));

    for (const auto* kernels : all) {
      EXPECT_EQ(sums(*kernels, query, rows), std::vector<std::int32_t>(kRows, sum))
          << kernels->name << " " << dimension;
      EXPECT_EQ(sums_of_some(*kernels, fine, rows), std::vector<std::int32_t>(kRows + 1, fine_sum))
          << kernels->name << " " << dimension;
    }
  }
}

TEST(CodesTest, quantise_by_hand) {
  const std::vector<float> values{0, 1, -1, 0.24F, 0.25F, 0.75F, 1e6F, -1e6F};
  std::vector<std::int8_t> codes(values.size());

  scalar_code_kernels().quantise(values.data(), values.size(), 2, codes.data());

  EXPECT_EQ(codes, (std::vector<std::int8_t>{0, 2, -2, 0, 0, 2, 127, -127}));
}

TEST(CodesTest, every_kernel_quantises_alike) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> value(-140, 140);
  for (const auto* kernels : wide_code_kernels()) {
    for (std::size_t count = 0; count < 200; ++count) {
      std::vector<float> values(count);
      // Every fourth between two codes.
      for (auto& one : values)
        one = random() % 4 == 0 ? std::floor(value(random)) + 0.5F : value(random);
      std::vector<std::int8_t> codes(count);
      std::vector<std::int8_t> expected(count);

      kernels->quantise(values.data(), count, 1, codes.data());
      scalar_code_kernels().quantise(values.data(), count, 1, expected.data());

      ASSERT_EQ(codes, expected) << kernels->name << " " << count;
    }
  }
}

std::vector<float> turned(const CodeKernels& kernels, const std::vector<float>& values,
                          const std::vector<float>& signs, bool deals) {
  std::vector<float> out(values.size());
  kernels.turn(values.data(), signs.data(), values.size() / kTurned, deals, out.data());
  return out;
}

TEST(CodesTest, a_turn_keeps_lengths_and_deals_out_what_lay_apart) {
  std::vector<float> values(64);
  values[3 * 8 + 5] = 2;  // Of the sixth eight, the fourth.
  std::vector<float> signs(64, 1);
  signs[3 * 8 + 5] = -1;

  const auto there = turned(scalar_code_kernels(), values, signs, false);
  const auto dealt = turned(scalar_code_kernels(), values, signs, true);

  float squares = 0;
  for (std::size_t p = 0; p < kTurned; ++p) {
    EXPECT_EQ(there[p * 8 + 5], dealt[5 * 8 + p]);
    EXPECT_FLOAT_EQ(std::abs(dealt[5 * 8 + p]), 2 * kTurnScale);
    squares += dealt[5 * 8 + p] * dealt[5 * 8 + p];
  }
  EXPECT_FLOAT_EQ(squares, 4);
  EXPECT_FLOAT_EQ(dealt[5 * 8], -2 * kTurnScale);
  EXPECT_EQ(std::ranges::count(dealt, 0.0F), 56);
}

TEST(CodesTest, every_kernel_turns_alike) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  for (const auto* kernels : wide_code_kernels()) {
    for (std::size_t rows = 8; rows <= 256; rows += 8) {
      std::vector<float> values(rows * kTurned);
      std::vector<float> signs(values.size());
      for (auto& value : values) value = normal(random);
      for (auto& sign : signs) sign = random() % 2 == 0 ? 1.0F : -1.0F;
      for (const bool deals : {false, true}) {
        ASSERT_EQ(turned(*kernels, values, signs, deals),
                  turned(scalar_code_kernels(), values, signs, deals))
            << kernels->name << " " << rows;
      }
    }
  }
}

}  // namespace
}  // namespace samtale

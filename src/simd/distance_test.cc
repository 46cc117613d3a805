// Goal:   every kernel gives what exact arithmetic gives, whatever the dimension and the place.
// Method: seeded vectors of every dimension around the kernels' steps, compared with sums in
//         double; bit equality where the header promises it.
#include "simd/distance.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace samtale {
namespace {

std::vector<float> random_floats(std::size_t count, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> floats(count);
  for (auto& value : floats) value = normal(random);
  return floats;
}

std::vector<const DistanceKernels*> all_kernels() {
  std::vector<const DistanceKernels*> all{&scalar_distance_kernels()};
  if (const auto* wide = wide_distance_kernels()) all.push_back(wide);
  return all;
}

TEST(DistanceTest, agrees_with_a_sum_in_double_at_every_dimension) {
  for (const auto* kernels : all_kernels()) {
    std::mt19937_64 random(1);
    for (std::size_t dimension = 0; dimension <= 200; ++dimension) {
      const auto a = random_floats(dimension, random);
      const auto b = random_floats(dimension, random);
      double exact = 0;
      double magnitude = 0;
      for (std::size_t i = 0; i < dimension; ++i) {
        exact += double{a[i]} * b[i];
        magnitude += std::abs(double{a[i]} * b[i]);
      }

      const auto got = kernels->dot(a.data(), b.data(), dimension);

      EXPECT_NEAR(got, exact, 1e-5 * magnitude) << kernels->name << " " << dimension;
    }
  }
}

TEST(DistanceTest, gives_a_row_the_same_bits_alone_and_among_others) {
  for (const auto* kernels : all_kernels()) {
    std::mt19937_64 random(2);
    for (const std::size_t dimension : {1, 7, 8, 15, 16, 17, 31, 100, 384, 1024}) {
      const std::size_t count = 11;
      const auto query = random_floats(dimension, random);
      const auto rows = random_floats(count * dimension, random);
      std::vector<float> scores(count);

      kernels->dot_rows(query.data(), rows.data(), count, dimension, scores.data());

      for (std::size_t r = 0; r < count; ++r) {
        const auto alone = kernels->dot(query.data(), rows.data() + r * dimension, dimension);
        EXPECT_EQ(std::bit_cast<std::uint32_t>(scores[r]), std::bit_cast<std::uint32_t>(alone))
            << kernels->name << " row " << r << " of dimension " << dimension;
      }
    }
  }
}

TEST(DistanceTest, writes_nothing_past_the_rows) {
  for (const auto* kernels : all_kernels()) {
    for (std::size_t count = 0; count <= 9; ++count) {
      const std::vector<float> query(20, 1.0F);
      const std::vector<float> rows(count * 20, 1.0F);
      std::vector<float> scores(count + 1, -7.0F);

      kernels->dot_rows(query.data(), rows.data(), count, 20, scores.data());

      EXPECT_EQ(scores.back(), -7.0F) << kernels->name << " " << count;
      for (std::size_t r = 0; r < count; ++r) EXPECT_EQ(scores[r], 20.0F);
    }
  }
}

TEST(DistanceTest, takes_denormal_and_huge_numbers_as_they_are) {
  for (const auto* kernels : all_kernels()) {
    const std::vector<float> tiny(32, 1e-40F);
    const std::vector<float> huge(32, 1e38F);

    const auto product = kernels->dot(tiny.data(), huge.data(), 32);

    EXPECT_NEAR(product, 0.32F, 1e-3) << kernels->name;
    EXPECT_TRUE(std::isinf(kernels->dot(huge.data(), huge.data(), 32))) << kernels->name;
  }
}

TEST(DistanceTest, chooses_a_kernel_this_processor_can_run) {
  const auto& chosen = distance_kernels();

  const bool known = &chosen == &scalar_distance_kernels() || &chosen == wide_distance_kernels();
  EXPECT_TRUE(known) << chosen.name;
  const std::vector<float> ones(3, 1.0F);
  EXPECT_EQ(dot(ones, ones), 3.0F);
}

}  // namespace
}  // namespace samtale

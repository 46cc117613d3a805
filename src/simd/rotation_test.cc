// Goal:   a rotation changes no product by more than it says, and leaves no number large alone.
// Method: seeded vectors of any dimension, products added up in doubles.
#include "simd/rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace samtale {
namespace {

using Vector = std::vector<float>;

double product(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

Vector turned(const Rotation& rotation, const Vector& vector) {
  Vector out(rotation.size());
  rotation.turn(vector, out);
  return out;
}

TEST(RotationTest, keeps_products_within_its_error) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (const std::size_t dimension : {1, 2, 100, 128, 384, 1000, 1536, 5000}) {
    const Rotation rotation(dimension);
    for (int times = 0; times < 20; ++times) {
      Vector a(dimension);
      Vector b(dimension);
      for (auto& value : a) value = normal(random);
      for (auto& value : b)
        value = times % 2 == 0 ? normal(random) : static_cast<float>(random() % 50 == 0);

      const auto after = product(turned(rotation, a), turned(rotation, b));

      const auto lengths = std::sqrt(product(a, a) * product(b, b));
      ASSERT_NEAR(after, product(a, b), lengths * rotation.error()) << dimension;
    }
    EXPECT_LT(rotation.error(), 1e-4) << dimension;
  }
}

TEST(RotationTest, spreads_a_number_over_all) {
  const Rotation rotation(384);
  for (std::size_t at = 0; at < 384; at += 37) {
    Vector vector(384);
    vector[at] = 1;

    const auto after = turned(rotation, vector);

    for (const float value : after) EXPECT_LT(std::abs(value), 0.3);
  }
}

TEST(RotationTest, is_the_same_each_time) {
  const Vector vector{1, -2, 3};

  EXPECT_EQ(turned(Rotation(3), vector), turned(Rotation(3), vector));
}

}  // namespace
}  // namespace samtale

// Goal:   no score is beyond its bounds, and few bounds are far above their score.
// Method: seeded vectors of kinds that codes represent well and badly, any dimension, removals.
#include "index/vector_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace samtale {
namespace {

using Vector = std::vector<float>;

Vector to_length(Vector vector, double length) {
  double sum = 0;
  for (const float value : vector) sum += double{value} * value;
  for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum) * length);
  return vector;
}

// kind 0: any direction; 1: few numbers but zero; 2: one number far above the others; 3: all equal
// in size; 4: a hundred times smaller numbers among large ones.
Vector make(std::size_t dimension, int kind, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  Vector vector(dimension);
  for (std::size_t i = 0; i < dimension; ++i) {
    vector[i] = normal(random);
    if (kind == 1 && random() % 16 != 0) vector[i] = 0;
    if (kind == 3) vector[i] = vector[i] < 0 ? -1.0F : 1.0F;
    if (kind == 4 && i % 2 == 0) vector[i] /= 100;
  }
  vector[random() % dimension] += kind == 2 ? 50.0F : 1e-3F;
  // As far from unit length as an index takes.
  return to_length(std::move(vector), 1 + (static_cast<double>(random() % 3) - 1) * 1e-3);
}

TEST(VectorRowsTest, no_score_is_beyond_its_bounds) {
  std::mt19937_64 random(1);
  for (const std::size_t dimension : {1, 2, 7, 33, 64, 100, 384, 1536}) {
    VectorRows rows(dimension);
    std::vector<Vector> vectors;
    for (int i = 0; i < 300; ++i) {
      vectors.push_back(make(dimension, i % 5, random));
      rows.add(0, vectors.back());
    }
    for (int place : {0, 17, 250}) rows.remove(static_cast<VectorRows::Place>(place));

    for (int q = 0; q < 40; ++q) {
      // Also a query that is one of them, or its opposite: the greatest and the smallest scores.
      auto query =
          q % 4 == 0 ? vectors[static_cast<std::size_t>(q)] : make(dimension, q % 5, random);
      if (q % 8 == 0) {
        for (auto& value : query) value = -value;
      }
      query = to_length(std::move(query), 1);
      std::vector<float> scores(rows.size());
      std::vector<float> bounds(rows.size());
      const auto fine = encode_query(query);

      rows.dot(query, 0, rows.size(), scores.data());
      rows.bounds(encode_query_coarsely(query), 0, rows.size(), bounds.data());

      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto [middle, distance] = rows.about(fine, static_cast<VectorRows::Place>(i));
        ASSERT_LE(scores[i], middle + distance) << dimension << " " << q << " " << i;
        ASSERT_GE(scores[i], middle - distance) << dimension << " " << q << " " << i;
        ASSERT_LE(scores[i], bounds[i]) << dimension << " " << q << " " << i;
        ASSERT_EQ(scores[i], rows.dot(query, static_cast<VectorRows::Place>(i)));
      }
    }
  }
}

TEST(VectorRowsTest, bounds_are_close_enough_to_be_of_use) {
  constexpr std::size_t kDimension = 384;
  std::mt19937_64 random(2);
  VectorRows rows(kDimension);
  for (int i = 0; i < 200; ++i) rows.add(0, make(kDimension, 0, random));
  const auto query = to_length(make(kDimension, 0, random), 1);
  std::vector<float> scores(rows.size());
  std::vector<float> bounds(rows.size());

  rows.dot(query, 0, rows.size(), scores.data());
  rows.bounds(encode_query_coarsely(query), 0, rows.size(), bounds.data());

  // A residual of about a 127th of three deviations, over the square root of 12: the query has next
  // to none, or as much where it is coarse.
  const auto fine = encode_query(query);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LT(rows.about(fine, static_cast<VectorRows::Place>(i)).distance, 0.0125);
    EXPECT_LT(bounds[i] - scores[i], 0.025);
  }
}

}  // namespace
}  // namespace samtale

// Goal: scores from 4 or 2 bits lie near the exact ones, and to both sides alike, whatever the
// vectors.
//
// Method: seeded vectors, against dot products in doubles.
#include "graph/compact_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace samtale {
namespace {

using Vector = std::vector<float>;

Vector unit(Vector vector) {
  double sum = 0;
  for (const float value : vector) sum += double{value} * value;
  for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum));
  return vector;
}

Vector random_vector(std::mt19937_64& random, std::size_t dimension) {
  std::normal_distribution<float> normal;
  Vector vector(dimension);
  for (auto& value : vector) value = normal(random);
  return vector;
}

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

struct Errors {
  double mean = 0;
  double deviation = 0;
};

// Of the scores of `rows`.
Errors errors(const Vector& query, const std::vector<Vector>& rows, const Vector& mean,
              unsigned bits) {
  CompactRows compact(mean, bits);
  for (const auto& row : rows) compact.add(row);
  std::vector<std::uint32_t> places(rows.size());
  std::iota(places.begin(), places.end(), 0U);
  std::vector<std::int32_t> sums;
  std::vector<float> scores;
  const auto encoded = compact.encode(query);
  compact.score(encoded, places, sums, scores);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto error = double{scores[i]} * encoded.scale - dot(query, rows[i]);
    sum += error;
    squares += error * error;
  }
  const auto count = static_cast<double>(rows.size());
  return {sum / count, std::sqrt(squares / count)};
}

class CompactRowsTest : public testing::TestWithParam<unsigned> {
 protected:
  // What rounding to 16 or 4 levels leaves out of a vector, a tenth or a third, points anywhere.
  static double left_out() { return GetParam() == 4 ? 0.1 : 0.35; }
};

TEST_P(CompactRowsTest, scores_are_near_the_exact_ones_at_every_dimension) {
  for (const std::size_t dimension : {2, 40, 100, 128, 129, 384, 1024, 1536}) {
    std::mt19937_64 random(dimension);
    const auto query = unit(random_vector(random, dimension));
    std::vector<Vector> rows;
    for (int i = 0; i < 400; ++i) {
      auto row = random_vector(random, dimension);
      for (std::size_t d = 0; d < dimension; ++d) {
        row[d] += query[d] * std::sqrt(static_cast<float>(dimension));
      }
      rows.push_back(unit(row));
    }

    const auto found = errors(query, rows, Vector(dimension), GetParam());

    const auto size = static_cast<double>((dimension + 127) / 128 * 128);
    EXPECT_LT(found.deviation, 2 * left_out() / std::sqrt(size)) << dimension;
    EXPECT_LT(std::abs(found.mean), left_out() / std::sqrt(size)) << dimension;
  }
}

TEST_P(CompactRowsTest, a_dimension_that_is_large_in_all_vectors_does_no_harm) {
  std::mt19937_64 random(5);
  const auto make = [&] {
    auto vector = random_vector(random, 384);
    vector[17] = 40;
    vector[300] = -25;
    return unit(vector);
  };
  const auto query = make();
  std::vector<Vector> rows;
  for (int i = 0; i < 400; ++i) rows.push_back(make());

  EXPECT_LT(errors(query, rows, Vector(384), GetParam()).deviation, 0.12 * left_out());
}

TEST_P(CompactRowsTest, what_all_vectors_have_in_common_takes_none_of_their_bits) {
  // As transformers embed texts: the cosines of most are about .8.
  std::mt19937_64 random(6);
  const auto common = unit(random_vector(random, 384));
  const auto make = [&] {
    auto vector = unit(random_vector(random, 384));
    for (std::size_t d = 0; d < vector.size(); ++d)
      vector[d] = vector[d] * 0.45F + common[d] * 0.9F;
    return unit(vector);
  };
  const auto query = make();
  std::vector<Vector> rows;
  Vector mean(384);
  for (int i = 0; i < 400; ++i) {
    rows.push_back(make());
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += rows.back()[d] / 400;
  }

  const auto around_mean = errors(query, rows, mean, GetParam());

  const auto without = errors(query, rows, Vector(384), GetParam());
  EXPECT_LT(around_mean.deviation, without.deviation / 1.8);
  EXPECT_LT(std::abs(around_mean.mean), 0.005 * left_out());
}

TEST_P(CompactRowsTest, hardly_a_score_is_farther_off_than_it_says) {
  std::mt19937_64 random(7);
  CompactRows compact(Vector(384), GetParam());
  std::vector<Vector> rows;
  for (int i = 0; i < 4'000; ++i) {
    rows.push_back(unit(random_vector(random, 384)));
    compact.add(rows.back());
  }
  const auto query = unit(random_vector(random, 384));
  std::vector<std::uint32_t> places(rows.size());
  std::iota(places.begin(), places.end(), 0U);
  std::vector<std::int32_t> sums;
  std::vector<float> scores;

  const auto encoded = compact.encode(query);
  compact.score(encoded, places, sums, scores);

  std::size_t farther_than_it_says = 0;
  std::size_t farther_than_half = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto error = std::abs(double{scores[i]} * encoded.scale - dot(query, rows[i]));
    farther_than_it_says += error > encoded.likely_error ? 1 : 0;
    farther_than_half += error > encoded.likely_error / 2 ? 1 : 0;
  }
  EXPECT_LE(farther_than_it_says, 4);
  EXPECT_GE(farther_than_half, 40) << "it says too much";
}

TEST_P(CompactRowsTest, a_vector_of_zeros_scores_nothing) {
  CompactRows compact(Vector(100), GetParam());
  compact.add(Vector(100));
  std::vector<std::int32_t> sums;
  std::vector<float> scores;
  const std::vector<std::uint32_t> places{0};

  compact.score(compact.encode(Vector(100, 0.1F)), places, sums, scores);

  EXPECT_EQ(scores, std::vector<float>{0});
}

INSTANTIATE_TEST_SUITE_P(Bits, CompactRowsTest, testing::Values(4, 2),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace samtale

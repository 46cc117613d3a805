// Goal:   no score is beyond its bounds, and few bounds are far above their score.
// Method: seeded vectors of kinds that codes represent well and badly, any dimension, removals.
#include "index/vector_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

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

// Of all rows.
std::vector<VectorRows::About> about_all(const VectorRows& rows, const Vector& query) {
  std::vector<VectorRows::Place> places(rows.size());
  std::iota(places.begin(), places.end(), 0);
  std::vector<std::int32_t> sums;
  std::vector<VectorRows::About> about;
  rows.about(encode_query(query), places, sums, about);
  return about;
}

std::vector<float> bounds_of_all(const VectorRows& rows, const Vector& query, bool by_blocks) {
  std::vector<float> bounds(rows.size());
  std::vector<float> likely(rows.size());
  auto scan = rows.encode_for_scan(query);
  if (!by_blocks) scan.by_blocks.reset();
  rows.bounds(scan, 0, rows.size(), bounds.data(), likely.data());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_LE(likely[i], bounds[i]);
  return bounds;
}

TEST(VectorRowsTest, no_score_is_beyond_its_bounds) {
  std::mt19937_64 random(1);
  for (const std::size_t dimension : {1, 2, 7, 33, 64, 100, 384, 1536}) {
    VectorRows rows(dimension);
    rows.will_be_scanned(0);
    std::vector<Vector> vectors;
    const auto common = make(dimension, 0, random);
    const auto add = [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        auto vector = make(dimension, static_cast<int>(i % 5), random);
        for (std::size_t d = 0; i % 2 == 0 && d < dimension; ++d) {  // Near each other.
          vector[d] = common[d] + 0.1F * vector[d];
        }
        vectors.push_back(to_length(std::move(vector), 1.001));
        rows.add(0, vectors.back());
      }
    };
    // From one block into others and back, several times.
    add(600);
    for (const int place : {0, 17, 250, 255, 256, 511, 593}) {
      rows.remove(static_cast<VectorRows::Place>(place));
    }
    while (rows.size() > 500) rows.remove(3);
    add(50);

    for (std::size_t q = 0; q < 40; ++q) {
      // Also a query that is one of them, or its opposite: the greatest and the smallest scores.
      auto query = q % 4 == 0 ? vectors[q] : make(dimension, static_cast<int>(q % 5), random);
      if (q % 8 == 0) {
        for (auto& value : query) value = -value;
      }
      query = to_length(std::move(query), 1);
      std::vector<float> scores(rows.size());
      rows.dot(query, 0, rows.size(), scores.data());

      const auto about = about_all(rows, query);
      const auto bounds = bounds_of_all(rows, query, false);
      const auto by_blocks = bounds_of_all(rows, query, true);

      for (std::size_t i = 0; i < rows.size(); ++i) {
        ASSERT_LE(scores[i], about[i].bound()) << dimension << " " << q << " " << i;
        ASSERT_GE(scores[i], about[i].middle - about[i].distance)
            << dimension << " " << q << " " << i;
        ASSERT_LE(scores[i], bounds[i]) << dimension << " " << q << " " << i;
        ASSERT_LE(scores[i], by_blocks[i]) << dimension << " " << q << " " << i;
        ASSERT_EQ(scores[i], rows.dot(query, static_cast<VectorRows::Place>(i)));
      }
    }
  }
}

TEST(VectorRowsTest, a_bound_of_a_run_is_that_of_all) {
  constexpr std::size_t kDimension = 100;
  std::mt19937_64 random(3);
  VectorRows rows(kDimension);
  rows.will_be_scanned(0);
  for (int i = 0; i < 700; ++i) rows.add(0, make(kDimension, 0, random));
  const auto query = to_length(make(kDimension, 0, random), 1);
  const auto all = bounds_of_all(rows, query, true);
  const auto by_whole_codes = bounds_of_all(rows, query, false);
  auto scan = rows.encode_for_scan(query);
  const auto expect_as = [&](const std::vector<float>& expected, VectorRows::Place first,
                             std::size_t count) {
    std::vector<float> bounds(count);
    std::vector<float> likely(count);
    rows.bounds(scan, first, count, bounds.data(), likely.data());

    EXPECT_TRUE(std::ranges::equal(bounds, std::span(expected).subspan(first, count))) << first;
  };

  for (const auto& [first, count] :
       {std::pair{600U, 100U}, {0U, 256U}, {200U, 256U}, {400U, 256U}, {500U, 24U}, {100U, 17U}}) {
    expect_as(all, first, count);
  }
  // Of a few.
  expect_as(by_whole_codes, 511, 2);
  expect_as(by_whole_codes, 100, 16);
}

TEST(VectorRowsTest, bounds_are_close_enough_to_be_of_use) {
  constexpr std::size_t kDimension = 384;
  std::mt19937_64 random(2);
  VectorRows rows(kDimension);
  for (int i = 0; i < 200; ++i) rows.add(0, make(kDimension, 0, random));
  const auto query = to_length(make(kDimension, 0, random), 1);
  std::vector<float> scores(rows.size());
  rows.dot(query, 0, rows.size(), scores.data());

  const auto about = about_all(rows, query);
  const auto bounds = bounds_of_all(rows, query, true);

  // A residual of about a 127th of three deviations, over the square root of 12: the query has next
  // to none, or as much where it is coarse.
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LT(about[i].distance, 0.0125);
    EXPECT_LT(bounds[i] - scores[i], 0.025);
  }
}

TEST(VectorRowsTest, bounds_by_blocks_are_the_closer_the_more_vectors_have_in_common) {
  constexpr std::size_t kDimension = 384;
  const auto farthest = [&](float own) {
    std::mt19937_64 random(4);
    const auto common = make(kDimension, 0, random);
    const auto near_it = [&] {
      auto vector = make(kDimension, 0, random);
      for (std::size_t d = 0; d < kDimension; ++d) vector[d] = common[d] + own * vector[d];
      return to_length(std::move(vector), 1);
    };
    VectorRows rows(kDimension);
    rows.will_be_scanned(0);
    for (std::size_t i = 0; i < BlockCodes::kBlock; ++i) rows.add(0, near_it());
    const auto query = near_it();
    std::vector<float> scores(rows.size());
    rows.dot(query, 0, rows.size(), scores.data());
    const auto bounds = bounds_of_all(rows, query, true);
    float most = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) most = std::max(most, bounds[i] - scores[i]);
    return most;
  };

  // A step is a tenth of three deviations, and what it leaves out is over the square root of 12.
  EXPECT_LT(farthest(100), 0.25F);
  EXPECT_LT(farthest(0.3F), 0.02F);
}

}  // namespace
}  // namespace samtale

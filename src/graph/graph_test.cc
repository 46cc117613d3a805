// Goal:   a walk finds nearly all of the nearest, in any kind of data, and every row can be found.
// Method: seeded vectors, against brute force over the same codes.
#include "graph/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "simd/codes.h"

namespace samtale {
namespace {

// What CodeRows lends.
struct Rows {
  std::size_t dimension = 0;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;

  void add(const std::vector<float>& vector) {
    double sum = 0;
    float greatest = 0;
    for (const float value : vector) {
      sum += double{value} * value;
      greatest = std::max(greatest, std::abs(value));
    }
    for (const float value : vector) {
      codes.push_back(static_cast<std::int8_t>(std::lround(value / greatest * 127)));
    }
    scales.push_back(greatest / 127 / static_cast<float>(std::sqrt(sum)));
  }
  [[nodiscard]] CodeRows lent() const { return {codes, scales, dimension}; }
  [[nodiscard]] Rows in_order(const std::vector<std::uint32_t>& order) const {
    Rows rows{.dimension = dimension, .codes = {}, .scales = {}};
    for (const auto from : order) {
      const auto* const row = codes.data() + from * dimension;
      rows.codes.insert(rows.codes.end(), row, row + dimension);
      rows.scales.push_back(scales[from]);
    }
    return rows;
  }
};

std::vector<float> random_vector(std::mt19937_64& random, std::size_t dimension) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimension);
  for (auto& value : vector) value = normal(random);
  return vector;
}

// Around one of `clusters` centres; with as many centres as rows, anywhere.
std::vector<float> near_a_centre(std::mt19937_64& random, std::size_t dimension,
                                 std::size_t clusters) {
  std::mt19937_64 centre(random() % clusters);
  auto vector = random_vector(centre, dimension);
  const auto noise = random_vector(random, dimension);
  for (std::size_t i = 0; i < dimension; ++i) vector[i] += noise[i] / 3;
  return vector;
}

std::vector<std::int16_t> wide(const Rows& rows, std::size_t place) {
  const auto* const row = rows.codes.data() + place * rows.dimension;
  return {row, row + rows.dimension};
}

std::vector<float> all_scores(const Rows& rows, const std::vector<std::int16_t>& query) {
  std::vector<std::int32_t> sums(rows.scales.size());
  code_kernels().dot_rows(query.data(), rows.codes.data(), sums.size(), rows.dimension,
                          sums.data());
  std::vector<float> scores;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    scores.push_back(static_cast<float>(sums[i]) * rows.scales[i]);
  }
  return scores;
}

TEST(GraphTest, finds_nearly_all_of_the_nearest_in_clusters_and_without) {
  for (const std::size_t clusters : {3, 200, 6'000}) {
    std::mt19937_64 random(clusters);
    Rows given{.dimension = 40, .codes = {}, .scales = {}};
    for (int i = 0; i < 6'000; ++i) given.add(near_a_centre(random, 40, clusters));
    const auto built = Graph::build(given.lent(), {}, {}).value();
    const auto rows = given.in_order(built.order);
    Graph::Scratch scratch;
    std::size_t found = 0;

    for (int q = 0; q < 100; ++q) {
      Rows query{.dimension = 40, .codes = {}, .scales = {}};
      query.add(near_a_centre(random, 40, clusters));
      auto scores = all_scores(rows, wide(query, 0));
      built.graph.search(rows.lent(), wide(query, 0).data(), 64, scratch);
      ASSERT_EQ(scratch.pool.size(), 64U);
      for (std::size_t i = 0; i < 64; ++i) {
        ASSERT_EQ(scratch.pool[i].score, scores[scratch.pool[i].place]);
        ASSERT_TRUE(i == 0 || scratch.pool[i - 1].score >= scratch.pool[i].score);
      }
      std::ranges::sort(scores, std::greater());
      for (std::size_t i = 0; i < 10; ++i) found += scratch.pool[i].score >= scores[9] ? 1 : 0;
    }

    EXPECT_GE(found, 980U) << clusters;
  }
}

TEST(GraphTest, every_row_is_found_also_those_that_are_many_times_there) {
  std::mt19937_64 random(1);
  Rows given{.dimension = 16, .codes = {}, .scales = {}};
  const auto common = random_vector(random, 16);
  for (int i = 0; i < 3'000; ++i) given.add(i % 3 == 0 ? common : random_vector(random, 16));
  const auto built = Graph::build(given.lent(), {}, {}).value();
  const auto rows = given.in_order(built.order);
  Graph::Scratch scratch;

  EXPECT_EQ(std::set(built.order.begin(), built.order.end()).size(), 3'000U);
  built.graph.search(rows.lent(), wide(rows, 0).data(), 3'000, scratch);
  std::set<std::uint32_t> met;
  for (const auto& near : scratch.pool) met.insert(near.place);
  EXPECT_EQ(met.size(), 3'000U) << "a walk with a view of everything meets everything";
}

TEST(GraphTest, small_graphs_are_whole) {
  for (const std::size_t count : {0, 1, 2, 33, 257}) {
    std::mt19937_64 random(count);
    Rows given{.dimension = 5, .codes = {}, .scales = {}};
    for (std::size_t i = 0; i < count; ++i) given.add(random_vector(random, 5));
    const auto built = Graph::build(given.lent(), {}, {}).value();
    const auto rows = given.in_order(built.order);
    Graph::Scratch scratch;

    built.graph.search(rows.lent(), std::vector<std::int16_t>(5, 1).data(), 300, scratch);

    EXPECT_EQ(built.graph.size(), count);
    EXPECT_EQ(scratch.pool.size(), count);
  }
}

TEST(GraphTest, the_same_rows_make_the_same_graph) {
  std::mt19937_64 random(9);
  Rows given{.dimension = 24, .codes = {}, .scales = {}};
  for (int i = 0; i < 1'000; ++i) given.add(random_vector(random, 24));

  EXPECT_EQ(Graph::build(given.lent(), {}, {})->order, Graph::build(given.lent(), {}, {})->order);
}

TEST(GraphTest, a_scratch_serves_graphs_of_any_size_and_more_searches_than_it_can_number) {
  std::mt19937_64 random(4);
  Rows small{.dimension = 8, .codes = {}, .scales = {}};
  Rows large = small;
  for (int i = 0; i < 400; ++i) small.add(random_vector(random, 8));
  for (int i = 0; i < 500; ++i) large.add(random_vector(random, 8));
  const auto of_small = Graph::build(small.lent(), {}, {}).value();
  const auto of_large = Graph::build(large.lent(), {}, {}).value();
  small = small.in_order(of_small.order);
  large = large.in_order(of_large.order);
  Graph::Scratch scratch;

  for (int i = 0; i < 70'000; ++i) {
    const bool is_small = i % 2 == 0;
    const auto& rows = is_small ? small : large;
    const auto& graph = is_small ? of_small.graph : of_large.graph;
    graph.search(rows.lent(), wide(rows, 7).data(), 4, scratch);
    ASSERT_EQ(scratch.pool[0].place, 7U) << i;
  }
}

TEST(GraphTest, its_making_can_be_stopped) {
  Rows given{.dimension = 2, .codes = {}, .scales = {}};
  given.add({1, 2});
  std::stop_source stop;
  stop.request_stop();

  const auto built = Graph::build(given.lent(), {}, stop.get_token());

  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace samtale

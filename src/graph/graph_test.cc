// Goal:   a walk finds nearly all of the nearest, in any kind of data, and every row can be found.
// Method: seeded vectors, against brute force.
#include "graph/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace samtale {
namespace {

// What CodeRows lends, and what a search reads.
struct Rows {
  explicit Rows(std::size_t the_dimension)
      : dimension(the_dimension), compact(std::vector<float>(the_dimension), 4) {}

  std::size_t dimension;
  std::vector<std::vector<float>> vectors;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  CompactRows compact;

  void add(std::vector<float> vector) {
    double sum = 0;
    float greatest = 0;
    for (const float value : vector) sum += double{value} * value;
    for (auto& value : vector) {
      value = static_cast<float>(value / std::sqrt(sum));
      greatest = std::max(greatest, std::abs(value));
    }
    for (const float value : vector) {
      codes.push_back(static_cast<std::int8_t>(std::lround(value / greatest * 127)));
    }
    scales.push_back(greatest / 127);
    compact.add(vector);
    vectors.push_back(std::move(vector));
  }
  [[nodiscard]] CodeRows lent() const { return {codes, scales, dimension}; }
  [[nodiscard]] Rows in_order(const std::vector<std::uint32_t>& order) const {
    Rows rows(dimension);
    for (const auto from : order) rows.add(vectors[from]);
    return rows;
  }
  [[nodiscard]] std::vector<float> all_scores(const CompactRows::Query& query) const {
    std::vector<std::uint32_t> places(vectors.size());
    std::iota(places.begin(), places.end(), 0U);
    std::vector<std::int32_t> sums;
    std::vector<float> scores;
    compact.score(query, places, sums, scores);
    return scores;
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

TEST(GraphTest, finds_nearly_all_of_the_nearest_in_clusters_and_without) {
  for (const std::size_t clusters : {3, 200, 6'000}) {
    std::mt19937_64 random(clusters);
    Rows given(40);
    for (int i = 0; i < 6'000; ++i) given.add(near_a_centre(random, 40, clusters));
    const auto built = Graph::build(given.lent(), {}, {}).value();
    const auto rows = given.in_order(built.order);
    Graph::Scratch scratch;
    std::ptrdiff_t found = 0;
    std::ptrdiff_t found_by_8_bits = 0;

    for (int q = 0; q < 100; ++q) {
      const auto vector = near_a_centre(random, 40, clusters);
      const auto query = rows.compact.encode(vector);
      const auto scores = rows.all_scores(query);
      built.graph.search(rows.compact, query, {.width = 64}, scratch);
      ASSERT_EQ(scratch.pool.size(), 64U);
      for (std::size_t i = 0; i < 64; ++i) {
        ASSERT_EQ(scratch.pool[i].score, scores[scratch.pool[i].place]);
        ASSERT_TRUE(i == 0 || scratch.pool[i - 1].score >= scratch.pool[i].score);
      }
      std::vector<float> truths;
      for (const auto& row : rows.vectors) {
        truths.push_back(std::inner_product(row.begin(), row.end(), vector.begin(), 0.0F));
      }
      auto sorted = truths;
      std::ranges::sort(sorted, std::greater());
      const auto finds = [&] {
        return std::ranges::count_if(
            scratch.pool, [&](const Graph::Near& near) { return truths[near.place] >= sorted[9]; });
      };
      found += finds();
      Rows wide(40);
      wide.add(vector);
      const std::vector<std::int16_t> code(wide.codes.begin(), wide.codes.end());
      built.graph.search(rows.lent(), {code.data()}, {.width = 64}, scratch);
      found_by_8_bits += finds();
    }

    EXPECT_GE(found, 980) << clusters;
    EXPECT_GE(found_by_8_bits, 980) << clusters;
  }
}

// By how much of the pool is as with a walk that goes on to its end.
TEST(GraphTest, ends_where_nothing_nearer_is_to_be_expected) {
  std::mt19937_64 random(5);
  Rows given(40);
  for (int i = 0; i < 6'000; ++i) given.add(near_a_centre(random, 40, 200));
  const auto built = Graph::build(given.lent(), {}, {}).value();
  const auto rows = given.in_order(built.order);
  Graph::Scratch whole;
  Graph::Scratch scratch;
  std::map<float, std::ptrdiff_t> nearest;
  std::map<float, std::ptrdiff_t> farther;
  for (int q = 0; q < 100; ++q) {
    auto vector = near_a_centre(random, 40, 200);
    const auto length =
        std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0F));
    for (auto& value : vector) value /= length;
    const auto query = rows.compact.encode(vector);
    built.graph.search(rows.compact, query, {.width = 400}, whole);
    for (const float slack : {0.0F, 0.2F, 100.0F}) {
      built.graph.search(rows.compact, query, {.width = 400, .wanted = 10, .slack = slack},
                         scratch);
      const auto is_as_good = [&](std::size_t i) {
        return i < scratch.pool.size() && scratch.pool[i].score == whole.pool[i].score;
      };
      for (std::size_t i = 0; i < 10; ++i) nearest[slack] += is_as_good(i);
      for (std::size_t i = 300; i < 400; ++i) farther[slack] += is_as_good(i);
    }
  }
  EXPECT_GE(nearest[0], 900);
  EXPECT_GE(nearest[0.2F], nearest[0]);
  EXPECT_GE(nearest[0.2F], 990);
  EXPECT_LT(farther[0.2F], 9'000) << "nobody asked for them";
  EXPECT_EQ(nearest[100], 1'000);
  EXPECT_EQ(farther[100], 10'000);
}

TEST(GraphTest, every_row_is_found_also_those_that_are_many_times_there) {
  std::mt19937_64 random(1);
  Rows given(16);
  const auto common = random_vector(random, 16);
  for (int i = 0; i < 3'000; ++i) given.add(i % 3 == 0 ? common : random_vector(random, 16));
  const auto built = Graph::build(given.lent(), {}, {}).value();
  const auto rows = given.in_order(built.order);
  Graph::Scratch scratch;

  EXPECT_EQ(std::set(built.order.begin(), built.order.end()).size(), 3'000U);
  built.graph.search(rows.compact, rows.compact.encode(rows.vectors[0]), {.width = 3'000}, scratch);
  std::set<std::uint32_t> met;
  for (const auto& near : scratch.pool) met.insert(near.place);
  EXPECT_EQ(met.size(), 3'000U) << "a walk with a view of everything meets everything";
}

TEST(GraphTest, small_graphs_are_whole) {
  for (const std::size_t count : {0, 1, 2, 33, 257}) {
    std::mt19937_64 random(count);
    Rows given(5);
    for (std::size_t i = 0; i < count; ++i) given.add(random_vector(random, 5));
    const auto built = Graph::build(given.lent(), {}, {}).value();
    const auto rows = given.in_order(built.order);
    Graph::Scratch scratch;

    built.graph.search(rows.compact, rows.compact.encode(std::vector<float>(5, 1)), {.width = 300},
                       scratch);

    EXPECT_EQ(built.graph.size(), count);
    EXPECT_EQ(scratch.pool.size(), count);
  }
}

TEST(GraphTest, the_same_rows_make_the_same_graph) {
  std::mt19937_64 random(9);
  Rows given(24);
  for (int i = 0; i < 1'000; ++i) given.add(random_vector(random, 24));

  EXPECT_EQ(Graph::build(given.lent(), {}, {})->order, Graph::build(given.lent(), {}, {})->order);
}

TEST(GraphTest, a_scratch_serves_graphs_of_any_size_and_more_searches_than_it_can_number) {
  std::mt19937_64 random(4);
  Rows small(8);
  Rows large = small;
  for (int i = 0; i < 400; ++i) small.add(random_vector(random, 8));
  for (int i = 0; i < 500; ++i) large.add(random_vector(random, 8));
  const auto of_small = Graph::build(small.lent(), {}, {}).value();
  const auto of_large = Graph::build(large.lent(), {}, {}).value();
  small = small.in_order(of_small.order);
  large = large.in_order(of_large.order);
  const auto of_7_small = small.compact.encode(small.vectors[7]);
  const auto of_7_large = large.compact.encode(large.vectors[7]);
  Graph::Scratch scratch;

  for (int i = 0; i < 70'000; ++i) {
    const bool is_small = i % 2 == 0;
    const auto& rows = is_small ? small : large;
    const auto& graph = is_small ? of_small.graph : of_large.graph;
    graph.search(rows.compact, is_small ? of_7_small : of_7_large, {.width = 4}, scratch);
    ASSERT_EQ(std::ranges::count(scratch.pool, 7U, &Graph::Near::place), 1) << i;
  }
}

Graph::Parts parts_of(const Graph& graph) {
  return {.degree = graph.degree(),
          .entries = graph.entries(),
          .neighbours = {graph.neighbours().begin(), graph.neighbours().end()}};
}

TEST(GraphTest, is_the_same_when_it_is_made_again_from_its_parts) {
  std::mt19937_64 random(5);
  Rows given(12);
  for (int i = 0; i < 600; ++i) given.add(random_vector(random, 12));
  const auto built = Graph::build(given.lent(), {}, {}).value();
  const auto rows = given.in_order(built.order);
  const auto again = Graph::from(parts_of(built.graph)).value();
  Graph::Scratch scratch;
  Graph::Scratch other;

  for (int q = 0; q < 20; ++q) {
    const auto query = rows.compact.encode(random_vector(random, 12));
    built.graph.search(rows.compact, query, {.width = 30}, scratch);
    again.search(rows.compact, query, {.width = 30}, other);
    EXPECT_TRUE(
        std::ranges::equal(scratch.pool, other.pool, {}, &Graph::Near::place, &Graph::Near::place));
  }
}

TEST(GraphTest, is_not_made_from_parts_that_are_no_graph) {
  const Graph::Parts sound{.degree = 2, .entries = 1, .neighbours = {1, Graph::kNoNode, 0, 1}};
  ASSERT_TRUE(Graph::from(sound));
  auto no_degree = sound;
  no_degree.degree = 0;
  auto half_a_node = sound;
  half_a_node.neighbours.pop_back();
  auto many_entries = sound;
  many_entries.entries = 3;
  auto stranger = sound;
  stranger.neighbours[2] = 2;

  for (const auto& parts : {no_degree, half_a_node, many_entries, stranger}) {
    const auto made = Graph::from(parts);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::corrupt);
  }
}

TEST(GraphTest, a_part_has_what_a_walk_over_it_comes_to_and_finds_nearly_as_much) {
  std::mt19937_64 random(6);
  Rows given(24);
  for (int i = 0; i < 4'000; ++i) given.add(near_a_centre(random, 24, 50));
  const auto built = Graph::build(given.lent(), {}, {}).value();
  const auto rows = given.in_order(built.order);
  std::vector<bool> keeps(4'000);
  for (std::size_t n = 0; n < keeps.size(); ++n) keeps[n] = random() % 5 != 0;

  const auto part = built.graph.part(keeps);

  ASSERT_GT(part.order.size(), 3'000U);
  EXPECT_TRUE(std::ranges::is_sorted(part.order));
  for (const auto node : part.order) EXPECT_TRUE(keeps[node]);
  const auto kept = rows.in_order(part.order);
  Graph::Scratch scratch;
  part.graph.search(kept.compact, kept.compact.encode(kept.vectors[0]), {.width = 4'000}, scratch);
  EXPECT_EQ(scratch.pool.size(), part.order.size()) << "a walk with a view of everything meets all";
  int found = 0;
  for (int q = 0; q < 100; ++q) {
    const auto query = kept.compact.encode(near_a_centre(random, 24, 50));
    const auto scores = kept.all_scores(query);
    part.graph.search(kept.compact, query, {.width = 64}, scratch);
    found += scratch.pool[0].score == std::ranges::max(scores) ? 1 : 0;
  }
  EXPECT_GE(found, 98);
}

TEST(GraphTest, a_part_without_entries_has_nothing) {
  // 0 is the entry; 0 leads to 1, 1 to 2.
  const auto graph =
      Graph::from({.degree = 1, .entries = 1, .neighbours = {1, 2, Graph::kNoNode}}).value();

  EXPECT_EQ(graph.part({true, true, true}).order, (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(graph.part({true, false, true}).order, (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(graph.part({false, true, true}).graph.size(), 0U);
}

TEST(GraphTest, grows_by_rows_that_are_found_as_well_as_the_others) {
  std::mt19937_64 random(8);
  Rows given(24);
  for (int i = 0; i < 4'000; ++i) given.add(near_a_centre(random, 24, 50));
  const auto built = Graph::build(given.lent(), {}, {}).value();
  auto rows = given.in_order(built.order);
  auto graph = built.graph;

  // The last are in clusters that it did not know.
  for (const std::size_t more : {1, 999, 2'000, 1'000}) {
    for (std::size_t i = 0; i < more; ++i) {
      rows.add(near_a_centre(random, 24, rows.vectors.size() < 7'000 ? 50 : 80));
    }
    graph = graph.grown(rows.lent(), {}).value();
  }

  ASSERT_EQ(graph.size(), 8'000U);
  EXPECT_EQ(graph.entries(), built.graph.entries());
  Graph::Scratch scratch;
  graph.search(rows.compact, rows.compact.encode(rows.vectors[0]), {.width = 8'000}, scratch);
  EXPECT_EQ(scratch.pool.size(), 8'000U) << "a walk with a view of everything meets all";
  const auto found = [&](std::size_t first, std::size_t count) {
    int best = 0;
    for (std::size_t q = first; q < first + count; ++q) {
      graph.search(rows.compact, rows.compact.encode(rows.vectors[q]), {.width = 64}, scratch);
      const auto is_it = [&](const Graph::Near& near) { return near.place == q; };
      best += std::ranges::any_of(scratch.pool, is_it) ? 1 : 0;
    }
    return best;
  };
  EXPECT_GE(found(0, 300), 298);
  EXPECT_GE(found(7'000, 300), 298);
}

TEST(GraphTest, its_making_can_be_stopped) {
  Rows given(2);
  given.add({1, 2});

  const auto built = Graph::build(given.lent(), {}, [] { return false; });

  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace samtale

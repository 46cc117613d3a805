// Goal:   of what a walk met, those are scored that are among the nearest, and few others.
// Method: against scoring all that it met, over each kind of codes.
#include "index/code_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "index/testing/vectors.h"
#include "index/walk_plan.h"

namespace samtale {
namespace {

constexpr std::size_t kDimension = 96;
constexpr std::size_t kRows = 3'000;
constexpr std::size_t kLimit = 10;

class Hits final : public CodeHits {
 public:
  [[nodiscard]] float score_min() const override {
    return scores_.size() < kLimit ? -std::numeric_limits<float>::infinity() : scores_.back();
  }
  void offer(VectorRows::Place /*place*/, float score) override {
    ++offered;
    scores_.insert(std::ranges::upper_bound(scores_, score, std::greater()), score);
    if (scores_.size() > kLimit) scores_.pop_back();
  }
  [[nodiscard]] const std::vector<float>& scores() const { return scores_; }

  std::size_t offered = 0;

 private:
  std::vector<float> scores_;  // Best first.
};

// Bits of a code.
class CodeWalkTest : public testing::TestWithParam<unsigned> {
 protected:
  CodeWalkTest() {
    for (std::size_t i = 0; i < kRows; ++i) rows_of_graph.add(0, clustered(random, kDimension));
    auto built = Graph::build(rows_of_graph.codes(), {}, {});
    std::vector<float> mean(kDimension);
    for (const auto from : built->order) {
      const auto vector = rows_of_graph.vector(from);
      rows.add(0, vector);
      for (std::size_t d = 0; d < kDimension; ++d) mean[d] += vector[d] / kRows;
    }
    if (GetParam() < 8) compact.emplace(mean, GetParam());
    for (VectorRows::Place p = 0; p < kRows && compact; ++p) compact->add(rows.vector(p));
    graph = std::move(built->graph);
  }
  [[nodiscard]] WalkedRows walked() const { return {graph, rows, compact ? &*compact : nullptr}; }

  std::mt19937_64 random{21};
  VectorRows rows_of_graph{kDimension};
  VectorRows rows{kDimension};
  std::optional<CompactRows> compact;
  Graph graph;
  Graph::Scratch scratch;
};

TEST_P(CodeWalkTest, offers_the_nearest_of_what_it_met_and_few_others) {
  std::size_t found = 0;
  std::size_t offered = 0;
  constexpr std::size_t kQueries = 200;
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto query = clustered(random, kDimension);
    const CodeWalk walk(walked(), query, walk_reach(kLimit, 0.1F), scratch);
    std::vector<float> all;
    for (const auto& near : scratch.pool) all.push_back(rows.dot(query, near.place));
    std::ranges::sort(all, std::greater());
    ASSERT_GE(all.size(), walk_candidates(kLimit));

    Hits hits;
    walk.offer(kLimit, scratch.pool, hits);

    ASSERT_EQ(hits.scores().size(), kLimit);
    for (std::size_t i = 0; i < kLimit; ++i) found += hits.scores()[i] == all[i] ? 1 : 0;
    offered += hits.offered;
  }

  EXPECT_GE(found, kQueries * kLimit * 998 / 1'000);
  EXPECT_LT(offered, kQueries * kLimit * 2);
}

TEST_P(CodeWalkTest, offers_what_is_left_of_it_where_little_is) {
  const auto query = clustered(random, kDimension);
  const CodeWalk walk(walked(), query, walk_reach(kLimit, 0.1F), scratch);
  scratch.pool.resize(3);

  Hits hits;
  walk.offer(kLimit, scratch.pool, hits);

  EXPECT_EQ(hits.offered, 3);
}

INSTANTIATE_TEST_SUITE_P(Bits, CodeWalkTest, testing::Values(8, 4, 2),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace samtale

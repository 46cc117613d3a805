// Goal:   a scan of codes finds the nearest, all of them, whatever the codes say.
// Method: against the scores of all vectors, of kinds that codes represent well and badly.
#include "index/code_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "index/testing/vectors.h"

namespace samtale {
namespace {

using Vector = std::vector<float>;
using Place = VectorRows::Place;

constexpr auto kNoBlocks = std::numeric_limits<std::size_t>::max();

class Best final : public CodeHits {
 public:
  explicit Best(std::size_t limit) : limit_(static_cast<std::ptrdiff_t>(limit)) {}
  float score_min() const override {
    return std::ssize(scores_) < limit_ ? -2.0F : *std::next(scores_.rbegin(), limit_ - 1);
  }
  void offer(Place /*place*/, float score) override { scores_.insert(score); }
  std::vector<float> take() const {
    const auto count = std::min(limit_, std::ssize(scores_));
    return {scores_.rbegin(), std::next(scores_.rbegin(), count)};
  }

 private:
  std::ptrdiff_t limit_;
  std::multiset<float> scores_;
};

// Rows that a filter leaves: so many, then as many as are missing to `step` are left out.
struct Left {
  std::size_t run;
  std::size_t step;
};
constexpr Left kAll{kScanBlock, kScanBlock};

ForRuns runs_of(const VectorRows& rows, Left left) {
  return [&rows, left](const VisitRun& visit) {
    for (std::size_t i = 0; i < rows.size(); i += left.step) {
      visit(static_cast<Place>(i), std::min(left.run, rows.size() - i));
    }
  };
}

// The best scores, by all vectors, and by their codes.
std::vector<float> truth(const VectorRows& rows, const Vector& query, std::size_t limit,
                         Left left) {
  Best best(limit);
  runs_of(rows, left)([&](Place first, std::size_t count) {
    for (auto place = first; place < first + count; ++place) {
      best.offer(place, rows.dot(query, place));
    }
  });
  return best.take();
}

std::vector<float> found(const VectorRows& rows, const Vector& query, std::size_t limit,
                         Left left) {
  Best best(limit);
  scan_by_code(rows, query, encode_query(query), limit, runs_of(rows, left), best);
  return best.take();
}

TEST(CodeScanTest, finds_the_nearest_of_vectors_of_any_kind) {
  std::mt19937_64 random(1);
  for (const std::size_t dimension : {3, 24, 100, 384}) {
    const auto common = unit_vector(random, dimension);
    const auto near_all = [&] {
      auto vector = unit_vector(random, dimension);
      double sum = 0;
      for (std::size_t i = 0; i < dimension; ++i) {
        vector[i] = common[i] + vector[i] / 3;
        sum += double{vector[i]} * vector[i];
      }
      for (auto& value : vector) value /= static_cast<float>(std::sqrt(sum));
      return vector;
    };
    const std::vector<std::function<Vector()>> kinds{[&] { return unit_vector(random, dimension); },
                                                     [&] { return clustered(random, dimension); },
                                                     near_all};
    for (const auto& make : kinds) {
      for (const auto blocks_from : {std::size_t{0}, std::size_t{900} * dimension, kNoBlocks}) {
        VectorRows rows(dimension);
        rows.will_be_scanned(blocks_from);
        for (int i = 0; i < 1'300; ++i) rows.add(0, make());
        for (int i = 0; i < 100; ++i) rows.remove(static_cast<Place>(random() % rows.size()));
        for (int i = 0; i < 50; ++i) rows.add(0, make());
        for (const std::size_t limit : {1, 10, 60}) {
          for (const auto left : {kAll, Left{.run = 1, .step = 3}, Left{.run = 60, .step = 77}}) {
            const auto query = make();
            ASSERT_EQ(found(rows, query, limit, left), truth(rows, query, limit, left))
                << dimension << " " << blocks_from << " " << limit << " " << left.run;
          }
        }
      }
    }
  }
}

TEST(CodeScanTest, reads_whole_codes_for_a_while_after_half_ones_that_were_of_no_use) {
  constexpr std::size_t kDimension = 384;
  std::mt19937_64 random(2);
  VectorRows rows(kDimension);
  rows.will_be_scanned(0);
  for (int i = 0; i < 2'000; ++i) rows.add(0, unit_vector(random, kDimension));
  const auto reads_half = [&] {
    return rows.encode_for_scan(unit_vector(random, kDimension)).by_blocks.has_value();
  };
  ASSERT_TRUE(reads_half());

  // Few that a filter leaves, of which most are wanted, tell nothing.
  static_cast<void>(found(rows, unit_vector(random, kDimension), 20, {.run = 30, .step = 1'000}));
  ASSERT_TRUE(reads_half());
  // In all directions there are too many that are nearly as near.
  for (const int pause : {4, 16, 64, 64}) {
    static_cast<void>(found(rows, unit_vector(random, kDimension), 10, kAll));
    for (int i = 0; i < pause; ++i) EXPECT_FALSE(reads_half());
    EXPECT_TRUE(reads_half());
  }
}

// Numbers in steps of a 127th of the greatest, and nearly half a step more, or less: by their codes
// all score lower than they do, or higher, and by as much as can be.
Vector between_codes(std::mt19937_64& random, std::size_t dimension, bool is_more) {
  Vector vector(dimension);
  for (auto& value : vector) {
    value = static_cast<float>(57 + random() % 7) + (is_more ? 0.45F : -0.45F);
  }
  vector[0] = 127;
  double sum = 0;
  for (const float value : vector) sum += double{value} * value;
  for (auto& value : vector) value /= static_cast<float>(std::sqrt(sum));
  return vector;
}

TEST(CodeScanTest, finds_what_a_guess_from_the_codes_passed_over) {
  constexpr std::size_t kDimension = 64;
  constexpr std::size_t kLimit = 10;
  for (const auto blocks_from : {std::size_t{0}, kNoBlocks}) {
    std::mt19937_64 random(5);
    VectorRows rows(kDimension);
    rows.will_be_scanned(blocks_from);
    const Vector query(kDimension, 1 / std::sqrt(static_cast<float>(kDimension)));
    for (int i = 0; i < 400; ++i) rows.add(0, between_codes(random, kDimension, i % 2 == 0));

    EXPECT_EQ(found(rows, query, kLimit, kAll), truth(rows, query, kLimit, kAll));
  }
}

}  // namespace
}  // namespace samtale

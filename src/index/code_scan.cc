#include "index/code_scan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace samtale {
namespace {

using Place = VectorRows::Place;

// Vectors so far ahead are on their way while one is scored.
constexpr std::size_t kAhead = 2;

constexpr auto kNever = -std::numeric_limits<float>::infinity();

// The least of the greatest `limit` of what it is shown.
class Least {
 public:
  explicit Least(std::size_t limit) : limit_(limit) { greatest_.reserve(limit); }

  void show(float value) {
    if (greatest_.size() == limit_) {
      if (value <= greatest_.front()) return;
      std::ranges::pop_heap(greatest_, std::greater<>());
      greatest_.pop_back();
    }
    greatest_.push_back(value);
    std::ranges::push_heap(greatest_, std::greater<>());
  }
  // What all values may be below, while there are fewer.
  [[nodiscard]] float value() const {
    return greatest_.size() < limit_ ? kNever : greatest_.front();
  }

 private:
  std::size_t limit_;
  std::vector<float> greatest_;  // A heap with the least in front.
};

// Those whose score may be `score_min`, which may grow meanwhile.
template <class Take>
void for_possible(const VectorRows& rows, const CoarseQueryCode& coarse, const ForRuns& for_runs,
                  const float& score_min, const Take& take) {
  constexpr std::size_t kGroup = 16;  // Most have none.
  static_assert(kScanBlock % kGroup == 0);
  std::array<float, kScanBlock> bounds;
  for_runs([&](Place first, std::size_t count) {
    rows.bounds(coarse, first, count, bounds.data());
    const auto groups_end = (count + kGroup - 1) / kGroup * kGroup;
    std::fill(bounds.begin() + count, bounds.begin() + groups_end, kNever);
    for (std::size_t group = 0; group < count; group += kGroup) {
      const auto least = score_min;
      int some = 0;
      for (std::size_t i = group; i < group + kGroup; ++i) {
        some |= static_cast<int>(bounds[i] >= least);
      }
      if (some == 0) continue;
      for (auto i = group; i < std::min(group + kGroup, count); ++i) {
        if (bounds[i] >= score_min) take(first + static_cast<Place>(i));
      }
    }
  });
}

void offer_best_first(const VectorRows& rows, std::span<const float> unit,
                      std::vector<Candidate>& candidates, CodeHits& hits) {
  std::ranges::sort(candidates, std::greater<>(), &Candidate::bound);
  offer_some(rows, unit, candidates, hits);
}

}  // namespace

// All of the codes are read once, as fast as they can be; of what that leaves, while it is in the
// caches, a finer bound leaves less. What is left is scored, best by code first: the worst of the
// hits then rules out most of it.
//
// What a hit must have at least is guessed meanwhile, from what the codes say of as many as are
// wanted. The guess is seldom too high, and then the hits that were found tell: the codes are read
// once more for what was passed over.
void scan_by_code(const VectorRows& rows, std::span<const float> unit, const QueryCode& code,
                  std::size_t limit, const ForRuns& for_runs, CodeHits& hits) {
  std::vector<Candidate> candidates;
  // An error is a sum of many small ones, so about so much of what it may be.
  const auto share = std::min(1.0F, 4 / std::sqrt(static_cast<float>(unit.size())));
  Least guess(limit);
  auto score_min = hits.score_min();
  const auto take = [&](Place place) {
    const auto [middle, distance] = rows.about(code, place);
    if (middle + distance < score_min) return;
    candidates.push_back({.place = place, .bound = middle + distance});
    guess.show(middle - distance * share);
    score_min = std::max(score_min, guess.value());
  };
  const auto coarse = encode_query_coarsely(unit);
  for_possible(rows, coarse, for_runs, score_min, take);
  std::erase_if(candidates, [&](const Candidate& one) { return one.bound < score_min; });
  offer_best_first(rows, unit, candidates, hits);
  if (hits.score_min() >= score_min) return;

  std::ranges::sort(candidates, {}, &Candidate::place);
  std::vector<Candidate> passed_over;
  score_min = hits.score_min();
  const auto take_others = [&](Place place) {
    if (std::ranges::binary_search(candidates, place, {}, &Candidate::place)) return;
    const auto [middle, distance] = rows.about(code, place);
    if (middle + distance >= score_min) {
      passed_over.push_back({.place = place, .bound = middle + distance});
    }
  };
  for_possible(rows, coarse, for_runs, score_min, take_others);
  offer_best_first(rows, unit, passed_over, hits);
}

void offer_some(const VectorRows& rows, std::span<const float> unit,
                std::span<const Candidate> candidates, CodeHits& hits) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i + kAhead < candidates.size() && candidates[i + kAhead].bound >= hits.score_min()) {
      rows.fetch(candidates[i + kAhead].place);
    }
    const auto [place, bound] = candidates[i];
    if (bound < hits.score_min()) continue;
    const auto score = rows.dot(unit, place);
    if (score >= hits.score_min()) hits.offer(place, score);
  }
}

}  // namespace samtale

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

// Where bounds by half as large codes leave more than a fourth, the whole ones rule out more for
// less.
constexpr std::size_t kManyPossible = 4;
// But not of a few, of which the wanted are many.
constexpr std::size_t kForEach = 4;
// Room for those that may be hits, so that there is seldom too little of it.
constexpr std::size_t kRoom = 4096;

constexpr auto kNever = -std::numeric_limits<float>::infinity();

// What a hit must have at least, as far as one can tell: as much as the `limit` best have, judged
// by what they are likely not below.
class Guess {
 public:
  // No less than `score_min`; limit 0: nor more.
  Guess(std::size_t limit, float score_min) : limit_(limit), score_min_(score_min) {
    greatest_.reserve(limit);
  }
  [[nodiscard]] float score_min() const { return score_min_; }

  void show(float likely) {
    if (likely <= score_min_ || limit_ == 0) return;
    if (greatest_.size() == limit_) {
      std::ranges::pop_heap(greatest_, std::greater<>());
      greatest_.pop_back();
    }
    greatest_.push_back(likely);
    std::ranges::push_heap(greatest_, std::greater<>());
    if (greatest_.size() == limit_) score_min_ = greatest_.front();
  }

 private:
  std::size_t limit_;
  float score_min_;
  std::vector<float> greatest_;  // A heap with the least in front.
};

void leave_possible(const Guess& guess, std::vector<Candidate>& candidates) {
  std::erase_if(candidates, [&](const Candidate& one) { return one.bound < guess.score_min(); });
}

// Those that may be hits by coarse bounds, and how many rows there are.
std::size_t find_possible(const VectorRows& rows, ScanQuery& query, const ForRuns& for_runs,
                          Guess& guess, std::vector<Candidate>& candidates) {
  constexpr std::size_t kGroup = 16;  // Most have none.
  static_assert(kScanBlock % kGroup == 0);
  std::array<float, kScanBlock> bounds;
  std::array<float, kScanBlock> likely;
  std::size_t all = 0;
  for_runs([&](Place first, std::size_t count) {
    all += count;
    rows.bounds(query, first, count, bounds.data(), likely.data());
    const auto groups_end = (count + kGroup - 1) / kGroup * kGroup;
    std::fill(bounds.begin() + count, bounds.begin() + groups_end, kNever);
    for (std::size_t group = 0; group < count; group += kGroup) {
      const auto least = guess.score_min();
      int some = 0;
      for (std::size_t i = group; i < group + kGroup; ++i) {
        some |= static_cast<int>(bounds[i] >= least);
      }
      if (some == 0) continue;
      for (auto i = group; i < std::min(group + kGroup, count); ++i) {
        if (bounds[i] < guess.score_min()) continue;
        candidates.push_back({.place = first + static_cast<Place>(i), .bound = bounds[i]});
        guess.show(likely[i]);
      }
    }
  });
  leave_possible(guess, candidates);
  return all;
}

// Leaves those that may be hits by finer bounds. Those of the best by coarse ones tell first what a
// hit must have.
void look_closer(const VectorRows& rows, const QueryCode& code, float likely_share,
                 std::size_t limit, Guess& guess, std::vector<Candidate>& candidates) {
  std::vector<Place> places;
  std::vector<std::int32_t> sums;
  std::vector<VectorRows::About> about;
  const auto look = [&](std::size_t first) {
    const auto some = std::span(candidates).subspan(first);
    places.clear();
    for (const auto& one : some) places.push_back(one.place);
    rows.about(code, places, sums, about);
    for (std::size_t i = 0; i < some.size(); ++i) {
      some[i].bound = about[i].bound();
      guess.show(about[i].middle - likely_share * about[i].distance);
    }
  };
  const auto rest = candidates.size() - std::min(2 * limit, candidates.size());
  std::ranges::nth_element(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(rest), {},
                           &Candidate::bound);
  look(rest);
  const auto best =
      std::vector(candidates.begin() + static_cast<std::ptrdiff_t>(rest), candidates.end());
  candidates.resize(rest);
  leave_possible(guess, candidates);
  look(0);
  candidates.insert(candidates.end(), best.begin(), best.end());
  leave_possible(guess, candidates);
}

void offer_best_first(const VectorRows& rows, std::span<const float> unit,
                      std::vector<Candidate>& candidates, CodeHits& hits) {
  std::ranges::sort(candidates, std::greater<>(), &Candidate::bound);
  offer_some(rows, unit, candidates, hits);
}

}  // namespace

// All of the codes are read once, as fast as they can be; of what that leaves, a finer bound leaves
// less. What is left is scored, best by code first: the worst of the hits then rules out most of
// it.
//
// What a hit must have at least is guessed meanwhile. The guess is seldom too high, and then the
// hits that were found tell: the codes are read once more for what was passed over.
void scan_by_code(const VectorRows& rows, std::span<const float> unit, const QueryCode& code,
                  std::size_t limit, const ForRuns& for_runs, CodeHits& hits) {
  auto query = rows.encode_for_scan(unit);
  const auto find = [&](Guess& guess) {
    const auto before = guess;
    std::vector<Candidate> found;
    found.reserve(kRoom);
    const auto all = find_possible(rows, query, for_runs, guess, found);
    if (!query.by_blocks) return found;
    rows.half_codes_were_of_use(query,
                                found.size() <= std::max(all / kManyPossible, limit * kForEach));
    if (query.by_blocks) return found;
    found.clear();
    guess = before;
    find_possible(rows, query, for_runs, guess, found);
    return found;
  };
  Guess guess(limit, hits.score_min());
  auto candidates = find(guess);
  Guess closer(limit, guess.score_min());
  look_closer(rows, code, query.likely_share, limit, closer, candidates);
  offer_best_first(rows, unit, candidates, hits);
  if (hits.score_min() >= closer.score_min()) return;

  std::ranges::sort(candidates, {}, &Candidate::place);
  Guess none(0, hits.score_min());
  auto others = find(none);
  std::erase_if(others, [&](const Candidate& one) {
    return std::ranges::binary_search(candidates, one.place, {}, &Candidate::place);
  });
  look_closer(rows, code, query.likely_share, 0, none, others);
  offer_best_first(rows, unit, others, hits);
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

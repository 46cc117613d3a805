// The greedy search of a graph that is finished or being built. Private to graph/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "simd/codes.h"

namespace samtale {

inline constexpr std::uint32_t kNoNode = Graph::kNoNode;

// Half of a squared distance: less may be the codes' error.
inline constexpr float kDistanceLeast = 0.0025F;
// Entries that a walk begins at; one that keeps a lot begins at an eighth as many.
inline constexpr std::size_t kStarts = 16;

// The best so many met, best first, and which of them have been walked from.
class Pool {
 public:
  // The top bit of a place; rows are fewer.
  static constexpr std::uint32_t kWalked = std::uint32_t{1} << 31;

  // A score times `query_scale` is a cosine.
  Pool(std::vector<Graph::Near>& entries, const Graph::Reach& reach, float query_scale)
      : entries_(entries), reach_(reach), query_scale_(query_scale) {
    entries_.clear();
    entries_.reserve(reach.width + 1);
  }

  // What is not above is of no use.
  [[nodiscard]] float score_min() const { return score_min_; }

  // score: above score_min(). True if take() would give it.
  bool insert(float score, std::uint32_t place) {
    if (entries_.size() == reach_.width) entries_.pop_back();
    const auto index = behind(score);
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(index), {score, place});
    if (index < reach_.wanted && entries_.size() >= reach_.wanted) bound();
    forget_those_too_far();
    if (index > next_) return false;
    next_ = index;
    return true;
  }

  // The best not walked from yet, marked; kNoNode if there is none near enough.
  std::uint32_t take() {
    const auto at = first_unwalked();
    if (at >= entries_.size() || entries_[at].score < last_to_walk_) return kNoNode;
    next_ = at + 1;
    return std::exchange(entries_[at].place, entries_[at].place | kWalked);
  }

  // The one that take() would give, near enough or not.
  [[nodiscard]] std::uint32_t peek() const {
    const auto at = first_unwalked();
    return at >= entries_.size() ? kNoNode : entries_[at].place;
  }

  void unmark() {
    for (auto& entry : entries_) entry.place &= ~kWalked;
  }

 private:
  // How many are as good at least. Where a score lies nobody can predict, so no branch asks.
  [[nodiscard]] std::size_t behind(float score) const {
    const auto* begin = entries_.data();
    auto count = entries_.size();
    while (count > 0) {
      const auto half = (count + 1) / 2;
      begin = begin[half - 1].score >= score ? begin + half : begin;
      count -= half;
    }
    return static_cast<std::size_t>(begin - entries_.data());
  }
  [[nodiscard]] std::size_t first_unwalked() const {
    auto at = next_;
    while (at < entries_.size() && (entries_[at].place & kWalked) != 0) ++at;
    return at;
  }
  // The last wanted has come nearer, and nothing that is much farther will be walked from.
  void bound() {
    const auto distance = 1 - entries_[reach_.wanted - 1].score * query_scale_;
    last_to_walk_ = (1 - (1 + reach_.slack) * std::max(distance, kDistanceLeast)) / query_scale_;
  }
  void forget_those_too_far() {
    while (entries_.size() > reach_.least && entries_.back().score < last_to_walk_) {
      entries_.pop_back();
    }
    if (entries_.size() == reach_.width) {
      score_min_ = entries_.back().score;
    } else if (entries_.size() >= reach_.least) {
      score_min_ = std::min(last_to_walk_, entries_.back().score);
    }
  }

  std::vector<Graph::Near>& entries_;
  const Graph::Reach reach_;
  const float query_scale_;
  float score_min_ = -std::numeric_limits<float>::infinity();
  float last_to_walk_ = -std::numeric_limits<float>::infinity();
  std::size_t next_ = 0;  // All before have been walked from.
};

// Scores of the places in scratch.places go into scratch.scores; the query's scale is left out.
inline void score_places(const CodeRows& rows, const std::int16_t* query, Graph::Scratch& scratch) {
  scratch.sums.resize(scratch.places.size());
  code_kernels().dot_some(query, rows.codes.data(), scratch.places.data(), scratch.places.size(),
                          rows.dimension, scratch.sums.data());
  scratch.scores.resize(scratch.places.size());
  for (std::size_t i = 0; i < scratch.places.size(); ++i) {
    scratch.scores[i] = static_cast<float>(scratch.sums[i]) * rows.scales[scratch.places[i]];
  }
}

inline void begin_search(std::size_t nodes, Graph::Scratch& scratch) {
  scratch.seen.assign((nodes + 63) / 64, 0);
}

inline void see(std::vector<std::uint64_t>& seen, std::uint32_t node) {
  seen[node / 64] |= std::uint64_t{1} << node % 64;
}

// Those of the list that were not seen before go into scratch.places. No branch on what was seen,
// which nobody can predict, and no write between the reads, which might have to wait for it.
inline void see_new(std::span<const std::uint32_t> list, Graph::Scratch& scratch) {
  scratch.places.resize(list.size());
  const auto* const seen = scratch.seen.data();
  auto* const places = scratch.places.data();
  std::size_t count = 0;
  for (const auto near : list) {
    if (near == kNoNode) break;
    places[count] = near;
    count += (seen[near / 64] >> near % 64 & 1) ^ 1;
  }
  scratch.places.resize(count);
  for (const auto place : scratch.places) see(scratch.seen, place);
}

inline void fetch(std::span<const std::uint32_t> list) {
  constexpr std::size_t kLine = 64 / sizeof(std::uint32_t);
  for (std::size_t i = 0; i < list.size(); i += kLine) __builtin_prefetch(list.data() + i);
}

// Leaves the best so many of those that have been scored.
inline void keep_best(std::size_t count, Graph::Scratch& scratch) {
  auto& [seen, pool, places, sums, scores] = scratch;
  if (places.size() <= count) return;
  pool.clear();
  for (std::size_t i = 0; i < places.size(); ++i) pool.push_back({scores[i], places[i]});
  const auto end = pool.begin() + static_cast<std::ptrdiff_t>(count);
  std::ranges::nth_element(pool, end, std::greater(), &Graph::Near::score);
  for (std::size_t i = 0; i < count; ++i) {
    scores[i] = pool[i].score;
    places[i] = pool[i].place;
  }
  places.resize(count);
}

// score() gives scratch.places their scratch.scores; neighbours(node) is a span that ends early at
// kNoNode. The entries are in scratch.places.
template <class Score, class Neighbours>
void walk(const Score& score, float query_scale, const Graph::Reach& reach,
          const Neighbours& neighbours, Graph::Scratch& scratch) {
  score();
  keep_best(std::max(kStarts, reach.width / 8), scratch);
  for (const auto place : scratch.places) see(scratch.seen, place);
  Pool pool(scratch.pool, reach, query_scale);
  const auto take_in = [&] {
    auto least = pool.score_min();
    for (std::size_t i = 0; i < scratch.places.size(); ++i) {
      if (scratch.scores[i] <= least) continue;
      if (pool.insert(scratch.scores[i], scratch.places[i])) fetch(neighbours(scratch.places[i]));
      least = pool.score_min();
    }
  };
  take_in();
  for (auto node = pool.take(); node != kNoNode; node = pool.take()) {
    see_new(neighbours(node), scratch);
    // Next, unless one of these is better.
    if (const auto next = pool.peek(); next != kNoNode) fetch(neighbours(next));
    score();
    take_in();
  }
  pool.unmark();
}

}  // namespace samtale

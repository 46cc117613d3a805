// The greedy search of a graph that is finished or being built. Private to graph/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "graph/graph.h"
#include "simd/codes.h"

namespace samtale {

inline constexpr std::uint32_t kNoNode = Graph::kNoNode;

// The best so many met, best first, and which of them have been walked from.
class Pool {
 public:
  // The top bit of a place; rows are fewer.
  static constexpr std::uint32_t kWalked = std::uint32_t{1} << 31;

  Pool(std::vector<Graph::Near>& entries, std::size_t size) : entries_(entries), size_(size) {
    entries_.clear();
    entries_.reserve(size + 1);
  }

  [[nodiscard]] float score_min() const {
    return entries_.size() < size_ ? -std::numeric_limits<float>::infinity()
                                   : entries_.back().score;
  }

  // score: above score_min().
  void insert(float score, std::uint32_t place) {
    if (entries_.size() == size_) entries_.pop_back();
    const auto at = std::ranges::upper_bound(entries_, score, std::greater(), &Graph::Near::score);
    next_ = std::min(next_, static_cast<std::size_t>(at - entries_.begin()));
    entries_.insert(at, {score, place});
  }

  // The best not walked from yet, marked; kNoNode if there is none.
  std::uint32_t take() {
    for (; next_ < entries_.size(); ++next_) {
      auto& place = entries_[next_].place;
      if ((place & kWalked) != 0) continue;
      place |= kWalked;
      return place & ~kWalked;
    }
    return kNoNode;
  }

  // The one that take() would give.
  [[nodiscard]] std::uint32_t peek() const {
    for (auto at = next_; at < entries_.size(); ++at) {
      if ((entries_[at].place & kWalked) == 0) return entries_[at].place;
    }
    return kNoNode;
  }

  void unmark() {
    for (auto& entry : entries_) entry.place &= ~kWalked;
  }

 private:
  std::vector<Graph::Near>& entries_;
  const std::size_t size_;
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
  if (scratch.seen.size() < nodes || scratch.search == std::numeric_limits<std::uint16_t>::max()) {
    scratch.seen.assign(nodes, 0);
    scratch.search = 0;
  }
  ++scratch.search;
}

// score() gives scratch.places their scratch.scores; neighbours(node) is a span that ends early at
// kNoNode. The entries are in scratch.places.
template <class Score, class Neighbours>
void walk(const Score& score, std::size_t width, const Neighbours& neighbours,
          Graph::Scratch& scratch) {
  Pool pool(scratch.pool, width);
  auto* const seen = scratch.seen.data();
  const auto take_in = [&] {
    score();
    auto least = pool.score_min();
    for (std::size_t i = 0; i < scratch.places.size(); ++i) {
      if (scratch.scores[i] <= least) continue;
      pool.insert(scratch.scores[i], scratch.places[i]);
      least = pool.score_min();
    }
  };
  for (const auto place : scratch.places) seen[place] = scratch.search;
  take_in();
  for (auto node = pool.take(); node != kNoNode; node = pool.take()) {
    // Without a branch on what was seen, which nobody can predict.
    const auto list = neighbours(node);
    scratch.places.resize(list.size());
    std::size_t count = 0;
    for (const auto near : list) {
      if (near == kNoNode) break;
      scratch.places[count] = near;
      count += seen[near] != scratch.search ? 1 : 0;
      seen[near] = scratch.search;
    }
    scratch.places.resize(count);
    // Next, unless one of these is better.
    if (const auto next = pool.peek(); next != kNoNode) __builtin_prefetch(neighbours(next).data());
    take_in();
  }
  pool.unmark();
}

}  // namespace samtale

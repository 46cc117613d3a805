// TopRows: keeps the best so many of the rows it is offered. Private to index/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace samtale {

struct ScoredRow {
  std::uint32_t row = 0;
  float score = 0;
};

// precedes(a, b): which of two rows of equal scores ranks before the other.
template <class Precedes>
class TopRows {
 public:
  TopRows(std::size_t limit, Precedes precedes) : limit_(limit), ranks_before_{precedes} {}

  // A row with a score below this changes nothing. Equal scores may.
  [[nodiscard]] float score_min() const {
    if (limit_ == 0) return std::numeric_limits<float>::infinity();
    return rows_.size() < limit_ ? -std::numeric_limits<float>::infinity() : rows_.front().score;
  }

  void offer(const ScoredRow& row) {
    if (rows_.size() < limit_) {
      rows_.push_back(row);
      std::ranges::push_heap(rows_, ranks_before_);
    } else if (limit_ > 0 && ranks_before_(row, rows_.front())) {
      std::ranges::pop_heap(rows_, ranks_before_);
      rows_.back() = row;
      std::ranges::push_heap(rows_, ranks_before_);
    }
  }

  // Best first.
  [[nodiscard]] std::vector<ScoredRow> take() && {
    std::ranges::sort_heap(rows_, ranks_before_);
    return std::move(rows_);
  }

 private:
  struct RanksBefore {
    bool operator()(const ScoredRow& a, const ScoredRow& b) const {
      return a.score != b.score ? a.score > b.score : precedes(a.row, b.row);
    }
    Precedes precedes;
  };

  std::size_t limit_;
  RanksBefore ranks_before_;
  std::vector<ScoredRow> rows_;  // A heap with the worst in front.
};

}  // namespace samtale

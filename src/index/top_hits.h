// TopHits: keeps the best so many of the hits it is offered. Private to index/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "index/company_index.h"

namespace samtale {

class TopHits {
 public:
  explicit TopHits(std::size_t limit) : limit_(limit) {}

  // A hit with a score below this changes nothing. Equal scores may: ties go by conversation.
  [[nodiscard]] float score_min() const {
    if (limit_ == 0) return std::numeric_limits<float>::infinity();
    return hits_.size() < limit_ ? -std::numeric_limits<float>::infinity() : hits_.front().score;
  }

  void offer(const ChunkHit& hit) {
    if (hits_.size() < limit_) {
      hits_.push_back(hit);
      std::ranges::push_heap(hits_, ranks_before);
    } else if (limit_ > 0 && ranks_before(hit, hits_.front())) {
      std::ranges::pop_heap(hits_, ranks_before);
      hits_.back() = hit;
      std::ranges::push_heap(hits_, ranks_before);
    }
  }

  // Best first.
  [[nodiscard]] std::vector<ChunkHit> take() && {
    std::ranges::sort_heap(hits_, ranks_before);
    return std::move(hits_);
  }

 private:
  std::size_t limit_;
  std::vector<ChunkHit> hits_;  // A heap with the worst in front.
};

}  // namespace samtale

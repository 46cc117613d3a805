#include "index/code_walk.h"

#include <algorithm>
#include <vector>

#include "index/walk_plan.h"

namespace samtale {

CodeWalk::CodeWalk(const WalkedRows& walked, std::span<const float> unit, const Graph::Reach& reach,
                   Graph::Scratch& scratch)
    : rows_(walked.rows), unit_(unit) {
  if (walked.compact != nullptr) {
    const auto query = walked.compact->encode(unit);
    scale_ = query.scale;
    likely_error_ = query.likely_error;
    walked.graph.search(*walked.compact, query, reach, scratch);
  } else {
    code_ = encode_query(unit);
    scale_ = code_->scale;
    walked.graph.search(rows_.codes(), {code_->codes.data(), scale_}, reach, scratch);
  }
}

void CodeWalk::offer(std::size_t limit, std::span<const Graph::Near> met, CodeHits& hits) const {
  std::vector<Candidate> candidates;
  candidates.reserve(walk_candidates(limit));
  for (const auto& near : met.first(std::min(walk_candidates(limit), met.size()))) {
    candidates.push_back({near.place, likely_bound(near)});
  }
  offer_some(rows_, unit_, candidates, hits);
}

float CodeWalk::likely_bound(const Graph::Near& near) const {
  return near.score * scale_ + (code_ ? rows_.likely_error(*code_, near.place) : likely_error_);
}

}  // namespace samtale

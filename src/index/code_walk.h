// CodeWalk: the nearest of many vectors, nearly, by a walk over their codes. Private to index/.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "graph/graph.h"
#include "index/code_scan.h"
#include "index/vector_rows.h"

namespace samtale {

// What it reads. Without `compact` it goes by the codes of the rows.
struct WalkedRows {
  const Graph& graph;
  const VectorRows& rows;
  const CompactRows* compact = nullptr;
};

class CodeWalk {
 public:
  // Walks. scratch.pool has what was met.
  CodeWalk(const WalkedRows& walked, std::span<const float> unit, const Graph::Reach& reach,
           Graph::Scratch& scratch);

  // Offers those of what was met, or of what is left of it, that are likely among the `limit`
  // nearest, exactly scored. `hits` keeps as many.
  void offer(std::size_t limit, std::span<const Graph::Near> met, CodeHits& hits) const;

 private:
  // What its score is hardly ever above.
  [[nodiscard]] float likely_bound(const Graph::Near& near) const;

  const VectorRows& rows_;
  const std::span<const float> unit_;
  std::optional<QueryCode> code_;  // None if it went by compact codes.
  float scale_ = 0;
  float likely_error_ = 0;
};

}  // namespace samtale

// How far a walk through a tier's graph goes for what is wanted, and whether a scan is faster.
// Private to index/.
#pragma once

#include <cstddef>
#include <optional>

#include "graph/graph.h"
#include "index/segment.h"

namespace samtale {

struct WalkPlan {
  Graph::Reach reach;
  std::size_t limit = 0;
  std::size_t least = 0;  // Met fewer of those wanted, it has failed.
  bool filters = false;
};

// None if a scan is faster, or walks find too little. `share` of all rows are about as many as are
// allowed; of the `rows` so many were removed.
[[nodiscard]] std::optional<WalkPlan> plan_walk(std::size_t limit, double share, std::size_t rows,
                                                std::size_t removed, const WalkSettings& settings);

// One that ends when it has found so many, nearly surely.
[[nodiscard]] Graph::Reach walk_reach(double wanted, float effort);
// So many of what a walk met, nearest by code first, may be among those wanted.
[[nodiscard]] std::size_t walk_candidates(std::size_t limit);

}  // namespace samtale

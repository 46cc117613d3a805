// Segments for tests and fuzz targets.
#pragma once

#include <cstdint>
#include <random>
#include <utility>

#include "index/segment.h"
#include "index/testing/vectors.h"
#include "index/vector_rows.h"

namespace samtale {

inline Segment make_segment(std::uint64_t seed, std::size_t count, std::size_t dimension = 3,
                            std::size_t degree = 4) {
  std::mt19937_64 random(seed);
  VectorRows rows(dimension);
  for (std::size_t i = 0; i < count; ++i) rows.add(0, unit_vector(random, dimension));
  auto built = Graph::build(rows.codes(), {.degree = degree}, {}).value();
  Segment segment;
  for (const auto place : built.order) {
    segment.digests.push_back(vector_digest(rows.vector(place)));
  }
  segment.graph = std::move(built.graph);
  segment.made_of = count + 5;
  segment.settings = {.effort = 1.5, .is_compact = true, .recall = 0.97, .recall_target = 0.95};
  return segment;
}

}  // namespace samtale

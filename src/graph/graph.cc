#include "graph/graph.h"

#include <numeric>

#include "graph/walk.h"

namespace samtale {

void Graph::search(const CodeRows& rows, const std::int16_t* query, std::size_t ef,
                   Scratch& scratch) const {
  begin_search(size(), scratch);
  scratch.places.resize(entries_);
  std::iota(scratch.places.begin(), scratch.places.end(), 0U);
  walk(
      rows, query, ef,
      [this](std::uint32_t node) {
        return std::span(neighbours_).subspan(std::size_t{node} * degree_, degree_);
      },
      scratch);
}

}  // namespace samtale

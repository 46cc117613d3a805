#include "graph/graph.h"

#include <numeric>

#include "graph/walk.h"

namespace samtale {

template <class Score>
void Graph::search_by(const Score& score, std::size_t ef, Scratch& scratch) const {
  begin_search(size(), scratch);
  scratch.places.resize(entries_);
  std::iota(scratch.places.begin(), scratch.places.end(), 0U);
  walk(
      score, ef,
      [this](std::uint32_t node) {
        return std::span(neighbours_).subspan(std::size_t{node} * degree_, degree_);
      },
      scratch);
}

void Graph::search(const CodeRows& rows, const std::int16_t* query, std::size_t ef,
                   Scratch& scratch) const {
  search_by([&] { score_places(rows, query, scratch); }, ef, scratch);
}

void Graph::search(const CompactRows& rows, const CompactRows::Query& query, std::size_t ef,
                   Scratch& scratch) const {
  search_by([&] { rows.score(query, scratch.places, scratch.sums, scratch.scores); }, ef, scratch);
}

}  // namespace samtale

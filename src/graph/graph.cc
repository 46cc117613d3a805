#include "graph/graph.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "graph/walk.h"

namespace samtale {

template <class Score>
void Graph::search_by(const Score& score, float query_scale, const Reach& reach,
                      Scratch& scratch) const {
  begin_search(size(), scratch);
  scratch.places.resize(entries_);
  std::iota(scratch.places.begin(), scratch.places.end(), 0U);
  walk(
      score, query_scale, reach,
      [this](std::uint32_t node) {
        return std::span(neighbours_).subspan(std::size_t{node} * degree_, degree_);
      },
      scratch);
}

void Graph::search(const CodeRows& rows, const CodeQuery& query, const Reach& reach,
                   Scratch& scratch) const {
  search_by([&] { score_places(rows, query.codes, scratch); }, query.scale, reach, scratch);
}

void Graph::search(const CompactRows& rows, const CompactRows::Query& query, const Reach& reach,
                   Scratch& scratch) const {
  search_by([&] { rows.score(query, scratch.places, scratch.sums, scratch.scores); }, query.scale,
            reach, scratch);
}

Result<Graph> Graph::from(Parts parts) {
  const auto& [degree, entries, neighbours] = parts;
  if (degree == 0 || neighbours.size() % degree != 0) {
    return fail(ErrorCode::corrupt, "a graph with part of a node");
  }
  const auto nodes = neighbours.size() / degree;
  if (nodes >= Pool::kWalked || entries > nodes) {
    return fail(ErrorCode::corrupt, "a graph of " + std::to_string(nodes) + " nodes with " +
                                        std::to_string(entries) + " entries");
  }
  const auto is_node = [nodes = nodes](std::uint32_t near) {
    return near < nodes || near == kNoNode;
  };
  const auto stranger = std::ranges::find_if_not(neighbours, is_node);
  if (stranger != neighbours.end()) {
    return fail(ErrorCode::corrupt, "a graph of " + std::to_string(nodes) +
                                        " nodes with a neighbour " + std::to_string(*stranger));
  }
  Graph graph;
  graph.degree_ = degree;
  graph.entries_ = entries;
  graph.neighbours_ = std::move(parts.neighbours);
  return graph;
}

Graph::Built Graph::part(const std::vector<bool>& keeps) const {
  const auto list = [this](std::uint32_t node) {
    const auto all = std::span(neighbours_).subspan(std::size_t{node} * degree_, degree_);
    return all.first(static_cast<std::size_t>(std::ranges::find(all, kNoNode) - all.begin()));
  };
  std::vector<std::uint32_t> number(size(), kNoNode);
  std::vector<std::uint32_t> met;
  const auto meet = [&](std::uint32_t node) {
    if (!keeps[node] || number[node] != kNoNode) return;
    number[node] = 0;
    met.push_back(node);
  };
  for (std::uint32_t entry = 0; entry < entries_; ++entry) meet(entry);
  Built built;
  built.graph.degree_ = degree_;
  built.graph.entries_ = met.size();
  for (std::size_t at = 0; at < met.size(); ++at) {
    for (const auto near : list(met[at])) meet(near);
  }
  std::ranges::sort(met);
  for (std::uint32_t n = 0; n < met.size(); ++n) number[met[n]] = n;
  built.graph.neighbours_.assign(met.size() * degree_, kNoNode);
  for (std::size_t n = 0; n < met.size(); ++n) {
    auto* out = built.graph.neighbours_.data() + n * degree_;
    for (const auto near : list(met[n])) {
      if (number[near] != kNoNode) *out++ = number[near];
    }
  }
  built.order = std::move(met);
  return built;
}

}  // namespace samtale

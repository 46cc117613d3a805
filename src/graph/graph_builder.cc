#include <algorithm>
#include <numeric>
#include <random>
#include <ranges>

#include "base/check.h"
#include "graph/graph.h"
#include "graph/walk.h"

namespace samtale {
namespace {

constexpr std::size_t kEntries = 64;
// Room for edges from others, so that not every one of them costs a pruning.
constexpr std::size_t kSpareEdges = 16;
// How often the end is asked for.
constexpr std::size_t kStopEvery = 256;

}  // namespace

// Inserts the rows in random order, each connected to what a search for it meets.
class GraphBuilder {
 public:
  GraphBuilder(const CodeRows& rows, const GraphOptions& options)
      : rows_(rows),
        options_(options),
        room_(options.degree + kSpareEdges),
        edges_(rows.size() * room_, kNoNode),
        edge_counts_(rows.size()),
        query_(rows.dimension) {}

  Result<Graph::Built> build(const std::stop_token& stop) {
    std::vector<std::uint32_t> order(rows_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::mt19937_64 random(rows_.size());
    std::ranges::shuffle(order, random);
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i % kStopEvery == 0 && stop.stop_requested()) {
        return fail(ErrorCode::unavailable, "the building of a graph was stopped");
      }
      connect(order[i]);
      if (entries_.size() < kEntries) entries_.push_back(order[i]);
    }
    for (std::uint32_t node = 0; node < rows_.size(); ++node) {
      if (edge_counts_[node] > options_.degree) prune_edges(node);
    }
    return finish();
  }

 private:
  std::span<std::uint32_t> edges(std::uint32_t node) {
    return std::span(edges_).subspan(node * room_, edge_counts_[node]);
  }

  void aim_at(std::uint32_t node) { std::copy_n(rows_.row(node), rows_.dimension, query_.data()); }

  void connect(std::uint32_t node) {
    begin_search(rows_.size(), scratch_);
    scratch_.places = entries_;
    aim_at(node);
    candidates_.clear();
    walk([this] { score_places(rows_, query_.data(), scratch_); }, 1,
         {.width = options_.beam_width},
         [this](std::uint32_t from) { return std::span<const std::uint32_t>(edges(from)); },
         scratch_);
    for (const auto& near : scratch_.pool) {
      candidates_.push_back({near.score * rows_.scales[node], near.place});
    }
    set_edges(node);
    // A copy: adding an edge back prunes, and pruning uses the candidates.
    const std::vector<std::uint32_t> chosen(edges(node).begin(), edges(node).end());
    for (const auto other : chosen) add_edge(other, node);
  }

  void add_edge(std::uint32_t from, std::uint32_t to) {
    if (edge_counts_[from] == room_) prune_edges(from);
    edges_[from * room_ + edge_counts_[from]++] = to;
  }

  void prune_edges(std::uint32_t node) {
    const auto old = edges(node);
    scratch_.places.assign(old.begin(), old.end());
    aim_at(node);
    score_places(rows_, query_.data(), scratch_);
    candidates_.clear();
    for (std::size_t i = 0; i < old.size(); ++i) {
      candidates_.push_back({scratch_.scores[i] * rows_.scales[node], scratch_.places[i]});
    }
    std::ranges::sort(candidates_, std::greater(), &Graph::Near::score);
    set_edges(node);
  }

  // Robust prune: of the candidates, nearest first, those that no chosen one leads nearer to.
  // Squared distances of unit vectors are 2 - 2 * score.
  void set_edges(std::uint32_t node) {
    passed_over_.clear();
    std::size_t count = 0;
    auto* const out = edges_.data() + node * room_;
    while (!candidates_.empty() && count < options_.degree) {
      const auto chosen = candidates_.front().place;
      out[count++] = chosen;
      scratch_.places.clear();
      for (const auto& candidate : std::span(candidates_).subspan(1)) {
        scratch_.places.push_back(candidate.place);
      }
      aim_at(chosen);
      score_places(rows_, query_.data(), scratch_);
      std::size_t kept = 0;
      for (std::size_t i = 1; i < candidates_.size(); ++i) {
        const auto candidate = candidates_[i];
        const auto between = scratch_.scores[i - 1] * rows_.scales[chosen];
        if (options_.alpha * (1 - between) <= 1 - candidate.score) {
          passed_over_.push_back(candidate.place);
        } else {
          candidates_[kept++] = candidate;
        }
      }
      candidates_.resize(kept);
    }
    for (std::size_t i = 0; i < passed_over_.size() && count < options_.degree; ++i) {
      out[count++] = passed_over_[i];
    }
    edge_counts_[node] = static_cast<std::uint32_t>(count);
  }

  // Numbers the nodes in the order of a breadth-first walk from the entries.
  Graph::Built finish() {
    Graph::Built built;
    auto& order = built.order;
    order.reserve(rows_.size());
    number_.assign(rows_.size(), kNoNode);
    met_from_.assign(rows_.size(), kNoNode);
    for (const auto entry : entries_) meet(entry, kNoNode, order);
    std::uint32_t unmet = 0;
    for (std::size_t at = 0; at < rows_.size(); ++at) {
      if (at == order.size()) {
        while (number_[unmet] != kNoNode) ++unmet;
        meet(unmet, lead_to(unmet, order), order);
      }
      for (const auto near : edges(order[at])) meet(near, order[at], order);
    }
    auto& graph = built.graph;
    graph.degree_ = options_.degree;
    graph.entries_ = entries_.size();
    graph.neighbours_.assign(rows_.size() * options_.degree, kNoNode);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto from = edges(order[i]);
      for (std::size_t e = 0; e < from.size(); ++e) {
        graph.neighbours_[i * options_.degree + e] = number_[from[e]];
      }
    }
    return built;
  }

  void meet(std::uint32_t node, std::uint32_t from, std::vector<std::uint32_t>& order) {
    if (number_[node] != kNoNode) return;
    number_[node] = static_cast<std::uint32_t>(order.size());
    met_from_[node] = from;
    order.push_back(node);
  }

  // No walk from the entries comes to `node`: one of those met, a neighbour if one can, gives an
  // edge for it that none was met by.
  std::uint32_t lead_to(std::uint32_t node, const std::vector<std::uint32_t>& order) {
    for (const auto near : edges(node)) {
      if (number_[near] != kNoNode && give_edge(near, node)) return near;
    }
    // The one met last has met none.
    for (const auto last : order | std::views::reverse) {
      if (give_edge(last, node)) return last;
    }
    SAMTALE_CHECK(false, "the last leaf has an edge to give");
    return kNoNode;
  }

  bool give_edge(std::uint32_t from, std::uint32_t to) {
    if (edge_counts_[from] < options_.degree) {
      edges_[from * room_ + edge_counts_[from]++] = to;
      return true;
    }
    for (auto& edge : edges(from) | std::views::reverse) {
      if (met_from_[edge] == from) continue;
      edge = to;
      return true;
    }
    return false;
  }

  const CodeRows& rows_;
  const GraphOptions options_;
  const std::size_t room_;
  HugeVector<std::uint32_t> edges_;  // room_ a node.
  std::vector<std::uint32_t> edge_counts_;
  std::vector<std::uint32_t> entries_;
  Graph::Scratch scratch_;
  std::vector<std::int16_t> query_;
  std::vector<Graph::Near> candidates_;  // Nearest first; scores are cosines.
  std::vector<std::uint32_t> passed_over_;
  // By row, at the end.
  std::vector<std::uint32_t> number_;
  std::vector<std::uint32_t> met_from_;
};

Result<Graph::Built> Graph::build(const CodeRows& rows, const GraphOptions& options,
                                  const std::stop_token& stop) {
  SAMTALE_CHECK(rows.codes.size() == rows.size() * rows.dimension, "one code a row");
  SAMTALE_CHECK(rows.size() < Pool::kWalked, "an index has fewer rows");
  return GraphBuilder(rows, options).build(stop);
}

}  // namespace samtale

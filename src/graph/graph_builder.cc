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
// How often it is asked whether to go on.
constexpr std::size_t kAskEvery = 256;

}  // namespace

// Inserts rows, each connected to what a search for it meets.
class GraphBuilder {
 public:
  GraphBuilder(const CodeRows& rows, const GraphOptions& options)
      : rows_(rows),
        options_(options),
        room_(options.degree + kSpareEdges),
        edges_(rows.size() * room_, kNoNode),
        edge_counts_(rows.size()),
        query_(rows.dimension) {}

  // In random order.
  Result<Graph::Built> build(const GoesOn& goes_on) {
    std::vector<std::uint32_t> nodes(rows_.size());
    std::iota(nodes.begin(), nodes.end(), 0U);
    std::mt19937_64 random(rows_.size());
    std::ranges::shuffle(nodes, random);
    SAMTALE_TRY_VOID(insert(nodes, goes_on));
    for (std::uint32_t node = 0; node < rows_.size(); ++node) {
      if (edge_counts_[node] > options_.degree) prune_edges(node);
    }
    Graph::Built built;
    built.order = lead_to_all();
    built.graph = graph_of(built.order);
    return built;
  }

  Result<Graph> grow(const Graph& graph, const GoesOn& goes_on) {
    entries_.resize(graph.entries());
    std::iota(entries_.begin(), entries_.end(), 0U);
    entries_max_ = entries_.size();
    for (std::uint32_t node = 0; node < graph.size(); ++node) {
      for (const auto near : graph.neighbours().subspan(node * graph.degree(), graph.degree())) {
        if (near == kNoNode) break;
        edges_[node * room_ + edge_counts_[node]++] = near;
      }
    }
    std::vector<std::uint32_t> nodes(rows_.size() - graph.size());
    std::iota(nodes.begin(), nodes.end(), static_cast<std::uint32_t>(graph.size()));
    SAMTALE_TRY_VOID(insert(nodes, goes_on));
    for (std::uint32_t node = 0; node < rows_.size(); ++node) settle_edges(node);
    auto order = lead_to_all();
    std::ranges::sort(order);
    return graph_of(order);
  }

 private:
  Result<> insert(std::span<const std::uint32_t> nodes, const GoesOn& goes_on) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (i % kAskEvery == 0 && goes_on && !goes_on()) {
        return fail(ErrorCode::unavailable, "the building of a graph was stopped");
      }
      connect(nodes[i]);
      if (entries_.size() < entries_max_) entries_.push_back(nodes[i]);
    }
    return {};
  }

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

  // Each row that came gives one edge too many to nearly all of its neighbours, which are full: to
  // prune all of their edges for it took most of the time.
  void settle_edges(std::uint32_t node) {
    const auto all = edges(node);
    if (all.size() <= options_.degree) return;
    edge_counts_[node] = static_cast<std::uint32_t>(options_.degree);
    for (const auto extra : all.subspan(options_.degree)) settle_edge(node, extra);
  }

  // As robust prune would have it: not if a nearer one leads to it, else in place of one that it
  // leads to, or of the last.
  void settle_edge(std::uint32_t node, std::uint32_t extra) {
    const auto old = edges(node);
    scratch_.places.assign(old.begin(), old.end());
    scratch_.places.push_back(extra);
    aim_at(node);
    score_places(rows_, query_.data(), scratch_);
    distances_.clear();
    for (const auto score : scratch_.scores) distances_.push_back(1 - score * rows_.scales[node]);
    aim_at(extra);
    score_places(rows_, query_.data(), scratch_);
    const auto distance = distances_.back();
    auto out = old.size() - 1;
    for (std::size_t i = 0; i < old.size(); ++i) {
      const auto around = options_.alpha * (1 - scratch_.scores[i] * rows_.scales[extra]);
      if (distances_[i] <= distance) {
        if (around <= distance) return;
      } else if (around <= distances_[i]) {
        out = i;
      }
    }
    std::shift_right(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(out) + 1, 1);
    old.front() = extra;
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

  // The nodes in the order of a breadth-first walk from the entries, which comes to each of them
  // afterwards.
  std::vector<std::uint32_t> lead_to_all() {
    std::vector<std::uint32_t> order;
    order.reserve(rows_.size());
    is_met_.assign(rows_.size(), false);
    met_from_.assign(rows_.size(), kNoNode);
    for (const auto entry : entries_) meet(entry, kNoNode, order);
    std::uint32_t unmet = 0;
    for (std::size_t at = 0; at < rows_.size(); ++at) {
      if (at == order.size()) {
        while (is_met_[unmet]) ++unmet;
        meet(unmet, lead_to(unmet, order), order);
      }
      for (const auto near : edges(order[at])) meet(near, order[at], order);
    }
    return order;
  }

  // Node n of it is row order[n]. The entries come first.
  Graph graph_of(std::span<const std::uint32_t> order) {
    std::vector<std::uint32_t> number(order.size());
    for (std::uint32_t n = 0; n < order.size(); ++n) number[order[n]] = n;
    Graph graph;
    graph.degree_ = options_.degree;
    graph.entries_ = entries_.size();
    graph.neighbours_.assign(rows_.size() * options_.degree, kNoNode);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto from = edges(order[i]);
      for (std::size_t e = 0; e < from.size(); ++e) {
        graph.neighbours_[i * options_.degree + e] = number[from[e]];
      }
    }
    return graph;
  }

  void meet(std::uint32_t node, std::uint32_t from, std::vector<std::uint32_t>& order) {
    if (is_met_[node]) return;
    is_met_[node] = true;
    met_from_[node] = from;
    order.push_back(node);
  }

  // No walk from the entries comes to `node`: one of those met, a neighbour if one can, gives an
  // edge for it that none was met by.
  std::uint32_t lead_to(std::uint32_t node, const std::vector<std::uint32_t>& order) {
    for (const auto near : edges(node)) {
      if (is_met_[near] && give_edge(near, node)) return near;
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
  std::size_t entries_max_ = kEntries;
  Graph::Scratch scratch_;
  std::vector<std::int16_t> query_;
  std::vector<Graph::Near> candidates_;  // Nearest first; scores are cosines.
  std::vector<std::uint32_t> passed_over_;
  std::vector<float> distances_;
  // By row, at the end.
  std::vector<bool> is_met_;
  std::vector<std::uint32_t> met_from_;
};

Result<Graph::Built> Graph::build(const CodeRows& rows, const GraphOptions& options,
                                  const GoesOn& goes_on) {
  SAMTALE_CHECK(rows.codes.size() == rows.size() * rows.dimension, "one code a row");
  SAMTALE_CHECK(rows.size() < Pool::kWalked, "an index has fewer rows");
  return GraphBuilder(rows, options).build(goes_on);
}

Result<Graph> Graph::grown(const CodeRows& rows, const GoesOn& goes_on) const {
  SAMTALE_CHECK(rows.codes.size() == rows.size() * rows.dimension, "one code a row");
  SAMTALE_CHECK(size() <= rows.size() && rows.size() < Pool::kWalked, "it has some of the rows");
  return GraphBuilder(rows, {.degree = degree_}).grow(*this, goes_on);
}

}  // namespace samtale

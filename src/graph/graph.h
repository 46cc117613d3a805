// Graph: which of many vectors lie near a query, approximately, by walking from near to nearer.
//
// Source: Subramanya et al., "DiskANN" (NeurIPS 2019), algorithms 1 to 3 (greedy search, robust
// prune, Vamana), made over 8-bit codes and walked over these or smaller ones; the nodes in the
// order of a breadth-first walk, so that neighbours often share a page; and many entry points
// instead of one, because the data of a company lies in clusters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "base/huge_pages.h"
#include "base/result.h"
#include "graph/compact_rows.h"

namespace samtale {

// Vectors of about unit length, each as a code: vector = scale * code. Lent.
// Shape: `codes` is row-major, scales.size() x dimension.
struct CodeRows {
  std::span<const std::int8_t> codes;
  std::span<const float> scales;
  std::size_t dimension = 0;

  [[nodiscard]] std::size_t size() const { return scales.size(); }
  [[nodiscard]] const std::int8_t* row(std::size_t place) const {
    return codes.data() + place * dimension;
  }
};

struct GraphOptions {
  std::size_t degree = 48;       // Neighbours of a node.
  std::size_t beam_width = 128;  // Of the search that finds a node's neighbours.
  float alpha = 1.2F;            // How much shorter a way around must be to save an edge.
};

// Asked every tenth of a second or so while a graph is made, and may do something else meanwhile.
// False: it is to be given up. Empty: it is not.
using GoesOn = std::function<bool()>;

class Graph {
 public:
  struct Near {
    float score = 0;  // The query's scale left out.
    std::uint32_t place = 0;
  };
  // How far a walk goes.
  struct Reach {
    std::size_t width = 0;   // So many of the nearest it meets are kept; they are the answer.
    std::size_t wanted = 0;  // The walk ends at a node whose squared distance is more than …
    float slack = std::numeric_limits<float>::infinity();  // … 1 + slack of the last wanted's.
    // Of those farther only so many are kept, with the nearer ones.
    std::size_t least = 0;
  };
  // A query as a code, widened: query = scale * code.
  struct CodeQuery {
    const std::int16_t* codes = nullptr;
    float scale = 1;
  };
  // What a search writes to. One a thread; its size grows with the graph.
  struct Scratch {
    std::vector<std::uint64_t> seen;  // A bit a node.
    std::vector<Near> pool;
    std::vector<std::uint32_t> places;
    std::vector<std::int32_t> sums;
    std::vector<float> scores;
  };

  // The graph, and `order`: its node n stands for row order[n]. The caller puts its vectors into
  // that order and hands them to `search` so. Takes 0.4 to 0.6 ms of one core a row of 384
  // dimensions. Lent rows are read only during the calls; any number of dimensions that fits
  // codes.h.
  struct Built;
  // Errors: unavailable if `goes_on` says no.
  [[nodiscard]] static Result<Built> build(const CodeRows& rows, const GraphOptions& options,
                                           const GoesOn& goes_on);
  // This graph and the rows behind those that it has: row n is node n, as before. Takes about as
  // long a new row as making one. Errors: as build().
  [[nodiscard]] Result<Graph> grown(const CodeRows& rows, const GoesOn& goes_on) const;

  // The nearest that a walk of such a reach meets, nearest first. More finds more, and takes
  // longer. scratch.pool holds the answer. Threads: any. Source: Al-Jazzazi et al., "Distance
  // Adaptive Beam Search for Provably Accurate Graph-Based Nearest Neighbor Search" (2025), for
  // where it ends.
  void search(const CodeRows& rows, const CodeQuery& query, const Reach& reach,
              Scratch& scratch) const;
  void search(const CompactRows& rows, const CompactRows::Query& query, const Reach& reach,
              Scratch& scratch) const;

  // What a graph is made again from: neighbours are `degree` a node, kNoNode after the last.
  struct Parts {
    std::size_t degree = 1;
    std::size_t entries = 0;  // The first so many nodes.
    HugeVector<std::uint32_t> neighbours;
  };
  static constexpr std::uint32_t kNoNode = 0xFFFFFFFF;
  // Errors: corrupt unless there are whole nodes, and entries and neighbours are some of them.
  [[nodiscard]] static Result<Graph> from(Parts parts);
  [[nodiscard]] std::size_t degree() const { return degree_; }
  [[nodiscard]] std::size_t entries() const { return entries_; }
  [[nodiscard]] std::span<const std::uint32_t> neighbours() const { return neighbours_; }

  // A graph of those nodes of `keeps` that a walk over such comes to, in their order, and `order`:
  // its node n is node order[n] here.
  [[nodiscard]] Built part(const std::vector<bool>& keeps) const;

  [[nodiscard]] std::size_t size() const { return neighbours_.size() / degree_; }
  [[nodiscard]] std::size_t bytes() const { return neighbours_.capacity() * sizeof(std::uint32_t); }

 private:
  friend class GraphBuilder;

  template <class Score>
  void search_by(const Score& score, float query_scale, const Reach& reach, Scratch& scratch) const;

  std::size_t degree_ = 1;
  std::size_t entries_ = 0;               // The first so many nodes.
  HugeVector<std::uint32_t> neighbours_;  // degree_ a node; kNoNode after the last.
};

struct Graph::Built {
  Graph graph;
  std::vector<std::uint32_t> order;
};

}  // namespace samtale

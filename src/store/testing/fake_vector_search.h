// FakeVectorSearch: vectors of one company in a list, and a graph that misses what it is told to.
#pragma once

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "store/vector_search.h"

namespace samtale {

// Threads: one.
class FakeVectorSearch final : public VectorSearch {
 public:
  struct Vector {
    ConversationId conversation;
    std::uint32_t ordinal = 0;
    std::vector<float> vector;
  };
  std::vector<Vector> vectors;
  bool has_graph = false;
  std::size_t walk_finds_from = 1;  // Effort below which a walk misses every second.
  std::size_t walk_finds_max = 1'000'000;
  std::optional<Error> error;  // Of every call.
  mutable std::size_t scans = 0;
  mutable std::size_t named_scans = 0;
  mutable std::size_t walks = 0;
  mutable std::size_t last_effort = 0;

  Result<std::vector<FoundVector>> scan(CompanyId, const VectorQuestion& question,
                                        const std::vector<ConversationId>* only) const override {
    if (error) return std::unexpected(*error);
    ++(only == nullptr ? scans : named_scans);
    return nearest(question, only);
  }
  Result<std::vector<FoundVector>> walk(CompanyId, const VectorQuestion& question,
                                        std::size_t effort) const override {
    if (error) return std::unexpected(*error);
    ++walks;
    last_effort = effort;
    auto all = nearest({.vector = question.vector, .limit = vectors.size()}, nullptr);
    std::vector<FoundVector> found;
    for (std::size_t i = 0; i < all.size() && found.size() < question.limit; ++i) {
      if (effort >= walk_finds_from || i % 2 == 0) found.push_back(all[i]);
    }
    found.resize(std::min(found.size(), walk_finds_max));
    return found;
  }
  Result<> fill(CompanyId, std::span<const ConversationId>) override { return {}; }
  Result<bool> make_graph(CompanyId) override {
    if (error) return std::unexpected(*error);
    return has_graph;
  }

 private:
  std::vector<FoundVector> nearest(const VectorQuestion& question,
                                   const std::vector<ConversationId>* only) const {
    std::vector<FoundVector> found;
    for (const auto& [conversation, ordinal, vector] : vectors) {
      if (only != nullptr && std::ranges::find(*only, conversation) == only->end()) continue;
      found.push_back(
          {conversation, ordinal,
           std::inner_product(vector.begin(), vector.end(), question.vector.begin(), 0.0F)});
    }
    std::ranges::stable_sort(found, std::greater(), &FoundVector::score);
    found.resize(std::min(found.size(), question.limit));
    return found;
  }
};

}  // namespace samtale

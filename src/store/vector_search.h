// VectorSearch: the nearest vectors of a company, found where the store keeps them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace samtale {

struct FoundVector {
  ConversationId conversation;
  std::uint32_t ordinal = 0;  // Of the chunk.
  float score = 0;            // Dot product.
};

struct VectorQuestion {
  std::span<const float> vector;  // Unit length.
  std::size_t limit = 0;
};

// All of one embedding model. Whatever was committed before a call is known to it.
// Threads: any method from any thread.
// Tenants: as Store: a call names one company, and neither sees nor touches another's vectors.
// Errors:  those of Store.
class VectorSearch {
 public:
  virtual ~VectorSearch() = default;

  // The `limit` with the greatest scores, greatest first, every vector compared; with `only`, every
  // one of these conversations.
  [[nodiscard]] virtual Result<std::vector<FoundVector>> scan(
      CompanyId company, const VectorQuestion& question,
      const std::vector<ConversationId>* only) const = 0;

  // The same by the company's graph, which looks at about `effort` of them: some of the nearest may
  // be missing, and fewer may be found than there are. Slow where there is no graph.
  [[nodiscard]] virtual Result<std::vector<FoundVector>> walk(CompanyId company,
                                                              const VectorQuestion& question,
                                                              std::size_t effort) const = 0;

  // Puts in what searches should know of these conversations and do not, as of vectors that were
  // stored by a process without this search.
  virtual Result<> fill(CompanyId company, std::span<const ConversationId> conversations) = 0;

  // Whether the company has a graph. Begins to make one if not; that may take minutes, in which
  // writes go on, and is not waited for.
  [[nodiscard]] virtual Result<bool> make_graph(CompanyId company) = 0;
};

}  // namespace samtale

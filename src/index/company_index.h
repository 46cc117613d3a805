// CompanyIndex: finds the chunks of one company by meaning (vectors) and by words (BM25), exactly.
//
// The front door that a faster engine will slide under: everything outside sees conversations and
// chunk ordinals, never rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "embed/embedder.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

// What a search may filter by. Compared as bytes.
struct Attributes {
  WallTime time{};  // started_at, or when it was received.
  std::string channel;
  std::string source;
  std::string language;
  std::vector<std::string> parties;  // Ids, names and addresses.
  std::vector<std::string> tags;
  std::vector<std::pair<std::string, std::string>> metadata;  // Values as text.
};

struct IndexChunk {
  std::uint32_t ordinal = 0;
  std::string_view text;          // For the words; lent for the call.
  std::span<const float> vector;  // Unit length; empty if there is none (yet).
};

struct ChunkHit {
  ConversationId conversation;
  std::uint32_t ordinal = 0;
  float score = 0;
};

// Decides per conversation; called once for each at most. Empty: all.
using ConversationFilter = std::function<bool(const Attributes&)>;

struct IndexSize {
  std::size_t conversations = 0;
  std::size_t chunks = 0;
  std::size_t vectors = 0;
  std::size_t bytes = 0;  // Held in memory, near enough to budget by.
};

// Threads: any method from any thread; searches run side by side, changes one at a time.
// Memory:  all of it in memory; rebuilt from the store at start.
class CompanyIndex : public WordStatistics {
 public:
  // Replaces everything known of the conversation. Chunks not named any more are gone from every
  // answer when this returns. invalid_argument for a vector of another dimension, with NaN or
  // infinity, or not of unit length (1e-3): nothing has changed then.
  virtual Result<> put(ConversationId conversation, Attributes attributes,
                       std::span<const IndexChunk> chunks) = 0;
  virtual void remove(ConversationId conversation) = 0;

  // The `limit` chunks with the greatest cosine to `query`, greatest first; ties by conversation
  // and ordinal. Exact. invalid_argument for a query vector as above (any length but zero is
  // fine: it is normalised here).
  [[nodiscard]] virtual Result<std::vector<ChunkHit>> nearest(
      std::span<const float> query, std::size_t limit, const ConversationFilter& filter) const = 0;

  // The `limit` chunks with the greatest BM25 score (Robertson & Zaragoza 2009; k1 = 1.2,
  // b = 0.75) for the words of `query`, as text/words.h cuts them; only chunks with at least one
  // of the words. Same order of ties.
  [[nodiscard]] virtual std::vector<ChunkHit> words(std::string_view query, std::size_t limit,
                                                    const ConversationFilter& filter) const = 0;

  [[nodiscard]] virtual IndexSize size() const = 0;
};

// dimension 0: no vectors are held, `nearest` answers none.
[[nodiscard]] std::unique_ptr<CompanyIndex> make_flat_index(std::size_t dimension);

}  // namespace samtale

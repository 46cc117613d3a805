// CompanyIndex: finds the chunks of one company by meaning (vectors) and by words (BM25).
//
// The front door that a faster engine will slide under: everything outside sees conversations and
// chunk ordinals, never rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/result.h"
#include "embed/embedder.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

class SegmentFolder;

// What a search may filter by. Compared as bytes.
struct Attributes {
  WallTime time{};  // started_at, or when it was received.
  std::string channel;
  std::string source;
  std::string language;
  std::vector<std::string> parties;  // Ids, names and addresses.
  std::vector<std::string> tags;
  std::vector<std::pair<std::string, std::string>> metadata;  // Values as text.
  std::vector<std::pair<std::string, std::string>> labels;    // Analyzer and what it concluded.
  std::vector<std::pair<std::string, double>> scores;         // Analyzer and its score.
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

// The order of hits: greatest score first, ties by conversation and ordinal.
[[nodiscard]] inline bool ranks_before(const ChunkHit& a, const ChunkHit& b) {
  if (a.score != b.score) return a.score > b.score;
  return std::tie(a.conversation, a.ordinal) < std::tie(b.conversation, b.ordinal);
}

// Decides per conversation; called once for each at most. Empty: all.
using ConversationFilter = std::function<bool(const Attributes&)>;

struct NearChunks {
  std::vector<ChunkHit> hits;
  bool is_exact = true;        // False: a few may be missing (IndexOptions::recall_target).
  std::uint64_t sequence = 0;  // Of the last change that they know of.
};

// What has become of the conversations that changed after a search.
struct ChangedChunks {
  std::vector<ConversationId> conversations;  // Put or removed since; each once, in their order.
  std::vector<ChunkHit> hits;  // Their chunks now, those that may be found, in any order.
  std::uint64_t sequence = 0;
};

// What BM25 needs to know of all chunks that a search looks through: where they lie in several
// indexes, the sum of theirs.
struct WordCounts {
  std::uint64_t chunks = 0;
  std::uint64_t words = 0;            // Of all chunks.
  std::vector<std::uint64_t> having;  // Chunks that have each of the terms that were asked for.

  friend bool operator==(const WordCounts&, const WordCounts&) = default;
};
// As WordStatistics has it.
[[nodiscard]] double inverse_document_frequency(std::uint64_t chunks, std::uint64_t having);

struct IndexOptions {
  // With so many vectors all but the newest are in a graph, and `nearest` is no longer exact; a
  // graph that is there, or its file, is kept until there are half as many. 0: with as many as
  // exact_within says.
  std::size_t graph_from = 0;
  // With so many that an exact search of them takes a core longer, as measured here. 0: never.
  Duration exact_within{0};
  // The share of the nearest that a search by the graph finds. How wide it looks for that is
  // measured on the queries of the company, with 95 % confidence.
  double recall_target = 0.95;
  // With so many bytes of floats these lie in mapped files of about that size in the place's
  // folder, if there is one: whatever system it is, a few thousand vectors stay in memory.
  std::size_t float_file_bytes = std::size_t{16} << 20;
};

struct IndexSize {
  std::size_t conversations = 0;
  std::size_t chunks = 0;
  std::size_t vectors = 0;
  std::size_t graph_vectors = 0;  // Of them, in a graph.
  double recall = 1;              // Of searches by the graph, as measured last.
  std::size_t bytes = 0;          // Held in memory, near enough to budget by.
  std::size_t mapped_bytes = 0;   // Of floats in files, whose pages the system may take back.

  // Of several: the recall is the lowest.
  IndexSize& operator+=(const IndexSize& other) {
    conversations += other.conversations;
    chunks += other.chunks;
    vectors += other.vectors;
    graph_vectors += other.graph_vectors;
    recall = std::min(recall, other.recall);
    bytes += other.bytes;
    mapped_bytes += other.mapped_bytes;
    return *this;
  }
};

// Threads: any method from any thread; searches run side by side, changes one at a time.
// Memory:  all of it in memory but the floats of many vectors; rebuilt from the store at start.
class CompanyIndex : public WordStatistics {
 public:
  // Replaces everything known of the conversation. Chunks not named any more are gone from every
  // answer when this returns. invalid_argument for a vector of another dimension, with NaN or
  // infinity, or not of unit length (1e-3); unavailable if the disk has no room for floats; nothing
  // has changed then.
  virtual Result<> put(ConversationId conversation, Attributes attributes,
                       std::span<const IndexChunk> chunks) = 0;
  // Whether it was there.
  virtual bool remove(ConversationId conversation) = 0;

  // The `limit` chunks with the greatest cosine to `query`, greatest first; ties by conversation
  // and ordinal. Every score is exact, and with `must_be_exact`, or without a graph, so is the
  // choice. invalid_argument for a query vector as above (any length but zero is fine: it is
  // normalised here).
  [[nodiscard]] virtual Result<NearChunks> nearest(std::span<const float> query, std::size_t limit,
                                                   const ConversationFilter& filter,
                                                   bool must_be_exact = false) const = 0;

  // What a search of the same query and filter that ended at `since`, a sequence of this very
  // index, does not know: scores have the bits that `nearest` gives them. Empty if more has changed
  // than is remembered. Errors as `nearest`.
  [[nodiscard]] virtual Result<std::optional<ChangedChunks>> changed_since(
      std::uint64_t since, std::span<const float> query,
      const ConversationFilter& filter) const = 0;

  // The `limit` chunks with the greatest BM25 score (Robertson & Zaragoza 2009; k1 = 1.2,
  // b = 0.75) for the words of `query`, as text/words.h cuts them; only chunks with at least one
  // of the words. Same order of ties. `counts`: of the words of `query`, as word_counts() gives
  // them in the place of its own; null: this index's own.
  [[nodiscard]] virtual std::vector<ChunkHit> words(std::string_view query, std::size_t limit,
                                                    const ConversationFilter& filter,
                                                    const WordCounts* counts = nullptr) const = 0;
  // Of the words of `query`, in their order, with repeats.
  [[nodiscard]] virtual WordCounts word_counts(std::string_view query) const = 0;

  // The conversations that pass, in any order.
  [[nodiscard]] virtual std::vector<ConversationId> passing(
      const ConversationFilter& filter) const = 0;

  [[nodiscard]] virtual IndexSize size() const = 0;

  // Makes a graph, lets one grow by what is new, or measures it, if that is due; false if not.
  // Takes up to 0.5 ms of one core a vector that goes into a graph, while searches and changes go
  // on. From one thread at a time. What was gone from the index before the call is in no file of
  // its graph when this returns. Errors: unavailable if `stop` was requested before the end, or the
  // disk has no room for floats.
  virtual Result<bool> maintain(const std::stop_token& stop) = 0;
  // Has the next maintain() make the graph anew, whatever is due. False if there is none.
  virtual bool renew_graph() = 0;
};

// Errors: invalid_argument unless `vector` has `dimension` finite floats that are not all zero.
[[nodiscard]] Result<double> checked_length(std::span<const float> vector, std::size_t dimension);

// Where an index finds its graph again, and has room for floats.
struct SegmentPlace {
  SegmentFolder* folder = nullptr;  // Null: nowhere: each graph is made, floats lie in memory.
  CompanyId company{};
};

// dimension 0: no vectors are held, `nearest` answers none.
// What is passed in must outlive it. maintain() keeps its graph in `place`, and takes that in place
// of the first that it would make: call it only when the index has been filled from the store.
[[nodiscard]] std::unique_ptr<CompanyIndex> make_company_index(std::size_t dimension,
                                                               const IndexOptions& options = {},
                                                               const SegmentPlace& place = {});

}  // namespace samtale

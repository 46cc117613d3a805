// Search: finds a company's conversations by meaning, by words, and by both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/conversation.h"
#include "model/ids.h"
#include "search/hydration.h"
#include "search/index_set.h"
#include "search/near_cache.h"
#include "search/query_vectors.h"
#include "search/slice_answer.h"
#include "store/store.h"
#include "sys/clock.h"

namespace samtale {

enum class SearchMode : std::uint8_t { hybrid, vector, keyword };

// What an analyzer must have concluded from the conversation: one without its analysis does not
// pass.
struct AnalysisFilter {
  std::string analyzer;
  std::vector<std::string> labels;  // Any of them; empty: none is asked for.
  std::optional<double> score_min;  // Both included.
  std::optional<double> score_max;

  friend bool operator==(const AnalysisFilter&, const AnalysisFilter&) = default;
};

// Every condition that is there must hold; of the values of one, any.
struct SearchFilters {
  std::optional<WallTime> from;  // >=
  std::optional<WallTime> to;    // <
  std::vector<std::string> channels;
  std::vector<std::string> sources;
  std::vector<std::string> languages;
  std::vector<std::string> parties;
  std::vector<std::string> tags;
  std::vector<std::pair<std::string, std::vector<std::string>>> metadata;
  std::vector<AnalysisFilter> analyses;

  friend bool operator==(const SearchFilters&, const SearchFilters&) = default;
};

struct SearchRequest {
  std::string query;          // Or …
  std::vector<float> vector;  // … this; with it, only mode vector.
  SearchMode mode = SearchMode::hybrid;
  std::size_t limit = 10;  // 1 to 100 conversations.
  std::size_t chunks = 3;  // 1 to 10 of each.
  std::string cursor;
  bool exact = false;  // Asks for every vector to be compared, however many there are.
  SearchFilters filters;
};

struct SnippetPart {
  std::string text;
  bool is_hit = false;
};

struct SearchChunk {
  std::uint32_t ordinal = 0;
  std::uint32_t first_turn = 0;
  std::uint32_t last_turn = 0;
  float score = 0;         // What the order is by: 0 to 1, compares within one answer only.
  float vector_score = 0;  // Cosine; 0 if not found that way.
  float word_score = 0;    // BM25; 0 if not found that way.
  std::vector<SnippetPart> snippet;
};

struct SearchHit {
  std::shared_ptr<const ConversationSummary> summary;  // Never null.
  float score = 0;                                     // Of the best chunk.
  std::vector<SearchChunk> chunks;                     // Best first.
};

struct SearchAnswer {
  std::vector<SearchHit> hits;  // Best first; ties by conversation id.
  std::string next_cursor;
  SearchMode mode = SearchMode::hybrid;  // As answered: keyword when a hybrid had no vector.
  std::string model;
  bool is_exact = true;
  std::string degraded;  // Why a hybrid was answered by words alone; empty otherwise.
  Duration took{};
};

// What a search asks of each slice of a company that is split.
struct SliceQuestion {
  std::string query;          // For its words, …
  bool by_words = false;      // … if they are looked for; and …
  std::vector<float> vector;  // … for its meaning, if there is any.
  std::size_t limit = 0;      // Chunks of each half.
  bool exact = false;
  SearchFilters filters;
  // Of the words of `query` in all slices. Nothing: those of this slice are what is asked for, and
  // how large it is, and no chunks.
  std::optional<WordCounts> counts;
};

struct SearchOptions {
  // Share of the meaning in a hybrid score (Bruch, Gai & Ingber 2023, "An Analysis of Fusion
  // Functions for Hybrid Retrieval", convex combination; of standard scores, docs/adr/0019).
  double vector_share = 0.5;
  std::size_t candidates = 400;  // Chunks taken from each half, at least.
  std::size_t query_bytes_max = 4096;
  std::size_t pages_max = 1000;  // Conversations a cursor can reach.
  std::size_t filter_values_max = 1000;
  Duration embed_timeout = std::chrono::seconds(5);
  std::string cursor_key;  // Secret that cursors are authenticated with.
};

// Threads: any method from any thread. What is passed in must outlive it.
class Searcher {
 public:
  Searcher(const IndexSet& indexes, Hydration& hydration, QueryVectors& query_vectors,
           NearCache& near_cache, const Clock& clock, SearchOptions options);

  // Of a company that is open, which is for the caller to see to.
  // Errors: invalid_argument, naming the JSON pointer, the rule and the value; unavailable if it is
  // not; unavailable and deadline_exceeded from the embedder (mode vector only).
  [[nodiscard]] Result<SearchAnswer> search(CompanyId company, const SearchRequest& request) const;

  // Of searches that are about to be made: their queries go to the embedder at once.
  void prepare(CompanyId company, std::span<const std::string> queries) const;

  // Asks all slices of a company the same; an error where one has no answer.
  using AskSlices = std::function<Result<std::vector<SliceAnswer>>(const SliceQuestion&)>;
  // As search(), to the bit, of a company whose index lies in slices. Errors: those, and what `ask`
  // says.
  [[nodiscard]] Result<SearchAnswer> search_slices(CompanyId company, const SearchRequest& request,
                                                   const AskSlices& ask) const;
  // What the slice `number`, which lies in `slice`, says to it. Errors: invalid_argument,
  // unavailable as above.
  [[nodiscard]] Result<SliceAnswer> ask_slice(CompanyId company, const IndexSet& slice,
                                              std::size_t number,
                                              const SliceQuestion& question) const;
  // The most that an answer to it may be.
  [[nodiscard]] SliceAnswerLimits limits_of(const SliceQuestion& question) const;

 private:
  struct Scored;
  struct Candidates {
    std::vector<ChunkHit> near;
    std::vector<ChunkHit> worded;
  };

  [[nodiscard]] Result<> check(const SearchRequest& request) const;
  // How many chunks of each half are looked at, so that so many conversations are found.
  [[nodiscard]] std::size_t candidates_for(std::size_t conversations) const;
  [[nodiscard]] Result<std::vector<float>> embed_query(CompanyId company,
                                                       const WordStatistics& words,
                                                       const std::string& query) const;
  [[nodiscard]] Result<std::vector<float>> vector_of(CompanyId company, const WordStatistics& words,
                                                     const SearchRequest& request,
                                                     SearchAnswer& answer) const;
  [[nodiscard]] Result<Candidates> find(CompanyId company,
                                        const std::shared_ptr<const CompanyIndex>& index,
                                        const SearchRequest& request, std::size_t limit,
                                        SearchAnswer& answer) const;
  [[nodiscard]] Result<Candidates> gather(CompanyId company, const SearchRequest& request,
                                          std::size_t limit, const AskSlices& ask,
                                          SearchAnswer& answer) const;
  [[nodiscard]] std::vector<Scored> fuse(const Candidates& candidates, SearchMode mode) const;
  using Find = std::function<Result<Candidates>(std::size_t limit, SearchAnswer& answer)>;
  using Grouped = std::vector<std::vector<Scored>>;
  [[nodiscard]] Result<Grouped> find_grouped(const SearchRequest& request, std::size_t wanted,
                                             const Find& find_candidates,
                                             SearchAnswer& answer) const;
  [[nodiscard]] static Grouped group(std::span<const Scored> scored, std::size_t chunks_max);
  [[nodiscard]] Result<SearchAnswer> search(CompanyId company, const SearchRequest& request,
                                            const Find& find) const;
  [[nodiscard]] Result<std::size_t> read_cursor(CompanyId company,
                                                const SearchRequest& request) const;
  [[nodiscard]] std::string make_cursor(CompanyId company, const SearchRequest& request,
                                        std::size_t offset) const;
  Result<> describe(CompanyId company, std::span<const std::vector<Scored>> found,
                    const SearchRequest& request, SearchAnswer& answer) const;

  const IndexSet& indexes_;
  Hydration& hydration_;
  QueryVectors& query_vectors_;
  NearCache& near_cache_;
  const Clock& clock_;
  const SearchOptions options_;
};

// The part of `text` that shows most of the query's words, marked; about `length_max` bytes.
[[nodiscard]] std::vector<SnippetPart> make_snippet(std::string_view text,
                                                    const std::vector<std::string>& terms,
                                                    std::size_t length_max = 320);

}  // namespace samtale

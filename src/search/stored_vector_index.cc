#include "search/stored_vector_index.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace samtale {
namespace {

// Of the conversations that a filter leaves, where they are fewer than this share of all they are
// named and their vectors compared; of more, more chunks are asked for and the others dropped. Many
// names cost as much as many chunks; a graph is the quicker for it.
constexpr double kNamedShare = 0.3;
constexpr double kNamedShareOfGraph = 0.05;
// What passes is not spread evenly over the nearest.
constexpr double kMargin = 1.5;

// How many candidates a walk looks at for each chunk that is wanted. Found by measuring.
constexpr double kEffortFirst = 2;
constexpr double kEffortMin = 0.25;
constexpr double kEffortMax = 16;

constexpr std::size_t kQuestionsMeasured = 8;
// Of looks, one a second in a server: each so many sees whether a graph is still there …
constexpr std::size_t kGraphLooks = 10;
constexpr std::size_t kMeasureLooks = 60;  // … and what it finds.

class StoredVectorIndex final : public CompanyIndex {
 public:
  StoredVectorIndex(std::size_t dimension, const IndexOptions& options, CompanyId company,
                    VectorSearch& vectors)
      : dimension_(dimension), options_(options), company_(company), vectors_(vectors) {}

  Result<> put(ConversationId conversation, Attributes attributes,
               std::span<const IndexChunk> chunks) override;
  bool remove(ConversationId conversation) override;
  Result<NearChunks> nearest(std::span<const float> query, std::size_t limit,
                             const ConversationFilter& filter, bool must_be_exact) const override;
  Result<std::optional<ChangedChunks>> changed_since(std::uint64_t, std::span<const float>,
                                                     const ConversationFilter&) const override {
    return std::nullopt;
  }
  std::vector<ChunkHit> words(std::string_view query, std::size_t limit,
                              const ConversationFilter& filter,
                              const WordCounts* counts) const override {
    return words_->words(query, limit, filter, counts);
  }
  WordCounts word_counts(std::string_view query) const override {
    return words_->word_counts(query);
  }
  double inverse_document_frequency(std::string_view word) const override {
    return words_->inverse_document_frequency(word);
  }
  std::vector<ConversationId> passing(const ConversationFilter& filter) const override {
    return words_->passing(filter);
  }
  IndexSize size() const override;
  Result<bool> maintain(const std::stop_token& stop) override;
  bool renew_graph() override { return false; }  // It is PostgreSQL's: REINDEX.

 private:
  struct Question {
    std::vector<float> vector;
    std::size_t limit = 0;

    operator VectorQuestion() const { return {.vector = vector, .limit = limit}; }
  };

  [[nodiscard]] bool is_large() const {
    return options_.graph_from > 0 && vector_count_ >= options_.graph_from;
  }
  void count_vectors(ConversationId conversation, std::size_t count);
  [[nodiscard]] std::size_t effort_for(std::size_t limit) const {
    return static_cast<std::size_t>(static_cast<double>(limit) * effort_);
  }
  // By the graph, where `by_graph` says so; in any case all that are wanted, or all there are.
  [[nodiscard]] Result<NearChunks> ask(const VectorQuestion& question, bool by_graph) const;
  [[nodiscard]] Result<NearChunks> ask(const VectorQuestion& question, bool by_graph,
                                       const ConversationFilter& filter) const;
  void remember(const VectorQuestion& question) const;
  Result<bool> measure(const std::stop_token& stop);

  const std::size_t dimension_;
  const IndexOptions options_;
  const CompanyId company_;
  VectorSearch& vectors_;
  const std::unique_ptr<CompanyIndex> words_ = make_company_index(0);
  mutable std::mutex counts_mutex_;
  std::unordered_map<ConversationId, std::size_t> counts_;  // Of vectors; guarded by counts_mutex_.
  std::atomic<std::size_t> vector_count_ = 0;
  std::atomic<bool> has_graph_ = false;
  std::atomic<double> effort_ = kEffortFirst;
  std::atomic<double> recall_ = 1;  // As measured last.
  mutable std::mutex asked_mutex_;
  mutable std::vector<Question> asked_;  // Of the graph, since it was measured; guarded by it.
  // Only maintain() uses these.
  std::size_t looks_ = 0;
};

NearChunks hits_of(const std::vector<FoundVector>& found, bool is_exact) {
  NearChunks near{.hits = {}, .is_exact = is_exact};
  near.hits.reserve(found.size());
  for (const auto& [conversation, ordinal, score] : found) {
    near.hits.push_back({.conversation = conversation, .ordinal = ordinal, .score = score});
  }
  std::ranges::sort(near.hits, ranks_before);
  return near;
}

void StoredVectorIndex::count_vectors(ConversationId conversation, std::size_t count) {
  const std::lock_guard lock(counts_mutex_);
  const auto found = counts_.find(conversation);
  if (found != counts_.end()) {
    vector_count_ -= found->second;
    counts_.erase(found);
  }
  if (count == 0) return;
  counts_.emplace(conversation, count);
  vector_count_ += count;
}

Result<> StoredVectorIndex::put(ConversationId conversation, Attributes attributes,
                                std::span<const IndexChunk> chunks) {
  std::vector<IndexChunk> texts(chunks.begin(), chunks.end());
  for (auto& chunk : texts) chunk.vector = {};
  SAMTALE_TRY_VOID(words_->put(conversation, std::move(attributes), texts));
  count_vectors(conversation,
                static_cast<std::size_t>(std::ranges::count_if(
                    chunks, [](const IndexChunk& chunk) { return !chunk.vector.empty(); })));
  return {};
}

bool StoredVectorIndex::remove(ConversationId conversation) {
  count_vectors(conversation, 0);
  return words_->remove(conversation);
}

Result<NearChunks> StoredVectorIndex::nearest(std::span<const float> query, std::size_t limit,
                                              const ConversationFilter& filter,
                                              bool must_be_exact) const {
  if (dimension_ == 0) return NearChunks{};
  SAMTALE_TRY(const auto length, checked_length(query, dimension_));
  std::vector<float> unit(query.begin(), query.end());
  for (auto& value : unit) value = static_cast<float>(value / length);

  const VectorQuestion question{.vector = unit, .limit = limit};
  const bool by_graph = has_graph_ && is_large() && !must_be_exact;
  if (by_graph) remember(question);
  return filter ? ask(question, by_graph, filter) : ask(question, by_graph);
}

Result<NearChunks> StoredVectorIndex::ask(const VectorQuestion& question, bool by_graph) const {
  if (by_graph && question.limit < vector_count_) {
    SAMTALE_TRY(const auto found, vectors_.walk(company_, question, effort_for(question.limit)));
    if (found.size() >= question.limit) return hits_of(found, false);
  }
  SAMTALE_TRY(const auto found, vectors_.scan(company_, question, nullptr));
  return hits_of(found, true);
}

Result<NearChunks> StoredVectorIndex::ask(const VectorQuestion& question, bool by_graph,
                                          const ConversationFilter& filter) const {
  auto passing = words_->passing(filter);
  if (passing.empty()) return NearChunks{};
  const auto all = std::max(words_->size().conversations, passing.size());
  const auto share = static_cast<double>(passing.size()) / static_cast<double>(all);
  if (share >= (by_graph ? kNamedShareOfGraph : kNamedShare)) {
    auto wide = question;
    wide.limit = static_cast<std::size_t>(kMargin * static_cast<double>(question.limit) / share);
    SAMTALE_TRY(auto near, ask(wide, by_graph));
    const bool is_all = near.hits.size() < wide.limit;
    std::ranges::sort(passing);
    std::erase_if(near.hits, [&](const ChunkHit& hit) {
      return !std::ranges::binary_search(passing, hit.conversation);
    });
    if (is_all || near.hits.size() >= question.limit) {
      near.hits.resize(std::min(near.hits.size(), question.limit));
      return near;
    }
  }
  SAMTALE_TRY(const auto found, vectors_.scan(company_, question, &passing));
  return hits_of(found, true);
}

IndexSize StoredVectorIndex::size() const {
  auto size = words_->size();
  const std::size_t vectors = vector_count_;
  size.vectors = vectors;
  size.graph_vectors = has_graph_ && is_large() ? vectors : 0;
  size.recall = recall_;
  const std::lock_guard lock(counts_mutex_);
  size.bytes += counts_.size() * (sizeof(decltype(counts_)::value_type) + 2 * sizeof(void*));
  return size;
}

void StoredVectorIndex::remember(const VectorQuestion& question) const {
  const std::lock_guard lock(asked_mutex_);
  if (asked_.size() >= kQuestionsMeasured) return;
  asked_.push_back({{question.vector.begin(), question.vector.end()}, question.limit});
}

Result<bool> StoredVectorIndex::maintain(const std::stop_token& stop) {
  if (!is_large()) return false;
  const auto look = looks_++;
  if (has_graph_ && look % kGraphLooks != 0) return false;
  SAMTALE_TRY(const bool has_graph, vectors_.make_graph(company_));
  const bool is_new = has_graph && !has_graph_;
  has_graph_ = has_graph;
  if (look % kMeasureLooks != 0) return is_new;
  SAMTALE_TRY(const bool has_measured, measure(stop));
  return is_new || has_measured;
}

Result<bool> StoredVectorIndex::measure(const std::stop_token& stop) {
  std::vector<Question> asked;
  {
    const std::lock_guard lock(asked_mutex_);
    if (asked_.size() < kQuestionsMeasured || !has_graph_) return false;
    asked = std::exchange(asked_, {});
  }
  std::size_t wanted = 0;
  std::size_t found = 0;
  for (const auto& question : asked) {
    if (stop.stop_requested()) return fail(ErrorCode::unavailable, "stopped while measuring");
    SAMTALE_TRY(const auto walked, vectors_.walk(company_, question, effort_for(question.limit)));
    SAMTALE_TRY(const auto nearest, vectors_.scan(company_, question, nullptr));
    if (nearest.empty()) continue;
    wanted += nearest.size();
    // By score: of equal ones any will do.
    found += static_cast<std::size_t>(std::ranges::count_if(
        walked, [&](const FoundVector& one) { return one.score >= nearest.back().score; }));
  }
  if (wanted == 0) return false;
  recall_ = std::min(1.0, static_cast<double>(found) / static_cast<double>(wanted));
  const auto factor = recall_ < options_.recall_target ? 1.5 : 0.9;
  effort_ = std::clamp(effort_ * factor, kEffortMin, kEffortMax);
  return true;
}

}  // namespace

std::unique_ptr<CompanyIndex> make_stored_vector_index(std::size_t dimension,
                                                       const IndexOptions& options,
                                                       CompanyId company, VectorSearch& vectors) {
  return std::make_unique<StoredVectorIndex>(dimension, options, company, vectors);
}

}  // namespace samtale

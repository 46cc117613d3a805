// Store: everything that must outlive the process. SqliteStore and PostgresStore implement it;
// store/store_conformance.h is the behaviour both show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/chunk.h"
#include "model/conversation.h"
#include "model/ids.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

struct StoredConversation {
  Conversation conversation;
  std::string state;          // The merge state its events built (ingest/merge.h), opaque here.
  std::int64_t revision = 0;  // 1, 2, …: grows with each change.
  WallTime received_at{};     // Of its first event.
  WallTime updated_at{};
};

// What a list or a search shows of a conversation; reads nothing of what was said.
struct ConversationSummary {
  Conversation head;  // Without turns, vendor_analysis and extra.
  std::size_t turns = 0;
  std::int64_t revision = 0;
  WallTime received_at{};
  WallTime updated_at{};
};

struct StoredChunk {
  ConversationId conversation;
  Chunk chunk;
  std::optional<Embedding> embedding;
  std::string embed_error;  // Why it has none and will get none; empty otherwise.
};

struct ChunkPlace {
  ConversationId conversation;
  std::uint32_t ordinal = 0;
};

// An event that has taken effect: what makes a redelivery harmless and finds the raw bytes again.
struct StoredEvent {
  std::string key;        // Unique within the company: source and the provider's event id.
  std::string body_hash;  // SHA-256 of the body.
  EventPlace place;
  ConversationId conversation;
};

// What was concluded from a conversation (analyze/).
struct StoredAnalysis {
  std::string analyzer;       // "summary", "sentiment", …: one of a name a conversation.
  std::int64_t version = 1;   // Of the analyzer.
  std::string method;         // "extractive": without a language model.
  std::int64_t revision = 0;  // Of the conversation it was made from.
  WallTime created_at{};
  std::string result;               // JSON; the analyzer says its shape.
  std::vector<std::string> labels;  // What it is found and counted by; no doubles.
  std::optional<double> score;
};

struct AnalysisQuery {
  std::string analyzer;
  std::string label;             // Empty: any.
  std::size_t limit = 50;        // 1 to 200.
  std::string cursor;            // As in ConversationQuery.
  std::optional<WallTime> from;  // Of the conversation, as in ConversationQuery.
  std::optional<WallTime> to;
};

struct AnalysisPage {
  std::vector<std::pair<ConversationId, StoredAnalysis>> analyses;  // Newest conversation first.
  std::string next_cursor;
};

struct AnalysisLabel {
  std::string analyzer;
  std::string label;            // Empty: the analysis has a score and no label.
  std::optional<double> score;  // The analysis's.
};

// How often a label was given to the conversations of one day (UTC).
struct AnalysisCount {
  WallTime day{};
  std::string label;  // As in AnalysisLabel.
  std::int64_t count = 0;
  std::int64_t scored = 0;  // Those of them that have a score, which add up to …
  double score_sum = 0;
};

// Money and tokens spent on language models.
struct Spend {
  std::int64_t tokens = 0;     // Input and output.
  std::int64_t micro_usd = 0;  // Millionths of a dollar.

  friend bool operator==(const Spend&, const Spend&) = default;
};

// A difference to what a company's analyzer spends on a day (UTC, "2026-11-28").
struct SpendChange {
  std::string analyzer;
  std::string day;
  Spend spent;
  Spend held;  // Promised and not yet spent: counts against budgets, is no cost.
  std::int64_t requests = 0;
};

struct SpendRow {
  std::string analyzer;
  std::string day;
  Spend spent;
  Spend held;
  std::int64_t requests = 0;
};

// What a person says of an analysis, kept beside what the machine said, whatever it says later.
struct AnalysisOverride {
  std::string analyzer;
  std::string result;  // JSON, of the analyzer's shape or a part of it.
  std::string by;      // Id of the API key, or "operator".
  std::string note;
  WallTime made_at{};
  std::int64_t revision = 0;  // Of the conversation it was made of.
};

constexpr std::int64_t kCampaignsMax = 100;  // That a company keeps.

// Analyses over history, as one asked for them. Its jobs are enqueued page by page in the
// transaction that moves `cursor`, so none is lost or doubled.
struct Campaign {
  std::string id;          // "bf_" and 16 characters.
  std::string filter;      // JSON: what analyze/ makes of it.
  std::string state;       // "running", "paused", "done" or "cancelled".
  std::string cursor;      // Of list_conversations: where to go on.
  std::int64_t total = 0;  // Conversations it is about, as counted when it was made.
  std::int64_t seen = 0;   // Looked at so far.
  std::int64_t asked = 0;  // Of them, given a job.
  std::string estimate;    // JSON: what it was thought to cost.
  WallTime created_at{};
  WallTime updated_at{};
};

// A batch that was handed in to a provider's Batch API.
struct LmBatch {
  std::string name;      // Ours: unique within the company.
  std::string id;        // The provider's; empty while it is being handed in.
  std::string requests;  // JSON: what analyze/ needs to read its answers.
  WallTime created_at{};
  WallTime wanted_by{};  // Later than this it is cancelled, and asked for one by one.
};

// Something about this conversation changed (also: it was deleted).
struct Change {
  std::uint64_t sequence = 0;  // Grows within the partition.
  CompanyId company{};
  ConversationId conversation;
};

// How far who follows a partition's changes has come.
struct FeedPoint {
  std::uint64_t sequence = 0;
  // Sequences of two epochs do not compare: the database has gone back between them. 0: of a store
  // that knows none, or not known, and not looked at.
  std::uint64_t epoch = 0;
};

struct ConversationQuery {
  std::size_t limit = 50;  // 1 to 200.
  std::string cursor;      // What the last page gave; empty for the first. Bound to the company.
  std::optional<WallTime> from;  // started_at (received_at where it has none) >= from …
  std::optional<WallTime> to;    // … and < to.
  std::string channel;           // Empty: any.
  std::string source;
  std::string external_id;
};

struct ConversationPage {
  std::vector<ConversationSummary> conversations;  // Newest first.
  std::string next_cursor;                         // Empty on the last page.
};

struct CompanyStats {
  std::int64_t conversations = 0;
  std::int64_t turns = 0;
  std::int64_t chunks = 0;
  std::int64_t chunks_without_vector = 0;
  std::int64_t events = 0;
};

// What the store knows of an event that is put.
enum class EventState : std::uint8_t {
  fresh,     // It has had no effect before.
  repeated,  // The very same has, from another place.
  applied,   // It has, from this place.
};

// The writes of one transaction on one partition. Lives only inside Store::write. A company that
// does not belong to the partition is a CHECK failure: the caller grouped wrongly.
class StoreWriter {
 public:
  // Says what the next calls will ask for, by whole batches: a store that is far away is then asked
  // once. Changes no answer.
  virtual Result<> expect(CompanyId company, std::span<const std::string> event_keys,
                          std::span<const ConversationId> conversations) = 0;

  // As of this transaction, so read-modify-write loses nothing.
  [[nodiscard]] virtual Result<std::optional<StoredConversation>> find_conversation(
      CompanyId company, ConversationId id) = 0;

  // Writes it if it is fresh. conflict if an event of this key with another body_hash has taken
  // effect.
  [[nodiscard]] virtual Result<EventState> put_event(CompanyId company, const StoredEvent& event,
                                                     WallTime received_at) = 0;

  // True if the conversation was deleted, ever: nothing may bring it back.
  [[nodiscard]] virtual Result<bool> is_deleted(CompanyId company, ConversationId id) = 0;

  // Inserts or replaces; revision becomes the last one + 1. Adds a Change.
  virtual Result<> put_conversation(CompanyId company, const StoredConversation& conversation) = 0;

  // Replaces all chunks of the conversation. A chunk whose header, text and policy are unchanged
  // keeps its embedding, wherever it moved. Adds a Change. Nothing if the conversation is deleted.
  virtual Result<> put_chunks(CompanyId company, ConversationId conversation,
                              std::span<const Chunk> chunks) = 0;

  // Only onto the chunk that still has this text: one replaced meanwhile is left alone. Adds a
  // Change.
  virtual Result<> put_embedding(CompanyId company, ConversationId conversation, const Chunk& chunk,
                                 const Embedding& embedding) = 0;
  virtual Result<> put_embed_error(CompanyId company, ConversationId conversation,
                                   const Chunk& chunk, std::string_view why) = 0;

  // Replaces what this analyzer concluded before, but not what it concluded from a later revision.
  // Adds a Change. Nothing if the conversation is not there (any more).
  virtual Result<> put_analysis(CompanyId company, ConversationId conversation,
                                const StoredAnalysis& analysis) = 0;

  // Keeps what a language model answered, by the key of what it was asked (lm/scheduler.h): it is
  // not asked again. Nothing if the conversation is not there (any more): it goes with it. Where
  // two conversations share a key, with the one put last.
  virtual Result<> put_lm_result(CompanyId company, ConversationId conversation,
                                 std::string_view key, std::string_view result, WallTime now) = 0;
  // Forgets those of the conversation's that are not among `keys`.
  virtual Result<> keep_lm_results(CompanyId company, ConversationId conversation,
                                   std::span<const std::string> keys) = 0;

  // Adds the differences, row by row. A row never falls below zero.
  virtual Result<> add_spend(CompanyId company, std::span<const SpendChange> changes) = 0;
  // As of this transaction; see Store::spend.
  [[nodiscard]] virtual Result<std::vector<SpendRow>> spend(CompanyId company,
                                                            std::string_view from_day,
                                                            std::string_view to_day) = 0;

  // Replaces the one of this analyzer; an empty `result` removes it. Adds a Change. Nothing if the
  // conversation is not there (any more).
  virtual Result<> put_override(CompanyId company, ConversationId conversation,
                                const AnalysisOverride& override_) = 0;

  // By id. A company keeps 100: the oldest that has ended makes room for a new one; if all go on,
  // resource_exhausted.
  virtual Result<> put_campaign(CompanyId company, const Campaign& campaign) = 0;
  // As of this transaction.
  [[nodiscard]] virtual Result<std::optional<Campaign>> find_campaign(CompanyId company,
                                                                      std::string_view id) = 0;
  virtual Result<> put_batch(CompanyId company, const LmBatch& batch) = 0;  // By name.
  virtual Result<> erase_batch(CompanyId company, std::string_view name) = 0;

  // Removes the conversation, its chunks, vectors, analyses, overrides, answers of language models,
  // waiting jobs and dead letters with its id as key, and leaves a tombstone. Returns where its raw
  // events lie, by log and position, for the logs to erase. Adds a Change. Fine if it was never
  // there: the tombstone then stops what is still on its way.
  [[nodiscard]] virtual Result<std::vector<EventPlace>> erase_conversation(CompanyId company,
                                                                           ConversationId id) = 0;

  // The job can be taken only once the transaction has committed: no job without its data, no
  // data without its job.
  virtual Result<> enqueue(const NewJob& job) = 0;
  // Settles jobs together with their effect. conflict if a lease was lost: the transaction fails.
  virtual Result<> finish(std::span<const Job> jobs) = 0;
  // A failure that belongs to no job (one chunk of a batch): straight to the dead letters.
  virtual Result<> add_dead_letter(const NewJob& job, std::string_view cause) = 0;
  // Of this kind and key.
  [[nodiscard]] virtual Result<bool> has_dead_letter(CompanyId company, std::string_view kind,
                                                     std::string_view key) = 0;

  // How far this process's accept log has taken effect in this partition: committed with the
  // effects.
  // conflict if it is not at `before` any more: somebody else applies the same log.
  virtual Result<> set_log_offset(LogPosition before, LogPosition next) = 0;
  // How far any log has, as of this transaction; the beginning of one that nobody has moved.
  [[nodiscard]] virtual Result<LogPosition> log_offset(LogId log) = 0;

 protected:
  ~StoreWriter() = default;
};

// Threads:  any method from any thread.
// Tenants:  every call names one company and can neither see nor touch another's rows.
// Errors:   unavailable (disk full, database busy past the deadline) and corrupt from any method;
//           further ones are named where they can occur.
class Store {
 public:
  virtual ~Store() = default;

  [[nodiscard]] virtual std::size_t partitions() const = 0;
  // The accept log of this process: what log_offset() and set_log_offset() are about.
  [[nodiscard]] virtual LogId log() const = 0;
  // 32 bytes that all who share the store know and nobody else, other ones for each purpose.
  [[nodiscard]] virtual std::string secret(std::string_view purpose) const = 0;
  // Jobs, in the transactions of the data they belong to (StoreWriter). Lives as long as the store.
  [[nodiscard]] virtual Queue& queue() = 0;
  // By a stable hash of the company: the same for the life of the data.
  [[nodiscard]] virtual Partition partition_of(CompanyId company) const = 0;

  // Of several conversations at once, in their order; empty where there is none: not an error. Who
  // asks bounds what comes back: some hundred.
  [[nodiscard]] virtual Result<std::vector<std::optional<StoredConversation>>> find_conversations(
      CompanyId company, std::span<const ConversationId> ids) const = 0;
  [[nodiscard]] virtual Result<std::vector<std::optional<ConversationSummary>>> find_summaries(
      CompanyId company, std::span<const ConversationId> ids) const = 0;
  // By ordinal.
  [[nodiscard]] virtual Result<std::vector<std::vector<StoredChunk>>> chunks_of(
      CompanyId company, std::span<const ConversationId> ids) const = 0;
  // Their embeddings are left out.
  [[nodiscard]] virtual Result<std::vector<std::optional<StoredChunk>>> find_chunks(
      CompanyId company, std::span<const ChunkPlace> places) const = 0;
  // By name of the analyzer.
  [[nodiscard]] virtual Result<std::vector<std::vector<StoredAnalysis>>> analyses_of(
      CompanyId company, std::span<const ConversationId> ids) const = 0;
  // Of all analyses, without reading the results; by name of the analyzer.
  [[nodiscard]] virtual Result<std::vector<std::vector<AnalysisLabel>>> analysis_labels_of(
      CompanyId company, std::span<const ConversationId> ids) const = 0;
  // The same of one.
  [[nodiscard]] Result<std::optional<StoredConversation>> find_conversation(
      CompanyId company, ConversationId id) const;
  [[nodiscard]] Result<std::optional<ConversationSummary>> find_summary(CompanyId company,
                                                                        ConversationId id) const;
  [[nodiscard]] Result<std::vector<StoredChunk>> chunks(CompanyId company, ConversationId id) const;
  [[nodiscard]] Result<std::optional<StoredChunk>> find_chunk(CompanyId company, ConversationId id,
                                                              std::uint32_t ordinal) const;
  [[nodiscard]] Result<std::vector<StoredAnalysis>> analyses(CompanyId company,
                                                             ConversationId id) const;
  [[nodiscard]] Result<std::vector<AnalysisLabel>> analysis_labels(CompanyId company,
                                                                   ConversationId id) const;

  // invalid_argument for a cursor that is not ours or not this company's.
  [[nodiscard]] virtual Result<ConversationPage> list_conversations(
      CompanyId company, const ConversationQuery& query) const = 0;
  [[nodiscard]] virtual Result<std::optional<StoredEvent>> find_event(
      CompanyId company, std::string_view key) const = 0;
  // invalid_argument for a cursor that is not ours or not this company's.
  [[nodiscard]] virtual Result<AnalysisPage> list_analyses(CompanyId company,
                                                           const AnalysisQuery& query) const = 0;
  // By day, then label; `limit` and `cursor` of the query are not looked at.
  [[nodiscard]] virtual Result<std::vector<AnalysisCount>> count_analyses(
      CompanyId company, const AnalysisQuery& query) const = 0;
  [[nodiscard]] virtual Result<std::optional<std::string>> find_lm_result(
      CompanyId company, std::string_view key) const = 0;
  // Days from `from_day` to `to_day`, both included, by day and analyzer.
  [[nodiscard]] virtual Result<std::vector<SpendRow>> spend(CompanyId company,
                                                            std::string_view from_day,
                                                            std::string_view to_day) const = 0;
  // By name of the analyzer.
  [[nodiscard]] virtual Result<std::vector<AnalysisOverride>> overrides(
      CompanyId company, ConversationId id) const = 0;
  // Newest first; at most 100.
  [[nodiscard]] virtual Result<std::vector<Campaign>> campaigns(CompanyId company) const = 0;
  // Those running, of all companies of a partition.
  [[nodiscard]] virtual Result<std::vector<std::pair<CompanyId, Campaign>>> running_campaigns(
      Partition partition) const = 0;
  // Of all companies of a partition, by company and name.
  [[nodiscard]] virtual Result<std::vector<std::pair<CompanyId, LmBatch>>> batches(
      Partition partition) const = 0;
  [[nodiscard]] virtual Result<CompanyStats> company_stats(CompanyId company) const = 0;

  // The change feed of a partition: changes with a greater sequence, in order, at most `limit`.
  // not_found if changes after `after` have been forgotten, or its epoch is over: who follows must
  // begin anew.
  [[nodiscard]] virtual Result<std::vector<Change>> changes(Partition partition, FeedPoint after,
                                                            std::size_t limit) const = 0;
  // The last sequence given out; what an index loaded from now on must follow from.
  [[nodiscard]] virtual Result<FeedPoint> last_change(Partition partition) const = 0;
  // Every conversation of a partition, in some stable order, at most `limit` after `after`.
  [[nodiscard]] virtual Result<std::vector<std::pair<CompanyId, ConversationId>>> scan(
      Partition partition, std::optional<std::pair<CompanyId, ConversationId>> after,
      std::size_t limit) const = 0;
  // Forgets changes up to and including `sequence`. A store that other processes follow keeps those
  // that are too young for them to have seen.
  virtual Result<> trim_changes(Partition partition, std::uint64_t sequence) = 0;

  [[nodiscard]] virtual Result<LogPosition> log_offset(Partition partition) const = 0;

  // Runs `work` in one transaction: all of it is on disk when this returns success, none of it
  // when it returns an error. May run `work` again after a lost race, so `work` must do nothing
  // but write to its StoreWriter.
  virtual Result<> write(Partition partition,
                         const std::function<Result<>(StoreWriter&)>& work) = 0;

  // Makes deleted bytes leave the files: moves the write-ahead log into the database and truncates
  // it. Also done from time to time by housekeep().
  virtual Result<> scrub(Partition partition) = 0;
  // One bounded piece of upkeep: checkpoints where the write-ahead log is long.
  virtual Result<> housekeep() = 0;
};

}  // namespace samtale

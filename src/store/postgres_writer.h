// PostgresWriter: one Store::write on a partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "postgres/database.h"
#include "queue/postgres_queue.h"
#include "store/postgres_rows.h"
#include "store/store.h"
#include "sys/clock.h"

namespace samtale {

// Threads: those of the transaction.
class PostgresWriter final : public StoreWriter {
 public:
  // All must outlive it. `vector_type`: pgvector's, as SQL names it; empty: it is not used.
  PostgresWriter(postgres::Transaction& transaction, PostgresQueue& queue, Partition partition,
                 std::size_t partitions, LogId log, const Clock& clock,
                 const std::string& vector_type)
      : transaction_(transaction),
        queue_(queue, partition, transaction),
        partition_(partition),
        partitions_(partitions),
        log_(log),
        clock_(clock),
        vector_type_(vector_type) {}

  // Waits for the partition's turn. First.
  Result<> start();

  Result<> expect(CompanyId company, std::span<const std::string> event_keys,
                  std::span<const ConversationId> conversations) override;
  [[nodiscard]] Result<std::optional<StoredConversation>> find_conversation(
      CompanyId company, ConversationId id) override;
  [[nodiscard]] Result<EventState> put_event(CompanyId company, const StoredEvent& event,
                                             WallTime received_at) override;
  [[nodiscard]] Result<bool> is_deleted(CompanyId company, ConversationId id) override;
  Result<> put_conversation(CompanyId company, const StoredConversation& conversation) override;
  Result<> put_chunks(CompanyId company, ConversationId conversation,
                      std::span<const Chunk> chunks) override;
  Result<> put_embedding(CompanyId company, ConversationId conversation, const Chunk& chunk,
                         const Embedding& embedding) override;
  Result<> put_embed_error(CompanyId company, ConversationId conversation, const Chunk& chunk,
                           std::string_view why) override;
  Result<> put_analysis(CompanyId company, ConversationId conversation,
                        const StoredAnalysis& analysis) override;
  Result<> put_lm_result(CompanyId company, ConversationId conversation, std::string_view key,
                         std::string_view result, WallTime now) override;
  Result<> keep_lm_results(CompanyId company, ConversationId conversation,
                           std::span<const std::string> keys) override;
  Result<> add_spend(CompanyId company, std::span<const SpendChange> changes) override;
  [[nodiscard]] Result<std::vector<SpendRow>> spend(CompanyId company, std::string_view from_day,
                                                    std::string_view to_day) override;
  Result<> put_override(CompanyId company, ConversationId conversation,
                        const AnalysisOverride& override_) override;
  Result<> put_campaign(CompanyId company, const Campaign& campaign) override;
  [[nodiscard]] Result<std::optional<Campaign>> find_campaign(CompanyId company,
                                                              std::string_view id) override;
  Result<> put_batch(CompanyId company, const LmBatch& batch) override;
  Result<> erase_batch(CompanyId company, std::string_view name) override;
  [[nodiscard]] Result<std::vector<EventPlace>> erase_conversation(CompanyId company,
                                                                   ConversationId id) override;
  Result<> enqueue(const NewJob& job) override;
  Result<> finish(std::span<const Job> jobs) override;
  Result<> add_dead_letter(const NewJob& job, std::string_view cause) override;
  [[nodiscard]] Result<bool> has_dead_letter(CompanyId company, std::string_view kind,
                                             std::string_view key) override;
  Result<> set_log_offset(LogPosition before, LogPosition next) override;
  [[nodiscard]] Result<LogPosition> log_offset(LogId log) override;

  // Writes what was gathered on the way, and `token`, by which the write can be known. Last, before
  // the commit.
  Result<> flush(std::string_view token);
  // After the commit.
  void committed() { queue_.committed(); }
  [[nodiscard]] std::int64_t write_number() const { return number_; }  // Of the partition.
  [[nodiscard]] std::int64_t timeline() const { return timeline_; }    // Of the database.

  // The place of a write's token: there are as many as are kept.
  static std::int64_t slot_of(std::int64_t number) { return number % 1024; }

 private:
  struct Counts {
    std::int64_t conversations = 0;
    std::int64_t turns = 0;
    std::int64_t chunks = 0;
    std::int64_t chunks_with_vector = 0;
    std::int64_t events = 0;

    friend bool operator==(const Counts&, const Counts&) = default;
  };
  struct Head {  // What is known of a stored conversation.
    std::int64_t turns = 0;
    std::int64_t sort_us = 0;
  };
  struct ChunkRow;  // What is known of a stored chunk.
  struct KnownEvent {
    std::string body_hash;
    EventPlace place;
  };
  struct NewEvent {
    std::string digest;
    StoredEvent event;
    WallTime received_at{};
  };
  enum class Pending : std::uint8_t { nothing, conversations, chunks, vectors, analyses };

  // What is known of one company's rows, as of this transaction, and what has yet to be written:
  // rows of one kind are put off and written by one statement, which costs more than its rows, and
  // more the farther the server is. Of one kind at a time, so nothing overtakes.
  struct Company {
    std::map<std::string, std::optional<KnownEvent>> events;  // By digest of the key.
    std::map<ConversationId, bool> deleted;
    std::map<ConversationId, std::optional<Head>> heads;
    FoundConversations conversations;

    Pending pending = Pending::nothing;
    std::size_t pending_bytes = 0;
    std::vector<NewEvent> new_events;
    std::set<ConversationId> new_conversations;  // As they are in `conversations`.
    std::map<ConversationId, std::vector<Chunk>> new_chunks;
    std::map<std::tuple<ConversationId, std::string, std::uint32_t>, Embedding> new_vectors;
    std::map<std::pair<ConversationId, std::string>, StoredAnalysis> new_analyses;

    Counts counts;  // Changes by this transaction.
  };

  [[nodiscard]] Company& of(CompanyId id);
  // For a call that puts off rows of this kind, of about so many bytes.
  [[nodiscard]] Result<Company*> gather(CompanyId id, Pending kind, std::size_t bytes);
  // For one that writes or reads at once.
  Result<> act_for(CompanyId id);
  void add_change(CompanyId company, ConversationId conversation);

  // Each asks for what is not known yet.
  Result<> know_events(CompanyId id, std::span<const std::string> digests);
  Result<> know_deleted(CompanyId id, std::span<const ConversationId> ids);
  Result<> know_heads(CompanyId id, std::span<const ConversationId> ids);
  Result<> know_conversations(CompanyId id, std::span<const ConversationId> ids);
  [[nodiscard]] Result<std::optional<Head>> find_head(CompanyId company, ConversationId id);

  // Writes what was put off.
  Result<> settle(CompanyId id, Company& company);
  Result<> settle_events(CompanyId id, Company& company);
  Result<> settle_conversations(CompanyId id, Company& company);
  Result<> settle_chunks(CompanyId id, Company& company);
  Result<> settle_vectors(CompanyId id, Company& company);
  Result<> settle_analyses(CompanyId id, Company& company);

  [[nodiscard]] Result<std::multimap<ConversationId, ChunkRow>> read_chunk_rows(
      CompanyId company, std::span<const ConversationId> ids);
  // As pgvector compares them, in `embeddings`. A row there is always its chunk's vector.
  Result<> put_embeddings(CompanyId company, const postgres::Rows& put,
                          std::span<const Embedding> embeddings);
  Result<> forget_embeddings(CompanyId company, const postgres::Column& conversations,
                             const postgres::Column& rows);
  [[nodiscard]] Result<std::optional<ChunkRow>> find_chunk(CompanyId company,
                                                           ConversationId conversation,
                                                           const Chunk& chunk);
  Result<> erase_analyses(CompanyId company, ConversationId conversation);
  Result<> erase_lm(CompanyId company, ConversationId conversation);
  Result<> make_room_for_campaign(CompanyId company);
  Result<> flush_changes();
  Result<> flush_counts();

  postgres::Transaction& transaction_;
  PostgresQueueTransaction queue_;
  const Partition partition_;
  const std::size_t partitions_;
  const LogId log_;
  const Clock& clock_;
  const std::string& vector_type_;
  std::int64_t number_ = 0;
  std::int64_t timeline_ = 0;
  std::int64_t last_change_ = 0;
  std::optional<LogPosition> log_offset_;
  std::map<CompanyId, Company> companies_;
  std::vector<std::pair<CompanyId, ConversationId>> changes_;
  std::set<std::pair<CompanyId, ConversationId>> changed_;  // Those in changes_.
};

}  // namespace samtale

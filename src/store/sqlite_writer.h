// SqliteWriter: one Store::write on a partition's file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queue/sqlite_queue.h"
#include "sqlite/database.h"
#include "store/store.h"

namespace samtale {

// Threads: those of the transaction.
class SqliteWriter final : public StoreWriter {
 public:
  // All must outlive it.
  SqliteWriter(sqlite::Transaction& transaction, SqliteQueue& queue, Partition partition,
               std::size_t partitions);

  Result<> expect(CompanyId, std::span<const std::string>,
                  std::span<const ConversationId>) override {
    return {};  // Nothing is nearer than SQLite's cache.
  }
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

  // Writes what was gathered on the way: changes and counts. Last, before the commit.
  Result<> flush();
  // After the commit, before the transaction ends.
  void committed() { queue_.committed(); }

 private:
  struct Counts {
    std::int64_t conversations = 0;
    std::int64_t turns = 0;
    std::int64_t chunks = 0;
    std::int64_t chunks_with_vector = 0;
    std::int64_t events = 0;
  };
  struct Row {  // What is known of a stored conversation.
    std::int64_t row = 0;
    std::int64_t revision = 0;
    std::int64_t turns = 0;
    std::int64_t sort_us = 0;
    std::string channel;
  };
  struct ChunkRow;  // What is known of a stored chunk.

  void check_company(CompanyId company) const;
  void add_change(CompanyId company, ConversationId conversation);
  Result<> insert_conversation(CompanyId company, const StoredConversation& stored);
  Result<> update_conversation(const StoredConversation& stored, const Row& old);
  [[nodiscard]] Result<std::optional<Row>> find_row(CompanyId company, ConversationId id);
  [[nodiscard]] Result<std::vector<ChunkRow>> chunk_rows(CompanyId company,
                                                         ConversationId conversation);
  [[nodiscard]] Result<std::optional<ChunkRow>> find_chunk(CompanyId company,
                                                           ConversationId conversation,
                                                           const Chunk& chunk);
  Result<> insert_chunk(CompanyId company, ConversationId conversation, const Chunk& chunk,
                        std::string_view digest);
  Result<> move_chunk(const ChunkRow& row, const Chunk& chunk);
  Result<> erase_analyses(CompanyId company, ConversationId conversation);
  Result<> erase_labels(CompanyId company, ConversationId conversation, std::string_view analyzer);
  Result<> erase_lm(CompanyId company, ConversationId conversation);
  Result<> make_room_for_campaign(CompanyId company);
  Result<> erase_chunk(CompanyId company, const ChunkRow& row);

  sqlite::Connection& connection_;
  QueueTransaction queue_;
  const Partition partition_;
  const std::size_t partitions_;
  std::map<CompanyId, Counts> counts_;  // Changes by this transaction.
  std::vector<std::pair<CompanyId, ConversationId>> changes_;
  std::set<std::pair<CompanyId, ConversationId>> changed_;  // Those in changes_.
};

}  // namespace samtale

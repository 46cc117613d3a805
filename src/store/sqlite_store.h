// SqliteStore: the store in N SQLite files, each with the jobs of its data.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queue/sqlite_queue.h"
#include "sqlite/database.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

struct SqliteStoreOptions {
  std::string folder;  // Must exist (sqlite/data_folder.h); the files are part-00.db, part-01.db, …
  std::size_t partitions = 4;   // 1 to 64; fixed when the files are made.
  std::string vfs;              // Name of a registered SQLite VFS; empty: the default.
  std::size_t readers_max = 4;  // Connections a partition; 0: see sqlite::DatabaseOptions.
  std::size_t cache_bytes = std::size_t{64} << 20;         // Of all partitions together.
  std::size_t housekeep_wal_bytes = std::size_t{8} << 20;  // housekeep() acts on longer ones.
  std::int64_t pages_max = 0;  // Of each file; 0: no limit but the disk's.
  // Called after each write that was committed, by its thread: to be quick. Unset: nobody is told.
  std::function<void(Partition)> has_written{};
  SqliteQueueOptions queue;
};

// Threads: any method from any thread; writes on one partition wait for each other.
// Memory:  cache_bytes, and what the queue's schedule takes.
class SqliteStore final : public Store {
 public:
  // Makes the files where there are none. `clock` must outlive the store; `random` gives new files
  // their key. Errors: invalid_argument if the files have another number of partitions, corrupt
  // if one is missing, foreign, damaged or of a newer version; unavailable.
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const SqliteStoreOptions& options,
                                                                 const Clock& clock,
                                                                 Random& random);

  [[nodiscard]] std::size_t partitions() const override { return files_.size(); }
  [[nodiscard]] LogId log() const override { return {}; }  // One process, one log.
  [[nodiscard]] std::string secret(std::string_view purpose) const override;
  [[nodiscard]] Queue& queue() override { return *queue_; }
  [[nodiscard]] Partition partition_of(CompanyId company) const override;
  [[nodiscard]] Result<std::vector<std::optional<StoredConversation>>> find_conversations(
      CompanyId company, std::span<const ConversationId> ids) const override;
  [[nodiscard]] Result<std::vector<std::optional<ConversationSummary>>> find_summaries(
      CompanyId company, std::span<const ConversationId> ids) const override;
  [[nodiscard]] Result<std::vector<std::vector<StoredChunk>>> chunks_of(
      CompanyId company, std::span<const ConversationId> ids) const override;
  [[nodiscard]] Result<std::vector<std::optional<StoredChunk>>> find_chunks(
      CompanyId company, std::span<const ChunkPlace> places) const override;
  [[nodiscard]] Result<std::vector<std::vector<StoredAnalysis>>> analyses_of(
      CompanyId company, std::span<const ConversationId> ids) const override;
  [[nodiscard]] Result<std::vector<std::vector<AnalysisLabel>>> analysis_labels_of(
      CompanyId company, std::span<const ConversationId> ids) const override;
  [[nodiscard]] Result<ConversationPage> list_conversations(
      CompanyId company, const ConversationQuery& query) const override;
  [[nodiscard]] Result<std::optional<StoredEvent>> find_event(CompanyId company,
                                                              std::string_view key) const override;
  [[nodiscard]] Result<AnalysisPage> list_analyses(CompanyId company,
                                                   const AnalysisQuery& query) const override;
  [[nodiscard]] Result<std::vector<AnalysisCount>> count_analyses(
      CompanyId company, const AnalysisQuery& query) const override;
  [[nodiscard]] Result<std::optional<std::string>> find_lm_result(
      CompanyId company, std::string_view key) const override;
  [[nodiscard]] Result<std::vector<SpendRow>> spend(CompanyId company, std::string_view from_day,
                                                    std::string_view to_day) const override;
  [[nodiscard]] Result<std::vector<AnalysisOverride>> overrides(CompanyId company,
                                                                ConversationId id) const override;
  [[nodiscard]] Result<std::vector<Campaign>> campaigns(CompanyId company) const override;
  [[nodiscard]] Result<std::vector<std::pair<CompanyId, Campaign>>> running_campaigns(
      Partition partition) const override;
  [[nodiscard]] Result<std::vector<std::pair<CompanyId, LmBatch>>> batches(
      Partition partition) const override;
  [[nodiscard]] Result<CompanyStats> company_stats(CompanyId company) const override;
  [[nodiscard]] Result<std::vector<Change>> changes(Partition partition, FeedPoint after,
                                                    std::size_t limit) const override;
  [[nodiscard]] Result<FeedPoint> last_change(Partition partition) const override;
  [[nodiscard]] Result<std::vector<std::pair<CompanyId, ConversationId>>> scan(
      Partition partition, std::optional<std::pair<CompanyId, ConversationId>> after,
      std::size_t limit) const override;
  Result<> trim_changes(Partition partition, std::uint64_t sequence) override;
  [[nodiscard]] Result<LogPosition> log_offset(Partition partition) const override;
  Result<> write(Partition partition, const std::function<Result<>(StoreWriter&)>& work) override;
  Result<> scrub(Partition partition) override;
  Result<> housekeep() override;

 private:
  explicit SqliteStore(const SqliteStoreOptions& options) : options_(options) {}

  Result<> open_files(Random& random);
  [[nodiscard]] sqlite::Database& file(Partition partition) const;
  [[nodiscard]] Result<sqlite::Snapshot> snapshot_of(CompanyId company) const;

  const SqliteStoreOptions options_;
  std::vector<std::unique_ptr<sqlite::Database>> files_;
  std::string key_;  // The same in all files: names the store and signs its cursors.
  std::unique_ptr<SqliteQueue> queue_;
};

}  // namespace samtale

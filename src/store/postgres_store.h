// PostgresStore: the store in one schema of a PostgreSQL database, with the jobs of its data.
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

#include "postgres/database.h"
#include "queue/postgres_queue.h"
#include "store/postgres_history.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

struct PostgresStoreOptions {
  postgres::DatabaseOptions database;
  std::size_t partitions = 4;        // 1 to 64; fixed when the schema is made.
  std::size_t hash_partitions = 16;  // Of PostgreSQL's, a large table; 1 to 256; the same.
  // Names the accept log whose events this process applies: 1 to 64 characters, kept beside the log
  // for as long as it lives. Two logs of one name would each skip what the other has reached.
  std::string log = "log";
  Duration changes_kept = std::chrono::minutes(10);  // Who follows and is away longer, begins anew.
  bool has_pgvector = false;  // Vectors are also kept as pgvector compares them (PostgresVectors).
  PostgresQueueOptions queue;
};

// Threads: any method from any thread; writes on one partition wait for each other, also those of
//          other processes.
// Errors:  those of postgres::Connection. A write whose commit was cut short is looked up: it is an
//          error only where nobody can be asked whether it took place (the message says so).
class PostgresStore final : public Store {
 public:
  // Makes the tables where there are none. `clock` and `random` must outlive the store. Errors:
  // invalid_argument if the schema has another number of partitions; those of Database::open.
  [[nodiscard]] static Result<std::unique_ptr<PostgresStore>> open(
      const PostgresStoreOptions& options, Clock& clock, Random& random);

  // What this node's process had leased before it was started again is due at once.
  Result<> end_leases() { return queue_->end_leases(); }
  Result<> end_leases_of(const std::function<bool(std::string_view node)>& is_gone) {
    return queue_->end_leases_of(is_gone);
  }
  // What was written since it was last asked, and whether the database has gone back: by one
  // thread.
  Result<PostgresLook> look_back();
  // With the registry's tables (PostgresRegistry). Lives as long as the store.
  [[nodiscard]] postgres::Database& database() { return *database_; }

  [[nodiscard]] std::size_t partitions() const override { return options_.partitions; }
  [[nodiscard]] LogId log() const override { return log_; }
  [[nodiscard]] std::string secret(std::string_view purpose) const override;
  [[nodiscard]] PostgresQueue& queue() override { return *queue_; }
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
  PostgresStore(const PostgresStoreOptions& options, Clock& clock, Random& random)
      : options_(options), clock_(clock), random_(random), history_(options.partitions) {}

  Result<> open_pgvector();
  Result<> read_label();
  Result<> name_log();
  Result<> pass_over_ids();
  // Of the partition's write with this number, whose commit was cut short.
  [[nodiscard]] Result<bool> has_committed(Partition partition, std::int64_t number,
                                           std::string_view token) const;

  const PostgresStoreOptions options_;
  Clock& clock_;
  Random& random_;
  std::unique_ptr<postgres::Database> database_;
  LogId log_{};
  std::string key_;          // Names the store and signs its cursors.
  std::string vector_type_;  // pgvector's, as SQL names it; empty: it is not used.
  std::unique_ptr<PostgresQueue> queue_;
  mutable PostgresHistory history_;
  std::uint64_t failovers_passed_ = 0;
};

}  // namespace samtale

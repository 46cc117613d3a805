// SqliteQueue: the queue, in the partition files of the data its jobs belong to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/policy.h"
#include "queue/queue.h"
#include "sqlite/database.h"
#include "sys/clock.h"

namespace samtale {

// The queue's tables, for the migrations of whoever owns the files (docs/formats/sqlite-v1.md).
extern const sqlite::Migration kQueueSchema1;

struct SqliteQueueOptions {
  // Waiting, leased and dead jobs of one company; enqueueing more is resource_exhausted.
  std::int64_t jobs_per_company_max = 1'000'000;
  int expiries_max = 5;  // A job whose lease ran out so often, unsettled, becomes a dead letter.
};

class SqliteQueue;

// The queue's part of somebody else's transaction on a partition's database. Nothing can be taken
// before the commit.
// Threads: those of the transaction.
// Errors:  those of Database; those named.
class QueueTransaction {
 public:
  // All three must outlive it.
  QueueTransaction(SqliteQueue& queue, Partition partition, sqlite::Transaction& transaction);

  // resource_exhausted past jobs_per_company_max, invalid_argument for an empty kind.
  Result<> enqueue(const NewJob& job);
  // conflict if one of the leases was lost.
  Result<> finish(std::span<const Job> jobs);
  Result<> add_dead_letter(const NewJob& job, std::string_view cause);
  [[nodiscard]] Result<bool> has_dead_letter(CompanyId company, std::string_view kind,
                                             std::string_view key);
  // Removes the waiting jobs and the dead letters of this key.
  Result<> erase_key(CompanyId company, std::string_view key);

  // Tells the queue what has been committed. Call it between commit() and the transaction's end.
  void committed();

 private:
  friend class SqliteQueue;
  struct Wake {
    CompanyId company{};
    std::string kind;
    std::int64_t due_us = 0;
  };

  [[nodiscard]] Result<bool> finish_one(const Job& job);  // False: the lease was lost.
  Result<> insert(const NewJob& job, std::int64_t now_us);
  [[nodiscard]] Result<bool> replace_waiting(const NewJob& job, std::int64_t now_us);
  [[nodiscard]] Result<bool> is_waiting(CompanyId company, std::string_view kind,
                                        std::string_view key);
  Result<> bury(JobId id, std::string_view cause);
  Result<> check_room(CompanyId company);
  Result<> note_kind(const std::string& kind);

  SqliteQueue& queue_;
  const Partition partition_;
  sqlite::Connection& connection_;
  std::vector<Wake> wakes_;
  std::set<std::string> new_kinds_;
  std::map<CompanyId, std::int64_t> held_;  // Jobs and dead letters: change by this transaction.
};

// Leases end with the process: the files belong to one process at a time, so opening makes all
// leased jobs due at once, one expiry the richer. Jobs with two expiries or more are handed out
// alone, so that one that kills its worker cannot take its batch along.
// Taking and settling survive a crash of the process, but not always a loss of power: a job may
// then run once more. Enqueueing survives both.
// Memory:  the schedule (FairSchedule) and one count a company.
class SqliteQueue final : public Queue {
 public:
  // One database a partition, with kQueueSchema1 in it. Databases and clock must outlive the queue.
  [[nodiscard]] static Result<std::unique_ptr<SqliteQueue>> open(
      std::vector<sqlite::Database*> partitions, const Clock& clock,
      const SqliteQueueOptions& options);

  [[nodiscard]] Result<std::vector<Job>> take(std::string_view kind, std::size_t limit,
                                              Duration lease) override;
  Result<> finish(std::span<const Job> jobs) override;
  Result<> extend(const Job& job, Duration lease) override;
  Result<> retry_after(const Job& job, Duration delay, std::string_view cause) override;
  Result<> give_up(const Job& job, std::string_view cause) override;
  Result<std::size_t> redrive(CompanyId company, std::span<const JobId> ids) override;
  [[nodiscard]] Result<std::vector<DeadLetter>> dead_letters(CompanyId company,
                                                             std::optional<JobId> before,
                                                             std::size_t limit) const override;
  [[nodiscard]] Result<std::vector<Job>> waiting(CompanyId company,
                                                 std::size_t limit) const override;
  [[nodiscard]] Result<std::vector<QueueStats>> stats(
      std::optional<CompanyId> company) const override;
  void set_weight(CompanyId company, double weight) override;
  void charge(std::string_view kind, CompanyId company, double jobs) override;

  // A transaction of its own: for jobs that come with no data.
  Result<> enqueue(const NewJob& job);

 private:
  friend class QueueTransaction;
  struct Taken;  // A batch in the making.

  SqliteQueue(std::vector<sqlite::Database*> partitions, const Clock& clock,
              const SqliteQueueOptions& options);

  Result<> load(Partition partition);
  [[nodiscard]] sqlite::Database& database(Partition partition) const;
  [[nodiscard]] std::int64_t now_us() const { return to_us(clock_.wall_now()); }
  [[nodiscard]] Result<std::vector<Job>> take_from(Partition partition, std::string_view kind,
                                                   std::size_t limit, Duration lease);
  [[nodiscard]] Result<std::optional<std::int64_t>> take_of(QueueTransaction& transaction,
                                                            CompanyId company, std::size_t limit,
                                                            Taken& taken);
  struct Candidate;  // A job that is due.
  [[nodiscard]] Result<std::vector<Candidate>> due_jobs(sqlite::Connection& connection,
                                                        CompanyId company, std::size_t limit,
                                                        Taken& taken) const;
  Result<> lease_or_bury(QueueTransaction& transaction, Candidate candidate, Taken& taken);
  [[nodiscard]] Result<bool> revive(QueueTransaction& transaction, CompanyId company, JobId id);
  void count_failure(std::string_view kind, CompanyId company);

  const std::vector<sqlite::Database*> partitions_;
  const Clock& clock_;
  const SqliteQueueOptions options_;
  mutable std::mutex schedule_mutex_;  // Taken after a database's writer lock, never before.
  FairSchedule schedule_;              // All below guarded by it.
  std::unordered_map<std::int64_t, std::int64_t> held_;  // Jobs and dead letters a company.
  std::set<std::string, std::less<>> kinds_;
  std::map<std::pair<std::string, CompanyId>, std::uint64_t> failures_;
};

}  // namespace samtale

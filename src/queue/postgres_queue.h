// PostgresQueue: the queue in PostgreSQL, in the schema of the data its jobs belong to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/database.h"
#include "queue/policy.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

// The queue's tables, for the migrations of whoever owns the schema (docs/formats/postgres-v1.md).
[[nodiscard]] postgres::Migration postgres_queue_schema_1();

struct PostgresQueueOptions {
  // Waiting, leased and dead jobs of one company; enqueueing more is resource_exhausted.
  std::int64_t jobs_per_company_max = 1'000'000;
  int expiries_max = 5;  // A job whose lease ran out so often, unsettled, becomes a dead letter.
  // Names this process among those that share the queue, and keeps its name over a restart: what it
  // had leased, end_leases() makes due when it is started again. Empty: it waits for the lease's
  // end. Two processes of one name would take each other's jobs.
  std::string node{};
  // How often it is asked which companies have jobs that other processes put there and of which
  // nobody has told (look_again).
  Duration refresh_every = std::chrono::seconds(1);
};

// A job that is lent to a broker, which may hand it out: its row says whether it still is.
struct LentJob {
  CompanyId company{};
  JobId id{};
  std::uint64_t fence = 0;                // Of this lending.
  Priority urgency = Priority::critical;  // Its priority when it was lent, aged.
};

class PostgresQueue;

// Waits for the partition's turn: until the transaction ends, no other one that took it makes a job
// wait, writes a change or moves the log's offset there.
Result<> lock_partition(postgres::Transaction& transaction, Partition partition);

// The queue's part of somebody else's transaction. Nothing can be taken before the commit.
// Threads: those of the transaction.
// Errors:  those of Database; those named.
class PostgresQueueTransaction {
 public:
  // All must outlive it. The transaction must have taken the partition's lock before anything is
  // enqueued.
  PostgresQueueTransaction(PostgresQueue& queue, Partition partition,
                           postgres::Transaction& transaction);

  // invalid_argument for an empty kind. Written by flush(), all in one statement a company:
  // resource_exhausted there past jobs_per_company_max.
  Result<> enqueue(const NewJob& job);
  // conflict if one of the leases was lost.
  Result<> finish(std::span<const Job> jobs);
  Result<> add_dead_letter(const NewJob& job, std::string_view cause);
  [[nodiscard]] Result<bool> has_dead_letter(CompanyId company, std::string_view kind,
                                             std::string_view key);
  // Removes the waiting jobs and the dead letters of this key.
  Result<> erase_key(CompanyId company, std::string_view key);

  // Writes what was gathered on the way: last, before the commit.
  Result<> flush();
  // Tells the queue what has been committed.
  void committed();

 private:
  friend class PostgresQueue;
  struct Wake {
    CompanyId company{};
    std::string kind;
    std::int64_t due_us = 0;
  };

  struct Waiting {
    std::string kind;
    std::string key;
    std::string payload;
    Priority priority = Priority::normal;
    std::int64_t due_us = 0;
  };
  struct NewJobs {
    std::vector<Waiting> jobs;
    std::map<std::pair<std::string, std::string>, std::size_t> by_key;  // Kind and key: its place.
  };

  // Those that were ours are gone. Returns one that was not, or nothing.
  [[nodiscard]] Result<const Job*> finish_ours(std::span<const Job> jobs);
  Result<> insert_new_jobs();
  // False: the lease was lost.
  [[nodiscard]] Result<bool> bury(const Job& job, std::string_view cause);
  [[nodiscard]] Result<bool> is_waiting(CompanyId company, std::string_view kind,
                                        std::string_view key);
  Result<> note_kind(const std::string& kind);

  PostgresQueue& queue_;
  const Partition partition_;
  postgres::Transaction& transaction_;
  std::vector<Wake> wakes_;
  std::set<std::string> new_kinds_;
  std::map<CompanyId, NewJobs> new_jobs_;   // Not written yet.
  std::map<CompanyId, std::int64_t> held_;  // Jobs and dead letters: change by this one.
};

// Several processes may share it: a job is leased by one (its row is locked while it is), each
// keeps a schedule of its own, so the order between companies is fair within a process. What a dead
// one had leased is handed out when it is back (PostgresQueueOptions::node), when somebody knows
// that it is gone (end_leases_of), or when the lease ends.
// retry_after() and give_up() succeed while PostgreSQL is away: the job is then due again at once
// when it is back, whatever they said.
// Taking and settling survive a crash of the process, but not always one of the server: a job may
// then run once more. Enqueueing survives both.
// Memory: the schedule (FairSchedule).
class PostgresQueue final : public Queue {
 public:
  // `database` has the queue's tables and a row for each partition. Both must outlive the queue.
  [[nodiscard]] static Result<std::unique_ptr<PostgresQueue>> open(
      postgres::Database& database, std::size_t partitions, const Clock& clock,
      const PostgresQueueOptions& options);

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

  // Makes due at once what a process of this node's name had leased, an expiry the richer. For when
  // it is certain that there is no other.
  Result<> end_leases();
  // The same of every other node that is gone. One that is not gets a conflict where it settles
  // them, as if it had been too slow.
  Result<> end_leases_of(const std::function<bool(std::string_view node)>& is_gone);
  // Others have written to the partition: whoever takes next asks which companies have jobs there.
  // For a partition that takes a fifth of one thread's time at the most. From any thread.
  void look_again(Partition partition);
  // A transaction of its own: for jobs that come with no data.
  Result<> enqueue(const NewJob& job);

  [[nodiscard]] Partition partition_of(CompanyId company) const {
    return samtale::partition_of(company, partitions_);
  }

  // For a broker that hands jobs out in our place (RabbitQueue). What is lent counts as leased, but
  // nobody has begun with it: where the time ends it is due again, and no attempt or expiry counts.
  struct Lending {
    std::vector<LentJob> lent;
    // In their place one that may kill its worker: it is not lent but taken, alone.
    std::optional<Job> taken;
  };
  // Chooses as take() does. Lends until now + lent_for.
  [[nodiscard]] Result<Lending> lend(std::string_view kind, std::size_t limit, Duration lent_for,
                                     Duration lease);
  // Takes those of the jobs, of one kind and partition, that are still lent as they were. The
  // others are settled, or were handed out by another way, and are not ours to do. In the order
  // given.
  [[nodiscard]] Result<std::vector<Job>> claim(std::string_view kind, std::span<const LentJob> lent,
                                               Duration lease);
  // The broker has not got them, or may not have: those that are still lent are due again.
  Result<> take_back(std::string_view kind, std::span<const LentJob> lent);

 private:
  friend class PostgresQueueTransaction;
  // In place of a node's name, where a job is lent. No node is called so.
  static constexpr std::string_view kBrokerNode = "@broker";
  // On which jobs are taken.
  struct Terms {
    Duration lease;
    bool lends = false;
    Duration lent_for{};
  };
  // A job that is due.
  struct Candidate {
    Job job;
    int expiries = 0;
    Priority urgency = Priority::critical;
  };
  // A batch in the making.
  struct Taken {
    std::string_view kind{};
    Partition partition{};
    std::int64_t now_us = 0;
    std::int64_t until_us = 0;
    std::int64_t lent_until_us = 0;
    bool lends = false;
    std::vector<Job> jobs{};
    std::vector<LentJob> lent{};      // Those of them that are.
    std::vector<CompanyId> failed{};  // Whose leases had ended.
    bool closed = false;              // Takes no further job.
  };

  PostgresQueue(postgres::Database& database, std::size_t partitions, const Clock& clock,
                const PostgresQueueOptions& options);

  [[nodiscard]] std::int64_t now_us() const { return to_us(clock_.wall_now()); }
  Result<> refresh();
  Result<> refresh(Partition partition);
  Result<> refresh_where_told();
  [[nodiscard]] bool is_time_to_refresh();
  [[nodiscard]] std::optional<Partition> take_news();
  [[nodiscard]] Result<Taken> take_batch(std::string_view kind, std::size_t limit,
                                         const Terms& terms);
  [[nodiscard]] Result<Taken> take_from(Partition partition, std::string_view kind,
                                        std::size_t limit, const Terms& terms);
  [[nodiscard]] Result<std::optional<std::int64_t>> take_of(PostgresQueueTransaction& changes,
                                                            CompanyId company, std::size_t limit,
                                                            Taken& taken);
  [[nodiscard]] Result<std::vector<Candidate>> due_jobs(postgres::Transaction& transaction,
                                                        CompanyId company, std::size_t limit,
                                                        Taken& taken) const;
  Result<> lease_or_bury(PostgresQueueTransaction& changes, std::span<Candidate> candidates,
                         Taken& taken);
  [[nodiscard]] Result<std::map<JobId, Job>> claim_of(PostgresQueueTransaction& changes,
                                                      std::string_view kind,
                                                      std::span<const LentJob> lent,
                                                      std::int64_t until_us) const;
  [[nodiscard]] Result<std::size_t> revive(PostgresQueueTransaction& changes, CompanyId company,
                                           std::span<const JobId> ids);
  // Runs `work` in a transaction that holds the partition's lock.
  Result<> change(CompanyId company, postgres::Durability durability,
                  const std::function<Result<>(PostgresQueueTransaction&)>& work);
  void count_failure(std::string_view kind, CompanyId company);
  // Jobs that PostgreSQL may have leased to us, while nobody here knows of them any more or could
  // settle them: they are put back once it can be asked.
  void owe(std::span<const Job> jobs);
  [[nodiscard]] bool is_in_debt() const;
  Result<> or_owe(const Job& job, Result<> settled);
  Result<> pay();
  Result<> put_back(const Job& job, Duration delay);

  postgres::Database& database_;
  const std::size_t partitions_;
  const Clock& clock_;
  const PostgresQueueOptions options_;
  mutable std::mutex schedule_mutex_;  // Not held while PostgreSQL is waited for.
  FairSchedule schedule_;              // All below guarded by it.
  std::set<std::string, std::less<>> kinds_;
  std::map<std::pair<std::string, CompanyId>, std::uint64_t> failures_;
  std::optional<Instant> refreshed_at_;
  struct News {
    bool is_there = false;
    Instant not_before{};
  };
  std::vector<News> news_;  // By partition.
  std::vector<Job> owed_;
};

}  // namespace samtale

#include "queue/sqlite_queue.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/check.h"

namespace samtale {
namespace {

using sqlite::Blob;
using sqlite::Durability;
using sqlite::Statement;

// From this many expiries on a job is handed out alone.
constexpr int kSuspectExpiries = 2;
// Dead letters put back in one transaction.
constexpr std::size_t kRedriveBatch = 1000;
constexpr std::int64_t kRestUs = 1'000'000;
constexpr std::int64_t kNever = INT64_MAX;

// One statement a priority, so that three can be read side by side. The order is the index's.
#define SAMTALE_DUE_JOBS(priority)                                                             \
  "SELECT id, due_us, leased, expiries, attempts, fence, enqueued_us, key, payload "           \
  "FROM jobs INDEXED BY jobs_by_due WHERE company = ?1 AND kind = ?2 AND priority = " priority \
  " AND due_us <= ?3 ORDER BY due_us, leased, id"
constexpr std::array kDueJobs = {SAMTALE_DUE_JOBS("0"), SAMTALE_DUE_JOBS("1"),
                                 SAMTALE_DUE_JOBS("2")};
#undef SAMTALE_DUE_JOBS

constexpr auto kFirstDue = R"sql(
SELECT min(ifnull((SELECT min(due_us) FROM jobs WHERE company = ?1 AND kind = ?2 AND priority = 0),
                  9223372036854775807),
           ifnull((SELECT min(due_us) FROM jobs WHERE company = ?1 AND kind = ?2 AND priority = 1),
                  9223372036854775807),
           ifnull((SELECT min(due_us) FROM jobs WHERE company = ?1 AND kind = ?2 AND priority = 2),
                  9223372036854775807)))sql";

std::int64_t us(Duration length) { return length / std::chrono::microseconds(1); }

std::unexpected<Error> lease_lost(const Job& job) {
  return fail(ErrorCode::conflict, "job " + std::to_string(number(job.id)) +
                                       ": its lease ended and the job went to another worker");
}

// The due jobs of one company, kind and priority, oldest first.
struct Line {
  Statement rows;
  int priority;
  bool has_row = false;

  Result<> advance() {
    SAMTALE_TRY(has_row, rows.step());
    return {};
  }
  // Smaller goes first: the aged priority, then the older.
  [[nodiscard]] auto rank(std::int64_t now_us) const {
    const Duration waited = std::chrono::microseconds(now_us - rows.integer(1));
    return std::tuple(aged_priority(static_cast<Priority>(priority), waited), rows.integer(1),
                      rows.integer(0));
  }
};

}  // namespace

struct SqliteQueue::Taken {
  std::string_view kind;
  Partition partition{};
  std::int64_t now_us = 0;
  std::int64_t until_us = 0;
  std::vector<Job> jobs{};
  std::vector<CompanyId> failed{};  // Whose leases had ended.
  bool closed = false;              // Takes no further job.
};

struct SqliteQueue::Candidate {
  Job job;
  int expiries = 0;
};

SqliteQueue::SqliteQueue(std::vector<sqlite::Database*> partitions, const Clock& clock,
                         const SqliteQueueOptions& options)
    : partitions_(std::move(partitions)),
      clock_(clock),
      options_(options),
      schedule_(partitions_.size()) {}

Result<std::unique_ptr<SqliteQueue>> SqliteQueue::open(std::vector<sqlite::Database*> partitions,
                                                       const Clock& clock,
                                                       const SqliteQueueOptions& options) {
  std::unique_ptr<SqliteQueue> queue(new SqliteQueue(std::move(partitions), clock, options));
  for (std::size_t i = 0; i < queue->partitions_.size(); ++i) {
    SAMTALE_TRY_VOID(queue->load(static_cast<Partition>(i)));
  }
  return queue;
}

// One pass over an index that holds all of it, without the rows.
Result<> SqliteQueue::load(Partition partition) {
  SAMTALE_TRY(auto transaction, database(partition).begin());
  auto& connection = transaction.connection();
  const auto now = now_us();
  std::vector<JobId> leased;
  const std::lock_guard lock(schedule_mutex_);
  {
    SAMTALE_TRY(auto rows, connection.prepare("SELECT company, kind, due_us, leased, id FROM jobs "
                                              "INDEXED BY jobs_by_due ORDER BY company, kind"));
    while (true) {
      SAMTALE_TRY(const bool found, rows.step());
      if (!found) break;
      const auto company = static_cast<CompanyId>(rows.integer(0));
      const bool is_leased = rows.integer(3) != 0;
      ++held_[number(company)];
      schedule_.wake(rows.bytes(1), company, is_leased ? now : rows.integer(2));
      if (is_leased) leased.push_back(static_cast<JobId>(rows.integer(4)));
    }
    SAMTALE_TRY(auto dead, connection.prepare("SELECT company, count(*) FROM dead_letters INDEXED "
                                              "BY dead_letters_by_company GROUP BY company"));
    while (true) {
      SAMTALE_TRY(const bool found, dead.step());
      if (!found) break;
      held_[dead.integer(0)] += dead.integer(1);
    }
    SAMTALE_TRY(auto kinds, connection.prepare("SELECT name FROM job_kinds"));
    while (true) {
      SAMTALE_TRY(const bool found, kinds.step());
      if (!found) break;
      kinds_.emplace(kinds.bytes(0));
    }
  }
  for (const auto id : leased) {
    SAMTALE_TRY_VOID(
        connection.run("UPDATE jobs SET due_us = min(due_us, ?2) WHERE id = ?1", id, now));
  }
  return transaction.commit();
}

sqlite::Database& SqliteQueue::database(Partition partition) const {
  const auto place = static_cast<std::size_t>(partition);
  SAMTALE_CHECK(place < partitions_.size(), "partitions come from partition_of");
  return *partitions_[place];
}

Result<std::vector<Job>> SqliteQueue::take(std::string_view kind, std::size_t limit,
                                           Duration lease) {
  // A partition whose companies turn out to have nothing due is passed over; each then sleeps, so
  // this ends.
  while (true) {
    const auto now = now_us();
    std::optional<Partition> next;
    {
      const std::lock_guard lock(schedule_mutex_);
      next = schedule_.next_partition(kind, now);
    }
    if (!next || limit == 0) return std::vector<Job>();
    auto jobs = take_from(*next, kind, limit, lease);
    if (!jobs) {
      const std::lock_guard lock(schedule_mutex_);
      schedule_.rest(kind, *next, now + kRestUs);
      return jobs;
    }
    if (!jobs->empty()) return jobs;
  }
}

Result<std::vector<Job>> SqliteQueue::take_from(Partition partition, std::string_view kind,
                                                std::size_t limit, Duration lease) {
  SAMTALE_TRY(auto transaction, database(partition).begin(Durability::process));
  QueueTransaction changes(*this, partition, transaction);
  const auto now = now_us();
  Taken taken{.kind = kind, .partition = partition, .now_us = now, .until_us = now + us(lease)};
  std::set<CompanyId> asked;
  Result<> done;
  while (done && taken.jobs.size() < limit && !taken.closed) {
    std::optional<CompanyId> company;
    std::size_t others = 0;
    {
      const std::lock_guard lock(schedule_mutex_);
      company = schedule_.pop(kind, partition);
      others = schedule_.active(kind, partition);
    }
    if (!company) break;
    asked.insert(*company);
    // An even part of what is left: a batch with everybody in it, full all the same.
    const auto part = std::max<std::size_t>((limit - taken.jobs.size()) / (others + 1), 1);
    const auto before = taken.jobs.size();
    auto due_us = take_of(changes, *company, part, taken);
    if (!due_us) done = std::unexpected(due_us.error());
    const std::lock_guard lock(schedule_mutex_);
    schedule_.put_back(kind, *company, taken.jobs.size() - before, due_us.value_or(now), now);
  }
  if (done) done = transaction.commit_together();
  if (!done) {
    const std::lock_guard lock(schedule_mutex_);
    for (const auto company : asked) schedule_.wake(kind, company, now);
    return std::unexpected(std::move(done).error());
  }
  changes.committed();
  for (const auto company : taken.failed) count_failure(kind, company);
  return std::move(taken.jobs);
}

// Takes up to `limit` due jobs of the company. Returns when its next is due.
Result<std::optional<std::int64_t>> SqliteQueue::take_of(QueueTransaction& transaction,
                                                         CompanyId company, std::size_t limit,
                                                         Taken& taken) {
  auto& connection = transaction.connection_;
  SAMTALE_TRY(auto candidates, due_jobs(connection, company, limit, taken));
  for (auto& candidate : candidates) {
    SAMTALE_TRY_VOID(lease_or_bury(transaction, std::move(candidate), taken));
  }
  SAMTALE_TRY(const auto due_us, connection.integer(kFirstDue, company, taken.kind));
  if (due_us == kNever) return std::optional<std::int64_t>();
  return due_us;
}

Result<std::vector<SqliteQueue::Candidate>> SqliteQueue::due_jobs(sqlite::Connection& connection,
                                                                  CompanyId company,
                                                                  std::size_t limit,
                                                                  Taken& taken) const {
  std::vector<Line> lines;
  for (int priority = 0; priority < static_cast<int>(kDueJobs.size()); ++priority) {
    SAMTALE_TRY(auto rows, connection.prepare(kDueJobs[static_cast<std::size_t>(priority)]));
    SAMTALE_TRY_VOID(rows.bind(company, taken.kind, taken.now_us));
    auto& line = lines.emplace_back(std::move(rows), priority);
    SAMTALE_TRY_VOID(line.advance());
  }
  std::vector<Candidate> candidates;
  while (candidates.size() < limit && !taken.closed) {
    Line* first = nullptr;
    for (auto& line : lines) {
      if (!line.has_row) continue;
      if (first == nullptr || line.rank(taken.now_us) < first->rank(taken.now_us)) first = &line;
    }
    if (first == nullptr) break;
    const auto& row = first->rows;
    const bool was_leased = row.integer(2) != 0;
    const auto expiries = static_cast<int>(row.integer(3)) + (was_leased ? 1 : 0);
    if (expiries >= kSuspectExpiries) {
      taken.closed = true;
      if (!candidates.empty() || !taken.jobs.empty()) break;
    }
    candidates.push_back({.job = {.id = static_cast<JobId>(row.integer(0)),
                                  .partition = taken.partition,
                                  .company = company,
                                  .kind = std::string(taken.kind),
                                  .payload = std::string(row.bytes(8)),
                                  .key = std::string(row.bytes(7)),
                                  .priority = static_cast<Priority>(first->priority),
                                  .attempt = static_cast<int>(row.integer(4)) + 1,
                                  .fence = static_cast<std::uint64_t>(row.integer(5)) + 1,
                                  .enqueued_at = from_us(row.integer(6))},
                          .expiries = expiries});
    if (was_leased) taken.failed.push_back(company);
    SAMTALE_TRY_VOID(first->advance());
  }
  return candidates;
}

Result<> SqliteQueue::lease_or_bury(QueueTransaction& transaction, Candidate candidate,
                                    Taken& taken) {
  auto& job = candidate.job;
  if (candidate.expiries >= options_.expiries_max) {
    taken.closed = false;
    return transaction.bury(
        job.id, "worker died or timed out " + std::to_string(candidate.expiries) + " times");
  }
  SAMTALE_TRY_VOID(transaction.connection_.run(
      "UPDATE jobs SET leased = 1, due_us = ?2, attempts = ?3, expiries = ?4, fence = ?5 "
      "WHERE id = ?1",
      job.id, taken.until_us, job.attempt, candidate.expiries, job.fence));
  taken.jobs.push_back(std::move(job));
  return {};
}

void SqliteQueue::count_failure(std::string_view kind, CompanyId company) {
  const std::lock_guard lock(schedule_mutex_);
  ++failures_[{std::string(kind), company}];
}

// Each job that is still ours is settled, also when another one's lease was lost.
Result<> SqliteQueue::finish(std::span<const Job> jobs) {
  const Job* lost = nullptr;
  while (!jobs.empty()) {
    const auto partition = jobs.front().partition;
    const auto same = static_cast<std::size_t>(
        std::ranges::find_if(jobs, [&](const Job& job) { return job.partition != partition; }) -
        jobs.begin());
    SAMTALE_TRY(auto transaction, database(partition).begin(Durability::process));
    QueueTransaction changes(*this, partition, transaction);
    for (const auto& job : jobs.first(same)) {
      SAMTALE_TRY(const bool ours, changes.finish_one(job));
      if (!ours) lost = &job;
    }
    SAMTALE_TRY_VOID(transaction.commit_together());
    changes.committed();
    jobs = jobs.subspan(same);
  }
  if (lost != nullptr) return lease_lost(*lost);
  return {};
}

Result<> SqliteQueue::extend(const Job& job, Duration lease) {
  SAMTALE_TRY(auto transaction, database(job.partition).begin(Durability::process));
  auto& connection = transaction.connection();
  SAMTALE_TRY_VOID(connection.run(
      "UPDATE jobs SET due_us = ?4 WHERE id = ?1 AND company = ?2 AND fence = ?3 AND leased = 1",
      job.id, job.company, job.fence, now_us() + us(lease)));
  if (connection.changes() == 0) return lease_lost(job);
  return transaction.commit_together();
}

Result<> SqliteQueue::retry_after(const Job& job, Duration delay, std::string_view) {
  SAMTALE_TRY(auto transaction, database(job.partition).begin(Durability::process));
  auto& connection = transaction.connection();
  QueueTransaction changes(*this, job.partition, transaction);
  SAMTALE_TRY(const bool is_superseded, changes.is_waiting(job.company, job.kind, job.key));
  if (is_superseded) {
    SAMTALE_TRY(const bool ours, changes.finish_one(job));
    if (!ours) return lease_lost(job);
  } else {
    const auto due_us = now_us() + us(delay);
    SAMTALE_TRY_VOID(
        connection.run("UPDATE jobs SET leased = 0, due_us = ?4, expiries = 0 "
                       "WHERE id = ?1 AND company = ?2 AND fence = ?3 AND leased = 1",
                       job.id, job.company, job.fence, due_us));
    if (connection.changes() == 0) return lease_lost(job);
    changes.wakes_.push_back({job.company, job.kind, due_us});
  }
  SAMTALE_TRY_VOID(transaction.commit_together());
  changes.committed();
  count_failure(job.kind, job.company);
  return {};
}

Result<> SqliteQueue::give_up(const Job& job, std::string_view cause) {
  SAMTALE_TRY(auto transaction, database(job.partition).begin(Durability::process));
  QueueTransaction changes(*this, job.partition, transaction);
  SAMTALE_TRY(const auto ours,
              transaction.connection().integer("SELECT 1 FROM jobs WHERE id = ?1 AND company = ?2 "
                                               "AND fence = ?3 AND leased = 1",
                                               job.id, job.company, job.fence));
  if (!ours) return lease_lost(job);
  SAMTALE_TRY_VOID(changes.bury(job.id, cause));
  SAMTALE_TRY_VOID(transaction.commit_together());
  count_failure(job.kind, job.company);
  return {};
}

Result<std::size_t> SqliteQueue::redrive(CompanyId company, std::span<const JobId> ids) {
  const auto partition = partition_of(company, partitions_.size());
  const bool all = ids.empty();
  std::size_t revived = 0;
  while (true) {
    SAMTALE_TRY(auto transaction, database(partition).begin());
    QueueTransaction changes(*this, partition, transaction);
    std::vector<JobId> some;
    if (all) {
      SAMTALE_TRY(auto rows, transaction.connection().prepare(
                                 "SELECT id FROM dead_letters INDEXED BY dead_letters_by_company "
                                 "WHERE company = ?1 ORDER BY id LIMIT ?2"));
      SAMTALE_TRY_VOID(rows.bind(company, kRedriveBatch));
      while (true) {
        SAMTALE_TRY(const bool found, rows.step());
        if (!found) break;
        some.push_back(static_cast<JobId>(rows.integer(0)));
      }
    } else {
      const auto part = ids.first(std::min(ids.size(), kRedriveBatch));
      some.assign(part.begin(), part.end());
      ids = ids.subspan(part.size());
    }
    if (some.empty()) return revived;
    for (const auto id : some) {
      SAMTALE_TRY(const bool found, revive(changes, company, id));
      if (found) ++revived;
    }
    SAMTALE_TRY_VOID(transaction.commit_together());
    changes.committed();
  }
}

// False: the company has no such dead letter. Where newer work of its key waits already, that one
// stands for it.
Result<bool> SqliteQueue::revive(QueueTransaction& transaction, CompanyId company, JobId id) {
  auto& connection = transaction.connection_;
  std::string kind;
  std::string key;
  {
    SAMTALE_TRY(auto row, connection.prepare(
                              "SELECT kind, key FROM dead_letters WHERE id = ?1 AND company = ?2"));
    SAMTALE_TRY_VOID(row.bind(id, company));
    SAMTALE_TRY(const bool found, row.step());
    if (!found) return false;
    kind = row.bytes(0);
    key = row.bytes(1);
  }
  SAMTALE_TRY(const bool is_superseded, transaction.is_waiting(company, kind, key));
  if (is_superseded) {
    --transaction.held_[company];
  } else {
    const auto now = now_us();
    SAMTALE_TRY_VOID(connection.run(
        "INSERT INTO jobs(id, company, kind, key, priority, due_us, leased, attempts, expiries, "
        "fence, enqueued_us, payload) SELECT id, company, kind, key, priority, ?2, 0, 0, 0, fence, "
        "enqueued_us, payload FROM dead_letters WHERE id = ?1",
        id, now));
    transaction.wakes_.push_back({company, kind, now});
  }
  SAMTALE_TRY_VOID(connection.run("DELETE FROM dead_letters WHERE id = ?1", id));
  return true;
}

void SqliteQueue::set_weight(CompanyId company, double weight) {
  const std::lock_guard lock(schedule_mutex_);
  schedule_.set_weight(company, weight);
}

void SqliteQueue::charge(std::string_view kind, CompanyId company, double jobs) {
  const std::lock_guard lock(schedule_mutex_);
  schedule_.charge(kind, company, jobs);
}

Result<> SqliteQueue::enqueue(const NewJob& job) {
  const auto partition = partition_of(job.company, partitions_.size());
  SAMTALE_TRY(auto transaction, database(partition).begin());
  QueueTransaction changes(*this, partition, transaction);
  SAMTALE_TRY_VOID(changes.enqueue(job));
  SAMTALE_TRY_VOID(transaction.commit_together());
  changes.committed();
  return {};
}

}  // namespace samtale

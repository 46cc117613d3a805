// What people and monitors ask of the queue: read on the readers' connections, beside the workers.
#include <algorithm>

#include "queue/sqlite_queue.h"

namespace samtale {
namespace {

// Over the index alone and in its order, so that 10^6 jobs need neither their rows nor a sort.
constexpr auto kCountJobs =
    "SELECT kind, sum(due_us <= ?1), sum(leased = 0 AND due_us > ?1), "
    "sum(leased = 1 AND due_us > ?1), min(due_us) FROM jobs INDEXED BY jobs_by_due "
    "GROUP BY company, kind";
constexpr auto kCountJobsOfCompany =
    "SELECT kind, sum(due_us <= ?1), sum(leased = 0 AND due_us > ?1), "
    "sum(leased = 1 AND due_us > ?1), min(due_us) FROM jobs INDEXED BY jobs_by_due "
    "WHERE company = ?2 GROUP BY kind";
constexpr auto kCountDead = "SELECT kind, count(*) FROM dead_letters GROUP BY kind";
constexpr auto kCountDeadOfCompany =
    "SELECT kind, count(*) FROM dead_letters INDEXED BY dead_letters_by_company "
    "WHERE company = ?1 GROUP BY kind";

}  // namespace

Result<std::vector<DeadLetter>> SqliteQueue::dead_letters(CompanyId company,
                                                          std::optional<JobId> before,
                                                          std::size_t limit) const {
  const auto partition = partition_of(company, partitions_.size());
  SAMTALE_TRY(const auto snapshot, database(partition).snapshot());
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(
                             "SELECT id, kind, payload, cause, attempts, enqueued_us, given_up_us "
                             "FROM dead_letters INDEXED BY dead_letters_by_company "
                             "WHERE company = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"));
  SAMTALE_TRY_VOID(rows.bind(company, before.value_or(static_cast<JobId>(INT64_MAX)), limit));
  std::vector<DeadLetter> letters;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return letters;
    letters.push_back({.id = static_cast<JobId>(rows.integer(0)),
                       .partition = partition,
                       .company = company,
                       .kind = std::string(rows.bytes(1)),
                       .payload = std::string(rows.bytes(2)),
                       .cause = std::string(rows.bytes(3)),
                       .attempts = static_cast<int>(rows.integer(4)),
                       .enqueued_at = from_us(rows.integer(5)),
                       .given_up_at = from_us(rows.integer(6))});
  }
}

Result<std::vector<Job>> SqliteQueue::waiting(CompanyId company, std::size_t limit) const {
  const auto partition = partition_of(company, partitions_.size());
  SAMTALE_TRY(const auto snapshot, database(partition).snapshot());
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(
                             "SELECT id, kind, payload, key, priority, attempts, fence, "
                             "enqueued_us FROM jobs INDEXED BY jobs_by_due "
                             "WHERE company = ?1 AND leased = 0 "
                             "ORDER BY kind, priority, due_us LIMIT ?2"));
  SAMTALE_TRY_VOID(rows.bind(company, limit));
  std::vector<Job> jobs;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return jobs;
    jobs.push_back({.id = static_cast<JobId>(rows.integer(0)),
                    .partition = partition,
                    .company = company,
                    .kind = std::string(rows.bytes(1)),
                    .payload = std::string(rows.bytes(2)),
                    .key = std::string(rows.bytes(3)),
                    .priority = static_cast<Priority>(rows.integer(4)),
                    .attempt = static_cast<int>(rows.integer(5)) + 1,
                    .fence = static_cast<std::uint64_t>(rows.integer(6)),
                    .enqueued_at = from_us(rows.integer(7))});
  }
}

Result<std::vector<QueueStats>> SqliteQueue::stats(std::optional<CompanyId> company) const {
  std::map<std::string, QueueStats, std::less<>> by_kind;
  {
    const std::lock_guard lock(schedule_mutex_);
    for (const auto& kind : kinds_) by_kind[kind].kind = kind;
    for (const auto& [of, count] : failures_) {
      if (!company || of.second == *company) by_kind[of.first].attempts += count;
    }
  }
  const auto now = now_us();
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    if (company && static_cast<Partition>(i) != partition_of(*company, partitions_.size())) {
      continue;
    }
    SAMTALE_TRY(const auto snapshot, partitions_[i]->snapshot());
    SAMTALE_TRY(auto jobs,
                snapshot.connection().prepare(company ? kCountJobsOfCompany : kCountJobs));
    SAMTALE_TRY_VOID(company ? jobs.bind(now, *company) : jobs.bind(now));
    while (true) {
      SAMTALE_TRY(const bool found, jobs.step());
      if (!found) break;
      auto& stats = by_kind[std::string(jobs.bytes(0))];
      stats.ready += static_cast<std::size_t>(jobs.integer(1));
      stats.delayed += static_cast<std::size_t>(jobs.integer(2));
      stats.leased += static_cast<std::size_t>(jobs.integer(3));
      const Duration age = std::chrono::microseconds(now - jobs.integer(4));
      stats.oldest_age = std::max(stats.oldest_age, age);
    }
    SAMTALE_TRY(auto dead,
                snapshot.connection().prepare(company ? kCountDeadOfCompany : kCountDead));
    SAMTALE_TRY_VOID(company ? dead.bind(*company) : dead.bind());
    while (true) {
      SAMTALE_TRY(const bool found, dead.step());
      if (!found) break;
      by_kind[std::string(dead.bytes(0))].dead += static_cast<std::size_t>(dead.integer(1));
    }
  }
  std::vector<QueueStats> all;
  for (auto& [kind, stats] : by_kind) {
    stats.kind = kind;
    all.push_back(std::move(stats));
  }
  return all;
}

}  // namespace samtale

// What people and monitors ask of the queue.
#include <algorithm>

#include "queue/postgres_queue.h"

namespace samtale {
namespace {

// Over the index alone: a million jobs need not their rows.
#define SAMTALE_COUNT_JOBS                               \
  "SELECT kind, count(*) FILTER (WHERE due_us <= $1), "  \
  "count(*) FILTER (WHERE NOT leased AND due_us > $1), " \
  "count(*) FILTER (WHERE leased AND due_us > $1), min(due_us) FROM jobs "
constexpr auto kCountJobs = SAMTALE_COUNT_JOBS "WHERE partition = $2 GROUP BY kind";
constexpr auto kCountJobsOfCompany = SAMTALE_COUNT_JOBS "WHERE company = $2 GROUP BY kind";
#undef SAMTALE_COUNT_JOBS
constexpr auto kCountDead =
    "SELECT kind, count(*) FROM dead_letters WHERE partition = $1 GROUP BY kind";
constexpr auto kCountDeadOfCompany =
    "SELECT kind, count(*) FROM dead_letters WHERE company = $1 GROUP BY kind";

}  // namespace

Result<std::vector<DeadLetter>> PostgresQueue::dead_letters(CompanyId company,
                                                            std::optional<JobId> before,
                                                            std::size_t limit) const {
  SAMTALE_TRY(const auto rows,
              database_.read({.company = company},
                             "SELECT id, kind, payload, cause, attempts, enqueued_us, given_up_us "
                             "FROM dead_letters WHERE company = $1 AND id < $2 "
                             "ORDER BY id DESC LIMIT $3",
                             company, before.value_or(static_cast<JobId>(INT64_MAX)), limit));
  std::vector<DeadLetter> letters;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    letters.push_back({.id = static_cast<JobId>(row.integer(0)),
                       .partition = partition_of(company),
                       .company = company,
                       .kind = std::string(row.bytes(1)),
                       .payload = std::string(row.bytes(2)),
                       .cause = std::string(row.bytes(3)),
                       .attempts = static_cast<int>(row.integer(4)),
                       .enqueued_at = from_us(row.integer(5)),
                       .given_up_at = from_us(row.integer(6))});
  }
  return letters;
}

Result<std::vector<Job>> PostgresQueue::waiting(CompanyId company, std::size_t limit) const {
  SAMTALE_TRY(const auto rows,
              database_.read({.company = company},
                             "SELECT id, kind, payload, key, priority, attempts, fence, "
                             "enqueued_us FROM jobs WHERE company = $1 AND NOT leased "
                             "ORDER BY kind, priority, due_us LIMIT $2",
                             company, limit));
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    jobs.push_back({.id = static_cast<JobId>(row.integer(0)),
                    .partition = partition_of(company),
                    .company = company,
                    .kind = std::string(row.bytes(1)),
                    .payload = std::string(row.bytes(2)),
                    .key = std::string(row.bytes(3)),
                    .priority = static_cast<Priority>(row.integer(4)),
                    .attempt = static_cast<int>(row.integer(5)) + 1,
                    .fence = static_cast<std::uint64_t>(row.integer(6)),
                    .enqueued_at = from_us(row.integer(7))});
  }
  return jobs;
}

Result<std::vector<QueueStats>> PostgresQueue::stats(std::optional<CompanyId> company) const {
  std::map<std::string, QueueStats, std::less<>> by_kind;
  {
    const std::lock_guard lock(schedule_mutex_);
    for (const auto& [of, count] : failures_) {
      if (!company || of.second == *company) by_kind[of.first].attempts += count;
    }
  }
  SAMTALE_TRY(const auto kinds, database_.read({}, "SELECT name FROM job_kinds"));
  for (std::size_t i = 0; i < kinds.size(); ++i) by_kind[std::string(kinds.bytes(i, 0))];
  const auto now = now_us();
  for (std::size_t i = 0; i < partitions_; ++i) {
    const auto partition = static_cast<std::int64_t>(i);
    if (company && static_cast<Partition>(i) != partition_of(*company)) continue;
    const postgres::Scope scope =
        company ? postgres::Scope{.company = company} : postgres::Scope{.partition = partition};
    const auto of = company ? number(*company) : partition;
    SAMTALE_TRY(const auto jobs,
                database_.read(scope, company ? kCountJobsOfCompany : kCountJobs, now, of));
    for (std::size_t k = 0; k < jobs.size(); ++k) {
      auto& stats = by_kind[std::string(jobs.bytes(k, 0))];
      stats.ready += static_cast<std::size_t>(jobs.integer(k, 1));
      stats.delayed += static_cast<std::size_t>(jobs.integer(k, 2));
      stats.leased += static_cast<std::size_t>(jobs.integer(k, 3));
      const Duration age = std::chrono::microseconds(now - jobs.integer(k, 4));
      stats.oldest_age = std::max(stats.oldest_age, age);
    }
    SAMTALE_TRY(const auto dead,
                database_.read(scope, company ? kCountDeadOfCompany : kCountDead, of));
    for (std::size_t k = 0; k < dead.size(); ++k) {
      by_kind[std::string(dead.bytes(k, 0))].dead += static_cast<std::size_t>(dead.integer(k, 1));
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

// What is lent to a broker: a row says so by the name of no node, and each lending, and each claim,
// has a fence of its own. So of any number of messages about a job one at most is claimed.
#include <algorithm>
#include <map>
#include <utility>

#include "queue/postgres_queue.h"

namespace samtale {
namespace {

using postgres::Column;
using postgres::Durability;
using postgres::Transaction;

std::int64_t us(Duration length) { return length / std::chrono::microseconds(1); }

std::map<CompanyId, std::vector<LentJob>> by_company(std::span<const LentJob> lent) {
  std::map<CompanyId, std::vector<LentJob>> all;
  for (const auto& job : lent) all[job.company].push_back(job);
  return all;
}

Column ids_of(std::span<const LentJob> lent) {
  auto ids = Column::numbers();
  for (const auto& job : lent) ids.add(job.id);
  return ids;
}
Column fences_of(std::span<const LentJob> lent) {
  auto fences = Column::numbers();
  for (const auto& job : lent) fences.add(job.fence);
  return fences;
}

}  // namespace

Result<PostgresQueue::Lending> PostgresQueue::lend(std::string_view kind, std::size_t limit,
                                                   Duration lent_for, Duration lease) {
  SAMTALE_TRY(auto taken,
              take_batch(kind, limit, {.lease = lease, .lends = true, .lent_for = lent_for}));
  Lending lending;
  if (taken.lent.empty() && !taken.jobs.empty()) lending.taken = std::move(taken.jobs.front());
  lending.lent = std::move(taken.lent);
  return lending;
}

Result<std::vector<Job>> PostgresQueue::claim(std::string_view kind, std::span<const LentJob> lent,
                                              Duration lease) {
  if (lent.empty()) return std::vector<Job>();
  SAMTALE_TRY_VOID(pay());
  const auto partition = partition_of(lent.front().company);
  SAMTALE_TRY(auto transaction, database_.begin({}, Durability::process));
  PostgresQueueTransaction changes(*this, partition, transaction);
  const auto until_us = now_us() + us(lease);
  std::map<JobId, Job> ours;
  for (const auto& [company, theirs] : by_company(lent)) {
    SAMTALE_TRY(auto claimed, claim_of(changes, kind, theirs, until_us));
    ours.merge(claimed);
  }
  std::vector<Job> jobs;
  for (const auto& job : lent) {
    const auto found = ours.find(job.id);
    if (found == ours.end() || found->second.company != job.company) continue;
    jobs.push_back(std::move(found->second));
    ours.erase(found);  // A second message about it.
  }
  if (auto done = transaction.commit(); !done) {
    if (transaction.outcome_is_unknown()) owe(jobs);
    return std::unexpected(std::move(done).error());
  }
  const std::lock_guard lock(schedule_mutex_);
  for (const auto& job : jobs) schedule_.wake(kind, job.company, until_us);
  return jobs;
}

// Those of one company.
Result<std::map<JobId, Job>> PostgresQueue::claim_of(PostgresQueueTransaction& changes,
                                                     std::string_view kind,
                                                     std::span<const LentJob> lent,
                                                     std::int64_t until_us) const {
  const auto company = lent.front().company;
  SAMTALE_TRY_VOID(changes.transaction_.act_for(company));
  SAMTALE_TRY(
      const auto rows,
      changes.transaction_.query(
          "UPDATE jobs SET due_us = $5, attempts = attempts + 1, fence = jobs.fence + 1, node = $6 "
          "FROM unnest($2, $3) AS given(id, fence) "
          "WHERE jobs.company = $1 AND jobs.id = ANY($2) AND jobs.id = given.id "
          "AND jobs.fence = given.fence "
          "AND jobs.kind = $4 AND jobs.leased::int = 1 AND jobs.node = $7 "
          "RETURNING jobs.id, priority, attempts, jobs.fence, enqueued_us, key, payload",
          company, ids_of(lent), fences_of(lent), kind, until_us, options_.node, kBrokerNode));
  std::map<JobId, Job> claimed;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    const auto id = static_cast<JobId>(row.integer(0));
    claimed.emplace(id, Job{.id = id,
                            .partition = changes.partition_,
                            .company = company,
                            .kind = std::string(kind),
                            .payload = std::string(row.bytes(6)),
                            .key = std::string(row.bytes(5)),
                            .priority = static_cast<Priority>(row.integer(1)),
                            .attempt = static_cast<int>(row.integer(2)),
                            .fence = static_cast<std::uint64_t>(row.integer(3)),
                            .enqueued_at = from_us(row.integer(4))});
  }
  return claimed;
}

Result<> PostgresQueue::take_back(std::string_view kind, std::span<const LentJob> lent) {
  const auto now = now_us();
  const auto companies = by_company(lent);
  SAMTALE_TRY_VOID(
      in_transaction(database_, {}, Durability::process, [&](Transaction& transaction) -> Result<> {
        for (const auto& [company, theirs] : companies) {
          SAMTALE_TRY_VOID(transaction.act_for(company));
          SAMTALE_TRY_VOID(transaction.later(
              "UPDATE jobs SET due_us = $4 "
              "FROM unnest($2, $3) AS given(id, fence) "
              "WHERE jobs.company = $1 AND jobs.id = ANY($2) AND jobs.id = given.id "
              "AND jobs.fence = given.fence "
              "AND jobs.leased::int = 1 AND jobs.node = $5",
              company, ids_of(theirs), fences_of(theirs), now, kBrokerNode));
        }
        return {};
      }));
  const std::lock_guard lock(schedule_mutex_);
  for (const auto& [company, theirs] : companies) schedule_.wake(kind, company, now);
  return {};
}

}  // namespace samtale

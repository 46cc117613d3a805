#include <algorithm>
#include <utility>

#include "base/check.h"
#include "postgres/company_table.h"
#include "queue/postgres_queue.h"

namespace samtale {

using postgres::Across;
using postgres::Bytes;
using postgres::Column;

namespace {

// Where the work waits already, it is done with the newer payload, no later and no less urgently
// than either asked for. A job that has failed keeps its pause, or new events would hammer what is
// down.
constexpr auto kEnqueue =
    "WITH wanted AS (SELECT * FROM unnest($4, $5, $6, $7, $8) WITH ORDINALITY "
    "AS w(kind, key, priority, due_us, payload, place)), "
    "waiting AS (SELECT w.*, j.id FROM wanted AS w CROSS JOIN LATERAL (SELECT id FROM jobs "
    "WHERE company = $1 AND key = w.key AND kind = w.kind AND NOT leased AND key <> '' "
    "OFFSET 0 FOR UPDATE) AS j), "
    "met AS (UPDATE jobs AS j SET payload = w.payload, priority = least(j.priority, w.priority), "
    "due_us = CASE WHEN j.attempts = 0 THEN least(j.due_us, w.due_us) ELSE j.due_us END "
    "FROM waiting AS w WHERE j.company = $1 AND j.id = ANY(ARRAY(SELECT id FROM waiting)) "
    "AND j.id = w.id "
    "RETURNING w.place) "
    "INSERT INTO jobs(company, partition, id, kind, key, priority, due_us, leased, attempts, "
    "expiries, fence, enqueued_us, payload) "
    "SELECT $1, $2, nextval('job_ids'), w.kind, w.key, w.priority, w.due_us, false, 0, 0, 0, $3, "
    "w.payload FROM wanted AS w WHERE w.place NOT IN (SELECT place FROM met) ORDER BY w.place";

}  // namespace

postgres::Migration postgres_queue_schema_1() {
  postgres::Migration migration;
  auto& statements = migration.statements;
  statements = {"CREATE TABLE partitions(partition bigint PRIMARY KEY)",
                "CREATE TABLE job_kinds(name text COLLATE \"C\" PRIMARY KEY)",
                "CREATE SEQUENCE job_ids"};
  postgres::add(migration, {.name = "jobs",
                            .columns = "id bigint NOT NULL, kind text COLLATE \"C\" NOT NULL, "
                                       "key bytea NOT NULL, priority bigint NOT NULL, "
                                       "due_us bigint NOT NULL, leased boolean NOT NULL, "
                                       "attempts bigint NOT NULL, expiries bigint NOT NULL, "
                                       "fence bigint NOT NULL, enqueued_us bigint NOT NULL, "
                                       "payload bytea NOT NULL, node text COLLATE \"C\" NOT NULL "
                                       "DEFAULT ''",
                            .key = "id",
                            .across = Across::readers});
  postgres::add(migration, {.name = "dead_letters",
                            .columns = "id bigint NOT NULL, kind text COLLATE \"C\" NOT NULL, "
                                       "key bytea NOT NULL, priority bigint NOT NULL, "
                                       "attempts bigint NOT NULL, fence bigint NOT NULL, "
                                       "enqueued_us bigint NOT NULL, given_up_us bigint NOT NULL, "
                                       "cause bytea NOT NULL, payload bytea NOT NULL",
                            .key = "id",
                            .across = Across::readers});
  postgres::add(migration, {.name = "job_counts", .columns = "held bigint NOT NULL", .key = ""});
  for (const auto* statement :
       {"CREATE INDEX jobs_by_due ON jobs(company, kind, priority, due_us, leased, id)",
        "CREATE UNIQUE INDEX jobs_by_key ON jobs(company, key, kind) WHERE NOT leased AND key <> "
        "''",
        "CREATE INDEX jobs_by_partition ON jobs(partition, company, kind, due_us, leased)",
        "CREATE INDEX dead_letters_by_key ON dead_letters(company, key) WHERE key <> ''",
        "CREATE INDEX dead_letters_by_partition ON dead_letters(partition, kind)",
        // Each job is written some three times and then deleted.
        "ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80)"}) {
    statements.emplace_back(statement);
  }
  return migration;
}

Result<> lock_partition(postgres::Transaction& transaction, Partition partition) {
  return transaction.later("SELECT 1 FROM partitions WHERE partition = $1 FOR UPDATE", partition);
}

PostgresQueueTransaction::PostgresQueueTransaction(PostgresQueue& queue, Partition partition,
                                                   postgres::Transaction& transaction)
    : queue_(queue), partition_(partition), transaction_(transaction) {}

Result<> PostgresQueueTransaction::enqueue(const NewJob& job) {
  if (job.kind.empty()) return fail(ErrorCode::invalid_argument, "a job needs a kind");
  SAMTALE_CHECK(partition_of(job.company, queue_.partitions_) == partition_,
                "a job is enqueued in the partition of its company");
  auto& waiting = new_jobs_[job.company];
  const auto due_us = queue_.now_us() + job.delay / std::chrono::microseconds(1);
  wakes_.push_back({job.company, job.kind, due_us});
  if (!job.key.empty()) {
    const auto [at, is_first] =
        waiting.by_key.try_emplace({job.kind, job.key}, waiting.jobs.size());
    if (!is_first) {
      auto& same = waiting.jobs[at->second];
      same.payload = job.payload;
      same.priority = std::min(same.priority, job.priority);
      same.due_us = std::min(same.due_us, due_us);
      return {};
    }
  }
  waiting.jobs.push_back({.kind = job.kind,
                          .key = job.key,
                          .payload = job.payload,
                          .priority = job.priority,
                          .due_us = due_us});
  return {};
}

Result<> PostgresQueueTransaction::insert_new_jobs() {
  for (const auto& [company, waiting] : std::exchange(new_jobs_, {})) {
    auto kinds = Column::texts();
    auto keys = Column::blobs();
    auto priorities = Column::numbers();
    auto dues_us = Column::numbers();
    auto payloads = Column::blobs();
    for (const auto& job : waiting.jobs) {
      SAMTALE_TRY_VOID(note_kind(job.kind));
      kinds.add(job.kind);
      keys.add(Bytes{job.key});
      priorities.add(job.priority);
      dues_us.add(job.due_us);
      payloads.add(Bytes{job.payload});
    }
    SAMTALE_TRY_VOID(transaction_.act_for(company));
    SAMTALE_TRY_VOID(transaction_.ahead("SELECT held FROM job_counts WHERE company = $1", company));
    SAMTALE_TRY(const auto answers,
                transaction_.query_with(1, kEnqueue, company, partition_, queue_.now_us(), kinds,
                                        keys, priorities, dues_us, payloads));
    const auto inserted = answers[1].affected();
    auto& change = held_[company];
    const auto held = (answers[0].empty() ? 0 : answers[0].integer(0, 0)) + change;
    const auto most = queue_.options_.jobs_per_company_max;
    if (inserted > 0 && held + inserted > most) {
      return fail(ErrorCode::resource_exhausted,
                  "company " + std::to_string(number(company)) + " has " + std::to_string(held) +
                      " jobs waiting or given up, and jobs_per_company_max is " +
                      std::to_string(most) +
                      "; let the workers catch up, or settle its dead letters");
    }
    change += inserted;
  }
  return {};
}

Result<> PostgresQueueTransaction::note_kind(const std::string& kind) {
  if (new_kinds_.contains(kind)) return {};
  {
    const std::lock_guard lock(queue_.schedule_mutex_);
    if (queue_.kinds_.contains(kind)) return {};
  }
  new_kinds_.insert(kind);
  return transaction_.later("INSERT INTO job_kinds(name) VALUES($1) ON CONFLICT DO NOTHING", kind);
}

Result<bool> PostgresQueueTransaction::is_waiting(CompanyId company, std::string_view kind,
                                                  std::string_view key) {
  if (key.empty()) return false;
  SAMTALE_TRY_VOID(transaction_.act_for(company));
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT 1 FROM jobs WHERE company = $1 AND key = $2 AND kind = $3 "
                                 "AND NOT leased AND key <> ''",
                                 company, Bytes{key}, kind));
  return !rows.empty();
}

Result<const Job*> PostgresQueueTransaction::finish_ours(std::span<const Job> jobs) {
  std::map<CompanyId, std::vector<const Job*>> by_company;
  for (const auto& job : jobs) by_company[job.company].push_back(&job);
  const Job* lost = nullptr;
  for (const auto& [company, theirs] : by_company) {
    auto ids = Column::numbers();
    auto fences = Column::numbers();
    for (const auto* job : theirs) {
      ids.add(job->id);
      fences.add(job->fence);
    }
    SAMTALE_TRY_VOID(transaction_.act_for(company));
    // As an integer, for by the boolean PostgreSQL may walk all of the company in jobs_by_due.
    SAMTALE_TRY(
        const auto done,
        transaction_.query("DELETE FROM jobs USING unnest($2, $3) AS done(id, fence) "
                           "WHERE jobs.company = $1 AND jobs.id = ANY($2) AND jobs.id = done.id "
                           "AND jobs.fence = done.fence AND jobs.leased::int = 1 "
                           "RETURNING jobs.id",
                           company, ids, fences));
    held_[company] -= done.affected();
    std::set<std::int64_t> found;
    for (std::size_t i = 0; i < done.size(); ++i) found.insert(done.integer(i, 0));
    for (const auto* job : theirs) {
      if (!found.contains(number(job->id))) lost = job;
    }
  }
  return lost;
}

Result<> PostgresQueueTransaction::finish(std::span<const Job> jobs) {
  SAMTALE_TRY(const auto* lost, finish_ours(jobs));
  if (lost == nullptr) return {};
  return fail(ErrorCode::conflict, "job " + std::to_string(number(lost->id)) +
                                       ": its lease ended and the job went to another worker");
}

// With the fence it has, or had before it was leased just now.
Result<bool> PostgresQueueTransaction::bury(const Job& job, std::string_view cause) {
  SAMTALE_TRY_VOID(transaction_.act_for(job.company));
  SAMTALE_TRY(const auto buried,
              transaction_.run(
                  "WITH dead AS (DELETE FROM jobs WHERE company = $1 AND id = $2 AND fence = $3 "
                  "AND leased RETURNING *) INSERT INTO dead_letters(company, partition, id, kind, "
                  "key, priority, attempts, fence, enqueued_us, given_up_us, cause, payload) "
                  "SELECT company, partition, id, kind, key, priority, attempts, fence, "
                  "enqueued_us, $4, $5, payload FROM dead",
                  job.company, job.id, job.fence, queue_.now_us(), Bytes{cause}));
  return buried != 0;
}

Result<> PostgresQueueTransaction::add_dead_letter(const NewJob& job, std::string_view cause) {
  if (job.kind.empty()) return fail(ErrorCode::invalid_argument, "a job needs a kind");
  SAMTALE_TRY_VOID(note_kind(job.kind));
  SAMTALE_TRY_VOID(transaction_.act_for(job.company));
  ++held_[job.company];
  return transaction_.later(
      "INSERT INTO dead_letters(company, partition, id, kind, key, priority, attempts, fence, "
      "enqueued_us, given_up_us, cause, payload) "
      "VALUES($1, $2, nextval('job_ids'), $3, $4, $5, 0, 0, $6, $6, $7, $8)",
      job.company, partition_, job.kind, Bytes{job.key}, job.priority, queue_.now_us(),
      Bytes{cause}, Bytes{job.payload});
}

Result<bool> PostgresQueueTransaction::has_dead_letter(CompanyId company, std::string_view kind,
                                                       std::string_view key) {
  SAMTALE_TRY_VOID(transaction_.act_for(company));
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT 1 FROM dead_letters WHERE company = $1 AND key = $2 AND "
                                 "kind = $3 AND key <> ''",
                                 company, Bytes{key}, kind));
  return !rows.empty();
}

Result<> PostgresQueueTransaction::erase_key(CompanyId company, std::string_view key) {
  SAMTALE_TRY_VOID(insert_new_jobs());
  SAMTALE_TRY_VOID(transaction_.act_for(company));
  SAMTALE_TRY_VOID(transaction_.ahead(
      "DELETE FROM jobs WHERE company = $1 AND key = $2 AND NOT leased AND key <> ''", company,
      Bytes{key}));
  SAMTALE_TRY(const auto answers,
              transaction_.query_with(
                  1, "DELETE FROM dead_letters WHERE company = $1 AND key = $2 AND key <> ''",
                  company, Bytes{key}));
  held_[company] -= answers[0].affected() + answers[1].affected();
  return {};
}

// In the order of the companies, so that two transactions never wait for each other.
Result<> PostgresQueueTransaction::flush() {
  SAMTALE_TRY_VOID(insert_new_jobs());
  for (const auto& [company, change] : held_) {
    if (change == 0) continue;
    SAMTALE_TRY_VOID(transaction_.act_for(company));
    SAMTALE_TRY_VOID(
        transaction_.later("INSERT INTO job_counts(company, held) VALUES($1, $2) "
                           "ON CONFLICT (company) DO UPDATE SET held = job_counts.held + $2",
                           company, change));
  }
  return {};
}

void PostgresQueueTransaction::committed() {
  const std::lock_guard lock(queue_.schedule_mutex_);
  queue_.kinds_.merge(new_kinds_);
  for (const auto& wake : wakes_) queue_.schedule_.wake(wake.kind, wake.company, wake.due_us);
}

}  // namespace samtale

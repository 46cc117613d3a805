#include "base/check.h"
#include "queue/sqlite_queue.h"

namespace samtale {

using sqlite::Blob;

const sqlite::Migration kQueueSchema1 = R"sql(
CREATE TABLE job_kinds(name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE jobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  company INTEGER NOT NULL,
  kind TEXT NOT NULL,
  key BLOB NOT NULL,
  priority INTEGER NOT NULL,
  due_us INTEGER NOT NULL,
  leased INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  expiries INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  enqueued_us INTEGER NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX jobs_by_due ON jobs(company, kind, priority, due_us, leased);
CREATE UNIQUE INDEX jobs_by_key ON jobs(company, key, kind) WHERE leased = 0 AND key <> x'';

CREATE TABLE dead_letters(
  id INTEGER PRIMARY KEY,
  company INTEGER NOT NULL,
  kind TEXT NOT NULL,
  key BLOB NOT NULL,
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  enqueued_us INTEGER NOT NULL,
  given_up_us INTEGER NOT NULL,
  cause TEXT NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX dead_letters_by_company ON dead_letters(company, id);
CREATE INDEX dead_letters_by_key ON dead_letters(company, key) WHERE key <> x'';
)sql";

QueueTransaction::QueueTransaction(SqliteQueue& queue, Partition partition,
                                   sqlite::Transaction& transaction)
    : queue_(queue), partition_(partition), connection_(transaction.connection()) {}

Result<> QueueTransaction::enqueue(const NewJob& job) {
  const auto now_us = queue_.now_us();
  SAMTALE_TRY(const bool replaced, replace_waiting(job, now_us));
  if (replaced) return {};
  SAMTALE_TRY_VOID(check_room(job.company));
  return insert(job, now_us);
}

Result<> QueueTransaction::check_room(CompanyId company) {
  const auto most = queue_.options_.jobs_per_company_max;
  const auto pending = held_.find(company);
  std::int64_t held = pending == held_.end() ? 0 : pending->second;
  {
    const std::lock_guard lock(queue_.schedule_mutex_);
    const auto found = queue_.held_.find(number(company));
    if (found != queue_.held_.end()) held += found->second;
  }
  if (held < most) return {};
  return fail(ErrorCode::resource_exhausted,
              "company " + std::to_string(number(company)) + " has " + std::to_string(held) +
                  " jobs waiting or given up, and jobs_per_company_max is " + std::to_string(most) +
                  "; let the workers catch up, or settle its dead letters");
}

Result<> QueueTransaction::note_kind(const std::string& kind) {
  if (kind.empty()) return fail(ErrorCode::invalid_argument, "a job needs a kind");
  if (new_kinds_.contains(kind)) return {};
  {
    const std::lock_guard lock(queue_.schedule_mutex_);
    if (queue_.kinds_.contains(kind)) return {};
  }
  SAMTALE_TRY_VOID(connection_.run("INSERT OR IGNORE INTO job_kinds(name) VALUES(?1)", kind));
  new_kinds_.insert(kind);
  return {};
}

Result<> QueueTransaction::insert(const NewJob& job, std::int64_t now_us) {
  SAMTALE_CHECK(partition_of(job.company, queue_.partitions_.size()) == partition_,
                "a job is enqueued in the partition of its company");
  SAMTALE_TRY_VOID(note_kind(job.kind));
  const auto due_us = now_us + job.delay / std::chrono::microseconds(1);
  SAMTALE_TRY_VOID(connection_.run(
      "INSERT INTO jobs(company, kind, key, priority, due_us, leased, attempts, expiries, fence, "
      "enqueued_us, payload) VALUES(?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, ?6, ?7)",
      job.company, job.kind, Blob{job.key}, job.priority, due_us, now_us, Blob{job.payload}));
  ++held_[job.company];
  wakes_.push_back({job.company, job.kind, due_us});
  return {};
}

// The work waits already: it is done with the newer payload, no later and no less urgently than
// either asked for. A job that has failed keeps its pause, or new events would hammer what is down.
Result<bool> QueueTransaction::replace_waiting(const NewJob& job, std::int64_t now_us) {
  if (job.key.empty()) return false;
  const auto due_us = now_us + job.delay / std::chrono::microseconds(1);
  SAMTALE_TRY_VOID(connection_.run(
      "UPDATE jobs INDEXED BY jobs_by_key SET payload = ?4, priority = min(priority, ?5), "
      "due_us = iif(attempts = 0, min(due_us, ?6), due_us) "
      "WHERE company = ?1 AND key = ?2 AND kind = ?3 AND leased = 0 AND key <> x''",
      job.company, Blob{job.key}, job.kind, Blob{job.payload}, job.priority, due_us));
  if (connection_.changes() == 0) return false;
  wakes_.push_back({job.company, job.kind, due_us});
  return true;
}

Result<bool> QueueTransaction::is_waiting(CompanyId company, std::string_view kind,
                                          std::string_view key) {
  if (key.empty()) return false;
  SAMTALE_TRY(const auto found,
              connection_.integer("SELECT 1 FROM jobs INDEXED BY jobs_by_key WHERE company = ?1 "
                                  "AND key = ?2 AND kind = ?3 AND leased = 0 AND key <> x''",
                                  company, Blob{key}, kind));
  return found.has_value();
}

Result<bool> QueueTransaction::finish_one(const Job& job) {
  SAMTALE_TRY_VOID(connection_.run(
      "DELETE FROM jobs WHERE id = ?1 AND company = ?2 AND fence = ?3 AND leased = 1", job.id,
      job.company, job.fence));
  if (connection_.changes() == 0) return false;
  --held_[job.company];
  return true;
}

Result<> QueueTransaction::finish(std::span<const Job> jobs) {
  for (const auto& job : jobs) {
    SAMTALE_TRY(const bool ours, finish_one(job));
    if (!ours) {
      return fail(ErrorCode::conflict, "job " + std::to_string(number(job.id)) +
                                           ": its lease ended and the job went to another worker");
    }
  }
  return {};
}

Result<> QueueTransaction::bury(JobId id, std::string_view cause) {
  SAMTALE_TRY_VOID(connection_.run(
      "INSERT INTO dead_letters(id, company, kind, key, priority, attempts, fence, enqueued_us, "
      "given_up_us, cause, payload) SELECT id, company, kind, key, priority, attempts, fence, "
      "enqueued_us, ?2, ?3, payload FROM jobs WHERE id = ?1",
      id, queue_.now_us(), cause));
  return connection_.run("DELETE FROM jobs WHERE id = ?1", id);
}

Result<> QueueTransaction::add_dead_letter(const NewJob& job, std::string_view cause) {
  // Through the jobs for its id, without its key: it must not take the place of waiting work.
  NewJob unkeyed = job;
  unkeyed.key.clear();
  SAMTALE_TRY_VOID(insert(unkeyed, queue_.now_us()));
  wakes_.pop_back();
  const auto id = static_cast<JobId>(connection_.last_insert_id());
  SAMTALE_TRY_VOID(bury(id, cause));
  return connection_.run("UPDATE dead_letters SET key = ?2 WHERE id = ?1", id, Blob{job.key});
}

Result<bool> QueueTransaction::has_dead_letter(CompanyId company, std::string_view kind,
                                               std::string_view key) {
  SAMTALE_TRY(const auto found,
              connection_.integer("SELECT 1 FROM dead_letters INDEXED BY dead_letters_by_key WHERE "
                                  "company = ?1 AND key = ?2 AND kind = ?3 AND key <> x''",
                                  company, Blob{key}, kind));
  return found.has_value();
}

Result<> QueueTransaction::erase_key(CompanyId company, std::string_view key) {
  SAMTALE_TRY_VOID(
      connection_.run("DELETE FROM jobs INDEXED BY jobs_by_key "
                      "WHERE company = ?1 AND key = ?2 AND leased = 0 AND key <> x''",
                      company, Blob{key}));
  held_[company] -= connection_.changes();
  SAMTALE_TRY_VOID(
      connection_.run("DELETE FROM dead_letters INDEXED BY dead_letters_by_key "
                      "WHERE company = ?1 AND key = ?2 AND key <> x''",
                      company, Blob{key}));
  held_[company] -= connection_.changes();
  return {};
}

void QueueTransaction::committed() {
  const std::lock_guard lock(queue_.schedule_mutex_);
  queue_.kinds_.merge(new_kinds_);
  for (const auto& [company, change] : held_) {
    auto& held = queue_.held_[number(company)];
    held += change;
    if (held == 0) queue_.held_.erase(number(company));
  }
  for (const auto& wake : wakes_) queue_.schedule_.wake(wake.kind, wake.company, wake.due_us);
}

}  // namespace samtale

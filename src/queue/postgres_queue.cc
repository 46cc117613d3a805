#include "queue/postgres_queue.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/check.h"

namespace samtale {
namespace {

using postgres::Bytes;
using postgres::Column;
using postgres::Durability;
using postgres::Rows;
using postgres::Transaction;

// From this many expiries on a job is handed out alone.
constexpr int kSuspectExpiries = 2;
// A batch is of so many companies at least, where so many have jobs.
constexpr std::size_t kCompaniesMin = 4;
constexpr std::int64_t kRestUs = 1'000'000;
// How long a company is passed over whose due jobs another transaction holds.
constexpr std::int64_t kLockedRestUs = 10'000;

// One statement a priority, each along the index. The row's lock is the lease's, until the commit:
// a job that another process is taking is passed over.
constexpr auto kDueJobs =
    "SELECT id, due_us, leased AND node <> $6, expiries, attempts, fence, enqueued_us, key, "
    "payload FROM jobs "
    "WHERE company = $1 AND kind = $2 AND priority = $3 AND due_us <= $4 "
    "ORDER BY due_us, leased, id LIMIT $5 FOR UPDATE SKIP LOCKED";

constexpr auto kFirstDue =
    "SELECT least((SELECT due_us FROM jobs WHERE company = $1 AND kind = $2 AND priority = 0 "
    "ORDER BY due_us LIMIT 1), (SELECT due_us FROM jobs WHERE company = $1 AND kind = $2 "
    "AND priority = 1 ORDER BY due_us LIMIT 1), (SELECT due_us FROM jobs WHERE company = $1 "
    "AND kind = $2 AND priority = 2 ORDER BY due_us LIMIT 1))";

// Each company and kind with its first due time, one step along the index for each, however many
// jobs they have.
constexpr auto kLanes =
    "WITH RECURSIVE lanes AS ("
    "(SELECT company, kind, due_us FROM jobs WHERE partition = $1 "
    "ORDER BY company, kind, due_us LIMIT 1) "
    "UNION ALL SELECT later.company, later.kind, later.due_us FROM lanes CROSS JOIN LATERAL "
    "(SELECT company, kind, due_us FROM jobs WHERE partition = $1 "
    "AND (company, kind) > (lanes.company, lanes.kind) "
    "ORDER BY company, kind, due_us LIMIT 1) AS later) "
    "SELECT company, kind, due_us FROM lanes";

constexpr std::array kPriorities = {0, 1, 2};

std::int64_t us(Duration length) { return length / std::chrono::microseconds(1); }

std::unexpected<Error> lease_lost(const Job& job) {
  return fail(ErrorCode::conflict, "job " + std::to_string(number(job.id)) +
                                       ": its lease ended and the job went to another worker");
}

// The due jobs of one company, kind and priority, oldest first.
struct Line {
  const Rows& rows;
  int priority;
  std::size_t place = 0;

  [[nodiscard]] bool has_row() const { return place < rows.size(); }
  [[nodiscard]] postgres::Row row() const { return {rows, place}; }
  // Smaller goes first: the aged priority, then the older.
  [[nodiscard]] auto rank(std::int64_t now_us) const {
    return std::tuple(urgency(now_us), row().integer(1), row().integer(0));
  }
  [[nodiscard]] Priority urgency(std::int64_t now_us) const {
    const Duration waited = std::chrono::microseconds(now_us - row().integer(1));
    return static_cast<Priority>(aged_priority(static_cast<Priority>(priority), waited));
  }
};

}  // namespace

PostgresQueue::PostgresQueue(postgres::Database& database, std::size_t partitions,
                             const Clock& clock, const PostgresQueueOptions& options)
    : database_(database),
      partitions_(partitions),
      clock_(clock),
      options_(options),
      schedule_(partitions),
      news_(partitions) {}

Result<std::unique_ptr<PostgresQueue>> PostgresQueue::open(postgres::Database& database,
                                                           std::size_t partitions,
                                                           const Clock& clock,
                                                           const PostgresQueueOptions& options) {
  std::unique_ptr<PostgresQueue> queue(new PostgresQueue(database, partitions, clock, options));
  queue->refreshed_at_ = clock.now();
  SAMTALE_TRY_VOID(queue->refresh());
  return queue;
}

// Of this node before it was started again.
Result<> PostgresQueue::end_leases() {
  if (options_.node.empty()) return {};
  return end_leases_of([this](std::string_view node) { return node == options_.node; });
}

// An expiry the richer, as a lease that ran out.
Result<> PostgresQueue::end_leases_of(const std::function<bool(std::string_view)>& is_gone) {
  const auto now = now_us();
  for (std::size_t i = 0; i < partitions_; ++i) {
    const auto partition = static_cast<std::int64_t>(i);
    SAMTALE_TRY(const auto leased,
                database_.read({.partition = partition},
                               "SELECT company, id, node FROM jobs WHERE partition = $1 AND leased "
                               "AND node <> '' AND node <> $2 ORDER BY company, id",
                               partition, kBrokerNode));
    SAMTALE_TRY_VOID(in_transaction(
        database_, {}, Durability::process, [&](Transaction& transaction) -> Result<> {
          for (std::size_t k = 0; k < leased.size(); ++k) {
            if (!is_gone(leased.bytes(k, 2))) continue;
            SAMTALE_TRY_VOID(transaction.act_for(static_cast<CompanyId>(leased.integer(k, 0))));
            SAMTALE_TRY_VOID(transaction.later(
                "UPDATE jobs SET due_us = least(due_us, $3) WHERE company = $1 AND id = $2 AND "
                "leased AND node = $4",
                leased.integer(k, 0), leased.integer(k, 1), now, leased.bytes(k, 2)));
          }
          return {};
        }));
  }
  return refresh();
}

Result<> PostgresQueue::refresh() {
  for (std::size_t i = 0; i < partitions_; ++i) {
    SAMTALE_TRY_VOID(refresh(static_cast<Partition>(i)));
  }
  return {};
}

Result<> PostgresQueue::refresh(Partition partition) {
  const auto number = static_cast<std::int64_t>(partition);
  SAMTALE_TRY(const auto lanes, database_.read({.partition = number}, kLanes, number));
  const std::lock_guard lock(schedule_mutex_);
  for (std::size_t k = 0; k < lanes.size(); ++k) {
    schedule_.wake(lanes.bytes(k, 1), static_cast<CompanyId>(lanes.integer(k, 0)),
                   lanes.integer(k, 2));
  }
  return {};
}

void PostgresQueue::look_again(Partition partition) {
  const std::lock_guard lock(schedule_mutex_);
  news_[static_cast<std::size_t>(partition)].is_there = true;
}

std::optional<Partition> PostgresQueue::take_news() {
  const auto now = clock_.now();
  const std::lock_guard lock(schedule_mutex_);
  const auto found = std::ranges::find_if(
      news_, [&](const News& news) { return news.is_there && news.not_before <= now; });
  if (found == news_.end()) return std::nullopt;
  found->is_there = false;
  found->not_before = Instant::max();  // Until whoever asks has the answer.
  return static_cast<Partition>(found - news_.begin());
}

Result<> PostgresQueue::refresh_where_told() {
  constexpr int kRest = 4;  // For so many times as long.
  Result<> done;
  while (done) {
    const auto partition = take_news();
    if (!partition) break;
    const auto begin = clock_.now();
    done = refresh(*partition);
    const auto end = clock_.now();
    const std::lock_guard lock(schedule_mutex_);
    news_[static_cast<std::size_t>(*partition)].not_before = end + (end - begin) * kRest;
  }
  return done;
}

bool PostgresQueue::is_time_to_refresh() {
  const auto now = clock_.now();
  const std::lock_guard lock(schedule_mutex_);
  if (now - *refreshed_at_ < options_.refresh_every) return false;
  refreshed_at_ = now;
  return true;
}

Result<std::vector<Job>> PostgresQueue::take(std::string_view kind, std::size_t limit,
                                             Duration lease) {
  SAMTALE_TRY(auto taken, take_batch(kind, limit, {.lease = lease}));
  return std::move(taken.jobs);
}

Result<PostgresQueue::Taken> PostgresQueue::take_batch(std::string_view kind, std::size_t limit,
                                                       const Terms& terms) {
  SAMTALE_TRY_VOID(pay());
  if (is_time_to_refresh()) SAMTALE_TRY_VOID(refresh());
  SAMTALE_TRY_VOID(refresh_where_told());
  // A partition whose companies turn out to have nothing due is passed over; each then sleeps, so
  // this ends.
  while (true) {
    const auto now = now_us();
    std::optional<Partition> next;
    {
      const std::lock_guard lock(schedule_mutex_);
      next = schedule_.next_partition(kind, now);
    }
    if (!next || limit == 0) return Taken();
    auto taken = take_from(*next, kind, limit, terms);
    if (!taken) {
      const std::lock_guard lock(schedule_mutex_);
      schedule_.rest(kind, *next, now + kRestUs);
      return taken;
    }
    if (!taken->jobs.empty()) return taken;
  }
}

Result<PostgresQueue::Taken> PostgresQueue::take_from(Partition partition, std::string_view kind,
                                                      std::size_t limit, const Terms& terms) {
  SAMTALE_TRY(auto transaction, database_.begin({}, Durability::process));
  PostgresQueueTransaction changes(*this, partition, transaction);
  const auto now = now_us();
  Taken taken{.kind = kind,
              .partition = partition,
              .now_us = now,
              .until_us = now + us(terms.lease),
              .lent_until_us = now + us(terms.lent_for),
              .lends = terms.lends};
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
    // An even part of what is left, but so large that it is worth its statements: who is left out
    // is next.
    constexpr std::size_t one = 1;
    const auto left = limit - taken.jobs.size();
    const auto part = std::max({left / (others + 1), std::min(left, limit / kCompaniesMin), one});
    const auto before = taken.jobs.size();
    auto due_us = take_of(changes, *company, part, taken);
    if (!due_us) done = std::unexpected(due_us.error());
    const std::lock_guard lock(schedule_mutex_);
    schedule_.put_back(kind, *company, taken.jobs.size() - before, due_us.value_or(now), now);
  }
  if (done) done = transaction.commit();
  if (!done) {
    // What is lent is due again soon enough.
    if (transaction.outcome_is_unknown() && !taken.lends) owe(taken.jobs);
    const std::lock_guard lock(schedule_mutex_);
    for (const auto company : asked) schedule_.wake(kind, company, now);
    return std::unexpected(std::move(done).error());
  }
  for (const auto company : taken.failed) count_failure(kind, company);
  return taken;
}

// Takes up to `limit` due jobs of the company. Returns when its next is due.
Result<std::optional<std::int64_t>> PostgresQueue::take_of(PostgresQueueTransaction& changes,
                                                           CompanyId company, std::size_t limit,
                                                           Taken& taken) {
  auto& transaction = changes.transaction_;
  SAMTALE_TRY(auto candidates, due_jobs(transaction, company, limit, taken));
  const bool has_seen_all = candidates.size() < limit && !taken.closed;
  SAMTALE_TRY_VOID(lease_or_bury(changes, candidates, taken));
  if (!has_seen_all) return taken.now_us;  // There may be more: the next call sees.
  SAMTALE_TRY(const auto first, transaction.query(kFirstDue, company, taken.kind));
  if (first.is_null(0, 0)) return std::optional<std::int64_t>();
  // What is still due is locked by somebody: not asked for again at once, in a circle.
  return std::max(first.integer(0, 0), taken.now_us + kLockedRestUs);
}

Result<std::vector<PostgresQueue::Candidate>> PostgresQueue::due_jobs(Transaction& transaction,
                                                                      CompanyId company,
                                                                      std::size_t limit,
                                                                      Taken& taken) const {
  SAMTALE_TRY_VOID(transaction.act_for(company));
  for (const int priority : {0, 1}) {
    SAMTALE_TRY_VOID(transaction.ahead(kDueJobs, company, taken.kind, priority, taken.now_us, limit,
                                       kBrokerNode));
  }
  SAMTALE_TRY(const auto found, transaction.query_with(2, kDueJobs, company, taken.kind, 2,
                                                       taken.now_us, limit, kBrokerNode));
  std::vector<Line> lines;
  for (const int priority : kPriorities) {
    lines.push_back({found[static_cast<std::size_t>(priority)], priority});
  }
  std::vector<Candidate> candidates;
  while (candidates.size() < limit && !taken.closed) {
    Line* first = nullptr;
    for (auto& line : lines) {
      if (!line.has_row()) continue;
      if (first == nullptr || line.rank(taken.now_us) < first->rank(taken.now_us)) first = &line;
    }
    if (first == nullptr) break;
    const auto row = first->row();
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
                          .expiries = expiries,
                          .urgency = first->urgency(taken.now_us)});
    if (was_leased) taken.failed.push_back(company);
    ++first->place;
  }
  return candidates;
}

// All of one company.
Result<> PostgresQueue::lease_or_bury(PostgresQueueTransaction& changes,
                                      std::span<Candidate> candidates, Taken& taken) {
  auto ids = Column::numbers();
  auto dues_us = Column::numbers();
  auto attempts = Column::numbers();
  auto expiries = Column::numbers();
  auto fences = Column::numbers();
  auto nodes = Column::texts();
  const auto before = taken.jobs.size();
  for (auto& candidate : candidates) {
    auto& job = candidate.job;
    if (candidate.expiries >= options_.expiries_max) {
      taken.closed = false;
      auto as_it_was = job;
      --as_it_was.fence;
      SAMTALE_TRY(const bool buried,
                  changes.bury(as_it_was, "worker died or timed out " +
                                              std::to_string(candidate.expiries) + " times"));
      SAMTALE_CHECK(buried, "the row has been locked since it was read");
      continue;
    }
    const bool is_lent = taken.lends && candidate.expiries < kSuspectExpiries;
    ids.add(job.id);
    dues_us.add(is_lent ? taken.lent_until_us : taken.until_us);
    attempts.add(is_lent ? job.attempt - 1 : job.attempt);
    expiries.add(candidate.expiries);
    fences.add(job.fence);
    nodes.add(is_lent ? std::string_view(kBrokerNode) : std::string_view(options_.node));
    if (is_lent) {
      taken.lent.push_back({job.company, job.id, job.fence, candidate.urgency});
    }
    taken.jobs.push_back(std::move(job));
  }
  if (taken.jobs.size() == before) return {};
  return changes.transaction_.later(
      "UPDATE jobs SET leased = true, due_us = t.due_us, attempts = t.attempts, "
      "expiries = t.expiries, fence = t.fence, node = t.node "
      "FROM unnest($2, $3, $4, $5, $6, $7) AS t(id, due_us, attempts, expiries, fence, node) "
      "WHERE jobs.company = $1 AND jobs.id = ANY($2) AND jobs.id = t.id",
      taken.jobs.back().company, ids, dues_us, attempts, expiries, fences, nodes);
}

void PostgresQueue::count_failure(std::string_view kind, CompanyId company) {
  const std::lock_guard lock(schedule_mutex_);
  ++failures_[{std::string(kind), company}];
}

// Each job that is still ours is settled, also when another one's lease was lost.
Result<> PostgresQueue::finish(std::span<const Job> jobs) {
  if (jobs.empty()) return {};
  const Job* lost = nullptr;
  auto done =
      in_transaction(database_, {}, Durability::process, [&](Transaction& transaction) -> Result<> {
        PostgresQueueTransaction changes(*this, jobs.front().partition, transaction);
        SAMTALE_TRY(lost, changes.finish_ours(jobs));
        return changes.flush();
      });
  if (!done) {
    owe(jobs);
    return done;
  }
  if (lost != nullptr) return lease_lost(*lost);
  return {};
}

Result<> PostgresQueue::extend(const Job& job, Duration lease) {
  SAMTALE_TRY(const auto rows,
              database_.note({.company = job.company},
                             "UPDATE jobs SET due_us = $4 WHERE company = $1 AND id = $2 AND "
                             "fence = $3 AND leased",
                             job.company, job.id, job.fence, now_us() + us(lease)));
  if (rows.affected() == 0) return lease_lost(job);
  return {};
}

Result<> PostgresQueue::change(CompanyId company, Durability durability,
                               const std::function<Result<>(PostgresQueueTransaction&)>& work) {
  const auto partition = partition_of(company);
  std::optional<PostgresQueueTransaction> changes;
  SAMTALE_TRY_VOID(in_transaction(database_, {.company = company}, durability,
                                  [&](Transaction& transaction) -> Result<> {
                                    changes.emplace(*this, partition, transaction);
                                    SAMTALE_TRY_VOID(lock_partition(transaction, partition));
                                    SAMTALE_TRY_VOID(work(*changes));
                                    return changes->flush();
                                  }));
  changes->committed();
  return {};
}

Result<> PostgresQueue::retry_after(const Job& job, Duration delay, std::string_view) {
  if (is_in_debt()) {  // It would wait for PostgreSQL as the others have.
    owe({&job, 1});
    return {};
  }
  return or_owe(job, put_back(job, delay));
}

bool PostgresQueue::is_in_debt() const {
  const std::lock_guard lock(schedule_mutex_);
  return !owed_.empty();
}

// A worker goes on with the rest of its batch, of which it must settle every job.
Result<> PostgresQueue::or_owe(const Job& job, Result<> settled) {
  if (settled || settled.error().code != ErrorCode::unavailable) return settled;
  owe({&job, 1});
  return {};
}

void PostgresQueue::owe(std::span<const Job> jobs) {
  const std::lock_guard lock(schedule_mutex_);
  owed_.insert(owed_.end(), jobs.begin(), jobs.end());
}

Result<> PostgresQueue::pay() {
  std::vector<Job> owed;
  {
    const std::lock_guard lock(schedule_mutex_);
    owed.swap(owed_);
  }
  while (!owed.empty()) {
    auto done = put_back(owed.back(), {});
    if (!done && done.error().code == ErrorCode::unavailable) {
      owe(owed);
      return done;
    }
    owed.pop_back();  // Also where it was settled after all: a conflict.
  }
  return {};
}

Result<> PostgresQueue::put_back(const Job& job, Duration delay) {
  SAMTALE_TRY_VOID(
      change(job.company, Durability::process, [&](PostgresQueueTransaction& changes) -> Result<> {
        SAMTALE_TRY(const bool is_superseded, changes.is_waiting(job.company, job.kind, job.key));
        if (is_superseded) return changes.finish({&job, 1});
        const auto due_us = now_us() + us(delay);
        SAMTALE_TRY(const auto put_back,
                    changes.transaction_.run("UPDATE jobs SET leased = false, due_us = $4, "
                                             "expiries = 0 WHERE company = $1 AND id = $2 AND "
                                             "fence = $3 AND leased",
                                             job.company, job.id, job.fence, due_us));
        if (put_back == 0) return lease_lost(job);
        changes.wakes_.push_back({job.company, job.kind, due_us});
        return {};
      }));
  count_failure(job.kind, job.company);
  return {};
}

Result<> PostgresQueue::give_up(const Job& job, std::string_view cause) {
  if (is_in_debt()) {
    owe({&job, 1});
    return {};
  }
  auto done = in_transaction(database_, {.company = job.company}, Durability::process,
                             [&](Transaction& transaction) -> Result<> {
                               PostgresQueueTransaction changes(*this, job.partition, transaction);
                               SAMTALE_TRY(const bool buried, changes.bury(job, cause));
                               if (!buried) return lease_lost(job);
                               return {};
                             });
  if (!done) return or_owe(job, std::move(done));
  count_failure(job.kind, job.company);
  return {};
}

void PostgresQueue::set_weight(CompanyId company, double weight) {
  const std::lock_guard lock(schedule_mutex_);
  schedule_.set_weight(company, weight);
}

void PostgresQueue::charge(std::string_view kind, CompanyId company, double jobs) {
  const std::lock_guard lock(schedule_mutex_);
  schedule_.charge(kind, company, jobs);
}

Result<> PostgresQueue::enqueue(const NewJob& job) {
  return change(job.company, Durability::power_loss,
                [&](PostgresQueueTransaction& changes) { return changes.enqueue(job); });
}

}  // namespace samtale

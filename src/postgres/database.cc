#include "postgres/database.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace samtale::postgres {
namespace {

// So that a transaction of many small statements keeps memory and the server's answers bounded.
constexpr std::size_t kQueuedMax = 500;
// Between two attempts at a lock that others keep: what has piled up meanwhile gets through.
constexpr Duration kPauseFirst = std::chrono::seconds(1);
constexpr Duration kPauseLongest = std::chrono::seconds(30);

}  // namespace

Transaction::~Transaction() {
  if (!lease_ || !is_open_ || !(*lease_)->is_usable()) return;
  // Nobody waits for what is queued: it is rolled back with the rest. A connection that does not
  // answer is dropped, which ends the transaction too.
  if ((*lease_)->queued() != 0 && !(*lease_)->sync(deadline()) && !(*lease_)->is_usable()) {
    return;
  }
  if ((*lease_)->send("ROLLBACK")) (void)(*lease_)->sync(deadline());
}

Result<> Transaction::act_for(CompanyId company) {
  if (acting_for_ == company) return {};
  acting_for_ = company;
  return later("SELECT set_config('samtale.company', $1, true)", std::to_string(number(company)));
}

Result<> Transaction::bound_queue() {
  if ((*lease_)->queued() < kQueuedMax) return {};
  SAMTALE_TRY_VOID((*lease_)->sync(deadline()));
  return {};
}

Result<Rows> Transaction::last_answer() {
  SAMTALE_TRY(auto answers, (*lease_)->sync(deadline()));
  return std::move(answers.back());
}

Result<std::vector<Rows>> Transaction::last_answers(std::size_t count) {
  SAMTALE_TRY(auto answers, (*lease_)->sync(deadline()));
  SAMTALE_CHECK(answers.size() >= count, "so many statements were put off");
  answers.erase(answers.begin(), answers.end() - static_cast<std::ptrdiff_t>(count));
  return answers;
}

Result<> Transaction::commit() {
  SAMTALE_TRY_VOID((*lease_)->send("COMMIT"));
  auto answers = (*lease_)->sync(deadline());
  if (!answers) {
    // A statement before it that failed leaves the connection usable, and nothing committed.
    outcome_is_unknown_ = !(*lease_)->is_usable();
    return std::unexpected(std::move(answers).error());
  }
  is_open_ = false;
  // What PostgreSQL says to the commit of a transaction that has failed.
  if (answers->back().command() != "COMMIT") {
    return fail(ErrorCode::unavailable, "the transaction was rolled back");
  }
  return {};
}

Result<Transaction> Database::begin(const Scope& scope, Durability durability, Duration timeout) {
  SAMTALE_TRY(auto lease, pool_.acquire());
  SAMTALE_TRY_VOID(lease->send("BEGIN ISOLATION LEVEL READ COMMITTED"));
  SAMTALE_TRY_VOID(send_settings(*lease, scope, durability, timeout));
  Transaction transaction(pool_, std::move(lease), timeout);
  transaction.acting_for_ = scope.company;
  return transaction;
}

// Local to the transaction, so that nothing is left for the next one of the session. Lists walk an
// index: PostgreSQL expects so few rows behind a policy that it would rather sort them all. Plans
// that are kept walk one too: it would rather read a table from end to end that was empty then.
// Each setting is some 10 us: one statement by itself (no durability) neither writes nor idles.
Result<> Database::send_settings(Connection& connection, const Scope& scope,
                                 std::optional<Durability> durability, Duration timeout) const {
  const auto timeout_ms = std::to_string(timeout / std::chrono::milliseconds(1));
  std::string sql =
      "SELECT set_config('search_path', $1, true), set_config('statement_timeout', $2, true), "
      "set_config('jit', 'off', true), set_config('enable_sort', 'off', true), "
      "set_config('samtale.company', $3, true), "
      "set_config('samtale.partition', $4, true), set_config('samtale.all_companies', $5, true)";
  if (connection.names_statements()) {
    sql +=
        ", set_config('plan_cache_mode', 'force_generic_plan', true), "
        "set_config('enable_seqscan', 'off', true)";
  }
  if (durability) {
    // A server that was set to lose commits must not lose ours; one that waits for others still
    // does.
    const std::string commits = *durability == Durability::process
                                    ? "'off'"
                                    : "CASE current_setting('synchronous_commit') WHEN 'off' "
                                      "THEN 'on' ELSE current_setting('synchronous_commit') END";
    sql +=
        ", set_config('idle_in_transaction_session_timeout', $2, true), "
        "set_config('synchronous_commit', " +
        commits + ", true)";
  }
  return connection.send(
      sql, options_.schema, timeout_ms, scope.company ? std::to_string(number(*scope.company)) : "",
      scope.partition ? std::to_string(*scope.partition) : "", scope.all_companies ? "on" : "");
}

Result<Rows> Database::run_alone(const Scope& scope, std::optional<Durability> durability,
                                 const std::string& sql, std::span<const Parameter> parameters) {
  SAMTALE_TRY(auto lease, pool_.acquire());
  SAMTALE_TRY_VOID(send_settings(*lease, scope, durability, options_.pool.statement_timeout));
  SAMTALE_TRY_VOID(lease->send_all(sql, parameters));
  SAMTALE_TRY(auto answers, lease->sync(pool_.deadline()));
  return std::move(answers.back());
}

Result<> Database::patiently(const Scope& scope, const std::function<void(int given_way)>& tell,
                             const std::function<Result<>(Transaction&)>& work) {
  const auto deadline = clock_.now() + options_.migration_timeout;
  auto pause = kPauseFirst;
  for (int given_way = 0;; ++given_way) {
    tell(given_way);
    {
      SAMTALE_TRY(auto transaction,
                  begin(scope, Durability::power_loss, options_.migration_timeout));
      auto done =
          transaction.later("SELECT set_config('lock_timeout', $1, true)",
                            std::to_string(options_.lock_timeout / std::chrono::milliseconds(1)));
      if (done) done = work(transaction);
      if (done) done = transaction.commit();
      if (done || !transaction.has_lost_race() || clock_.now() >= deadline) return done;
    }  // Ended before the pause, so that it holds no lock meanwhile.
    clock_.sleep_for(pause, {});
    pause = std::min(2 * pause, kPauseLongest);
  }
}

Result<> in_transaction(Database& database, const Scope& scope, Durability durability,
                        const std::function<Result<>(Transaction&)>& work, int attempts) {
  while (true) {
    SAMTALE_TRY(auto transaction, database.begin(scope, durability));
    auto done = work(transaction);
    if (done) done = transaction.commit();
    if (done || !transaction.has_lost_race() || --attempts <= 0) return done;
  }
}

}  // namespace samtale::postgres

// Database: one schema of a PostgreSQL database: transactions in the name of one company, and
// migrations.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "postgres/pool.h"

namespace samtale::postgres {

// What row-level security lets a transaction see: the rows of one company, or, to read them only,
// those of all companies of a partition (docs/formats/postgres-v1.md). Neither: none.
struct Scope {
  std::optional<CompanyId> company{};
  std::optional<std::int64_t> partition{};
  bool all_companies = false;  // Keys, endpoints and their like: read whole, by the registry only.
};

enum class Durability : std::uint8_t {
  power_loss,  // On the server's disk when the commit returns.
  process,     // A crash of the server may undo it; nothing half.
};

// One transaction. Rolled back where it ends without a commit.
// Threads: one.
// Errors:  those of Connection. After any of them nothing but the transaction's end helps.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept
      : pool_(other.pool_),
        lease_(std::exchange(other.lease_, std::nullopt)),
        timeout_(other.timeout_),
        acting_for_(other.acting_for_),
        is_open_(other.is_open_),
        outcome_is_unknown_(other.outcome_is_unknown_) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // Whose rows the statements from here on see and write.
  Result<> act_for(CompanyId company);

  // Runs with the next query(), run() or commit(), which has its error.
  template <class... Values>
  Result<> later(const std::string& sql, const Values&... values) {
    SAMTALE_TRY_VOID(bound_queue());
    return (*lease_)->send(sql, values...);
  }
  // The same, for one whose answer query_with() gives.
  template <class... Values>
  Result<> ahead(const std::string& sql, const Values&... values) {
    return (*lease_)->send(sql, values...);
  }
  template <class... Values>
  [[nodiscard]] Result<Rows> query(const std::string& sql, const Values&... values) {
    SAMTALE_TRY_VOID((*lease_)->send(sql, values...));
    return last_answer();
  }
  // How many rows it touched.
  template <class... Values>
  Result<std::int64_t> run(const std::string& sql, const Values&... values) {
    SAMTALE_TRY(const auto rows, query(sql, values...));
    return rows.affected();
  }
  // The answers of the `before` statements that went ahead of this one, and its own: several
  // questions in one round trip.
  template <class... Values>
  [[nodiscard]] Result<std::vector<Rows>> query_with(std::size_t before, const std::string& sql,
                                                     const Values&... values) {
    SAMTALE_TRY_VOID((*lease_)->send(sql, values...));
    return last_answers(before + 1);
  }

  // unavailable with outcome_is_unknown() if the connection was lost after the commit was sent.
  Result<> commit();
  [[nodiscard]] bool outcome_is_unknown() const { return outcome_is_unknown_; }
  [[nodiscard]] bool has_lost_race() const { return (*lease_)->has_lost_race(); }
  // It ends without a commit, and its connection with it: that leads to the wrong server.
  void retire() { (*lease_)->retire(); }

 private:
  friend class Database;
  Transaction(Pool& pool, Lease lease, Duration timeout)
      : pool_(&pool), lease_(std::move(lease)), timeout_(timeout) {}

  [[nodiscard]] Instant deadline() const { return pool_->clock().now() + timeout_; }

  [[nodiscard]] Result<Rows> last_answer();
  [[nodiscard]] Result<std::vector<Rows>> last_answers(std::size_t count);
  Result<> bound_queue();

  Pool* pool_;
  std::optional<Lease> lease_;
  Duration timeout_;  // Of one round trip.
  std::optional<CompanyId> acting_for_;
  bool is_open_ = true;
  bool outcome_is_unknown_ = false;
};

// Numbered by their place. Each is applied in one transaction; a statement a string.
struct Migration {
  std::vector<std::string> statements;
};

struct SchemaVersions {
  std::size_t before = 0;  // How many migrations had been applied; 0: there was no schema.
  std::size_t after = 0;
};

// Who may do what with the tables, beside their owner. Roles of the database; empty: nobody.
struct Grants {
  std::string server;  // What a server does.
  // Reads, of `token_tables`, the rows of the company whose number is `company_id` in the JSON Web
  // Token that PostgREST (Supabase) has verified: the setting request.jwt.claims.
  std::string token;
  std::vector<std::string> token_tables;
};

// What is told of a migration while it goes on.
struct MigrationStep {
  std::size_t number = 0;  // Of the migration, from 1.
  std::size_t last = 0;
  int given_way = 0;  // How often others kept a lock for longer than it waits, so far.
};

struct DatabaseOptions {
  PoolOptions pool;
  std::string schema = "samtale";  // a-z, 0-9 and _, at most 40 characters.
  Duration migration_timeout =
      std::chrono::hours(1);  // Of one migration, or to wait for another's.
  // Who waits for a table's lock to change it makes all who come after wait as well: see
  // Database::patiently().
  Duration lock_timeout =
      std::chrono::milliseconds(1500);  // With its work, no more than two seconds.
  bool migrate = true;  // False: open() only looks whether the schema is up to date.
  // open() takes a user who passes over row-level security: for what changes tables, not for a
  // server.
  bool for_maintenance = false;
};

// Threads: any method from any thread. A thread that holds a Transaction should not ask for
//          another: where all do, all wait for a connection.
// Errors:  those of Pool and Connection.
class Database {
 public:
  // Connects, and brings the schema up to date, or looks whether it is (`options.migrate`):
  // unavailable if not. permission_denied if the user passes over row-level security, or where a
  // table of companies or a view of the schema does; corrupt if the schema is newer than
  // `migrations`. `clock` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(
      const DatabaseOptions& options, Clock& clock, std::span<const Migration> migrations);

  // Brings the schema up to date and leaves; any user may who may make its tables. What was cut
  // short is taken up where it stopped. Who is granted something has it then, once more or not.
  // `tell` is called before each migration, and when it gave way to others. Errors: corrupt as
  // above; unavailable if others kept a lock for all of `migration_timeout`.
  [[nodiscard]] static Result<SchemaVersions> migrate(
      const DatabaseOptions& options, Clock& clock, std::span<const Migration> migrations,
      const Grants& grants, const std::function<void(const MigrationStep&)>& tell);

  [[nodiscard]] Result<Transaction> begin(const Scope& scope,
                                          Durability durability = Durability::power_loss) {
    return begin(scope, durability, options_.pool.statement_timeout);
  }

  // A transaction whose work takes locks that all others wait behind. It waits for each no longer
  // than `lock_timeout`; then it ends, lets the others through and, after a pause, begins anew, for
  // `migration_timeout`. `tell` is called before each attempt with how often it has given way.
  // `work` must do nothing but use its transaction.
  Result<> patiently(const Scope& scope, const std::function<void(int given_way)>& tell,
                     const std::function<Result<>(Transaction&)>& work);

  // One statement that only reads, as a transaction of its own: one round trip.
  template <class... Values>
  [[nodiscard]] Result<Rows> read(const Scope& scope, const std::string& sql,
                                  const Values&... values) {
    const std::array<Parameter, sizeof...(values)> parameters{Parameter(values)...};
    return run_alone(scope, std::nullopt, sql, parameters);
  }
  // The same, for one that writes: on disk when it returns.
  template <class... Values>
  [[nodiscard]] Result<Rows> write(const Scope& scope, const std::string& sql,
                                   const Values&... values) {
    const std::array<Parameter, sizeof...(values)> parameters{Parameter(values)...};
    return run_alone(scope, Durability::power_loss, sql, parameters);
  }
  // … and for one that writes what is soon out of date: it waits for no disk and no standby.
  template <class... Values>
  [[nodiscard]] Result<Rows> note(const Scope& scope, const std::string& sql,
                                  const Values&... values) {
    const std::array<Parameter, sizeof...(values)> parameters{Parameter(values)...};
    return run_alone(scope, Durability::process, sql, parameters);
  }

  // The server's settings by which a loss of power may lose or damage what it has committed
  // ("fsync = off"); none: it keeps it.
  [[nodiscard]] Result<std::vector<std::string>> unsafe_settings();

  [[nodiscard]] Pool& pool() { return pool_; }
  [[nodiscard]] const std::string& schema() const { return options_.schema; }

 private:
  Database(const DatabaseOptions& options, Clock& clock)
      : options_(options), clock_(clock), pool_(options.pool, clock) {}

  [[nodiscard]] Result<Transaction> begin(const Scope& scope, Durability durability,
                                          Duration timeout);
  [[nodiscard]] Result<Rows> run_alone(const Scope& scope, std::optional<Durability> durability,
                                       const std::string& sql,
                                       std::span<const Parameter> parameters);
  Result<> send_settings(Connection& connection, const Scope& scope,
                         std::optional<Durability> durability, Duration timeout) const;
  [[nodiscard]] static Result<std::unique_ptr<Database>> connect(const DatabaseOptions& options,
                                                                 Clock& clock);
  Result<> check_server();
  Result<> check_user();
  Result<> check_version(std::size_t wanted);
  Result<> check_row_security();
  Result<SchemaVersions> bring_up_to_date(std::span<const Migration> migrations,
                                          const std::function<void(const MigrationStep&)>& tell);

  const DatabaseOptions options_;
  Clock& clock_;
  Pool pool_;
};

// The migrations after the first `from` as SQL for psql and the like, each in a transaction with
// its number, so that Database finds them applied. Refuses (in the database) a schema of another
// version than `from`. With `grants`, as Database::migrate. Errors: invalid_argument for a name
// that Database would not take, or where there is no version `from`.
[[nodiscard]] Result<std::string> migration_sql(const std::string& schema,
                                                std::span<const Migration> migrations,
                                                std::size_t from, const Grants& grants);

// Runs `work` in a transaction and commits it; again where a race was lost (serialization failure,
// deadlock), at most `attempts` times. `work` must do nothing but use its transaction.
Result<> in_transaction(Database& database, const Scope& scope, Durability durability,
                        const std::function<Result<>(Transaction&)>& work, int attempts = 5);

}  // namespace samtale::postgres

// Opening a schema: who we are, and which migrations it has seen.
#include <algorithm>

#include "postgres/database.h"

namespace samtale::postgres {
namespace {

constexpr std::size_t kSchemaNameMax = 40;  // Of PostgreSQL's 63 bytes, so that ours can be added.

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kSchemaNameMax && !(name[0] >= '0' && name[0] <= '9') &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options, const Clock& clock,
                                                 std::span<const Migration> migrations) {
  if (!is_name(options.schema)) {
    return fail(ErrorCode::invalid_argument,
                "a schema is named with a-z, 0-9 and _, at most 40 of them, and no digit first");
  }
  std::unique_ptr<Database> database(new Database(options, clock));
  SAMTALE_TRY_VOID(database->check_user());
  SAMTALE_TRY_VOID(database->migrate(migrations));
  return database;
}

Result<> Database::check_user() {
  SAMTALE_TRY(const auto rows, read({},
                                    "SELECT rolname::text COLLATE \"C\", rolsuper OR rolbypassrls, "
                                    "current_setting('server_version_num')::bigint, "
                                    "current_setting('server_encoding') = 'UTF8' "
                                    "FROM pg_roles WHERE rolname = current_user"));
  if (rows.empty()) return fail(ErrorCode::corrupt, "PostgreSQL does not know who we are");
  if (rows.integer(0, 1) != 0) {
    return fail(ErrorCode::permission_denied,
                "PostgreSQL user '" + std::string(rows.bytes(0, 0)) +
                    "' passes over row-level security; connect as one that is neither superuser "
                    "nor BYPASSRLS");
  }
  if (rows.integer(0, 2) < 150'000) {
    return fail(ErrorCode::invalid_argument, "PostgreSQL 15 or newer is needed");
  }
  if (rows.integer(0, 3) == 0) {
    return fail(ErrorCode::invalid_argument, "the database's encoding must be UTF8");
  }
  return {};
}

Result<> Database::migrate(std::span<const Migration> migrations) {
  while (true) {
    SAMTALE_TRY(const bool is_done, apply_next(migrations));
    if (is_done) return {};
  }
}

// One migration a transaction, with its number: what was cut short is taken up where it stopped.
// The lock makes processes that start together do this one after the other.
Result<bool> Database::apply_next(std::span<const Migration> migrations) {
  SAMTALE_TRY(auto transaction, begin({}, Durability::power_loss, options_.migration_timeout));
  SAMTALE_TRY_VOID(transaction.later(
      "SELECT pg_advisory_xact_lock(hashtextextended('samtale migrations ' || $1, 0))", schema()));
  SAMTALE_TRY(const auto missing,
              transaction.query("SELECT to_regnamespace($1) IS NULL, to_regclass($1 || "
                                "'.schema_migrations') IS NULL",
                                schema()));
  if (missing.integer(0, 0) != 0) {
    SAMTALE_TRY_VOID(transaction.later("CREATE SCHEMA " + schema()));
  }
  if (missing.integer(0, 1) != 0) {
    SAMTALE_TRY_VOID(transaction.later(
        "CREATE TABLE schema_migrations(number bigint PRIMARY KEY, applied timestamptz NOT NULL)"));
  }
  SAMTALE_TRY(const auto rows,
              transaction.query("SELECT coalesce(max(number), 0) FROM schema_migrations"));
  const auto applied = static_cast<std::size_t>(rows.integer(0, 0));
  if (applied > migrations.size()) {
    return fail(ErrorCode::corrupt, "schema '" + schema() + "' has version " +
                                        std::to_string(applied) + " and this program knows " +
                                        std::to_string(migrations.size()) +
                                        "; use the newer program");
  }
  if (applied == migrations.size()) return true;
  for (const auto& statement : migrations[applied].statements) {
    SAMTALE_TRY_VOID(transaction.later(statement));
  }
  SAMTALE_TRY_VOID(
      transaction.later("INSERT INTO schema_migrations VALUES($1, now())", applied + 1));
  SAMTALE_TRY_VOID(transaction.commit());
  return false;
}

}  // namespace samtale::postgres

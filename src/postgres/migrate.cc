// Opening a schema: who we are, and which migrations it has seen.
#include <algorithm>
#include <utility>

#include "postgres/database.h"

namespace samtale::postgres {
namespace {

constexpr std::size_t kSchemaNameMax = 40;  // Of PostgreSQL's 63 bytes, so that ours can be added.
constexpr auto kVersionsTable =
    "schema_migrations(number bigint PRIMARY KEY, applied timestamptz NOT NULL)";
// What shows our transactions rows of companies in whose name they do not act. Of a policy's
// condition it is asked only whether it reads what a transaction says of itself.
constexpr auto kOpenings =
    "WITH tables AS (SELECT c.oid, c.relname::text AS name, c.relispartition, c.relrowsecurity "
    "AND c.relforcerowsecurity AS is_forced FROM pg_class AS c JOIN pg_attribute AS a "
    "ON a.attrelid = c.oid WHERE c.relnamespace = current_schema()::regnamespace "
    "AND c.relkind IN ('r', 'p') AND a.attname = 'company' AND NOT a.attisdropped), "
    "policies AS (SELECT t.name, p.polname::text AS policy, p.polcmd, "
    "coalesce(pg_get_expr(p.polqual, p.polrelid), '') AS shown, "
    "pg_get_expr(p.polwithcheck, p.polrelid) AS written "
    "FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid AND p.polpermissive "
    "WHERE EXISTS (SELECT 1 FROM unnest(p.polroles) AS r WHERE r = 0 OR pg_has_role(r, 'member'))) "
    "SELECT 'table ' || name || ' does not force row-level security' FROM tables "
    "WHERE NOT is_forced UNION ALL "
    "SELECT 'table ' || name || ' has no policy of_company' FROM tables AS t "
    "WHERE NOT relispartition AND NOT EXISTS (SELECT 1 FROM policies AS p WHERE p.name = t.name "
    "AND p.policy = 'of_company' AND p.polcmd = '*') UNION ALL "
    "SELECT 'policy ' || policy || ' of table ' || name || ' shows rows of any company' "
    "FROM policies WHERE (CASE WHEN polcmd = 'a' THEN coalesce(written, '') ELSE shown END NOT "
    "LIKE "
    "'%current_setting(''samtale.%' OR coalesce(written, 'samtale.') NOT LIKE '%samtale.%') "
    "UNION ALL SELECT 'view ' || relname || ' is not made WITH (security_invoker)' FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('v', 'm') "
    "AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on', "
    "'security_invoker=1'], false) ORDER BY 1 LIMIT 3";
constexpr auto kVersion = "SELECT coalesce(max(number), 0) FROM schema_migrations";

Result<> check_name(const std::string& name) {
  if (!name.empty() && name.size() <= kSchemaNameMax && !(name[0] >= '0' && name[0] <= '9') &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos) {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "a schema is named with a-z, 0-9 and _, at most 40 of them, and no digit first");
}

std::string quoted(const std::string& role) {
  std::string text = "\"";
  for (const char c : role) text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

// What each of them does in the schema, and no more.
std::vector<std::string> statements_of(const Grants& grants, const std::string& schema) {
  std::vector<std::string> statements;
  const auto add = [&statements](const std::string& what, const std::string& role) {
    statements.push_back("GRANT " + what + " TO " + quoted(role));
  };
  if (!grants.server.empty()) {
    add("USAGE ON SCHEMA " + schema, grants.server);
    add("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + schema, grants.server);
    add("USAGE ON ALL SEQUENCES IN SCHEMA " + schema, grants.server);
  }
  if (grants.token.empty()) return statements;
  add("USAGE ON SCHEMA " + schema, grants.token);
  for (const auto& name : grants.token_tables) {
    const auto table = schema + "." + name;
    add("SELECT ON " + table, grants.token);
    statements.push_back("DROP POLICY IF EXISTS of_token ON " + table);
    statements.push_back("CREATE POLICY of_token ON " + table + " FOR SELECT TO " +
                         quoted(grants.token) +
                         " USING (company = nullif(nullif(current_setting('request.jwt.claims', "
                         "true), '')::json ->> 'company_id', '')::bigint)");
  }
  return statements;
}

Error newer_than_known(const std::string& schema, std::size_t version, std::size_t known) {
  return {ErrorCode::corrupt, "schema '" + schema + "' has version " + std::to_string(version) +
                                  " and this program knows " + std::to_string(known) +
                                  "; use the newer program"};
}

// The lock makes processes that start together do this one after the other.
Result<std::size_t> read_version_alone(Transaction& transaction, const std::string& schema) {
  SAMTALE_TRY_VOID(transaction.later(
      "SELECT pg_advisory_xact_lock(hashtextextended('samtale migrations ' || $1, 0))", schema));
  SAMTALE_TRY(const auto missing,
              transaction.query("SELECT to_regnamespace($1) IS NULL, to_regclass($1 || "
                                "'.schema_migrations') IS NULL",
                                schema));
  if (missing.integer(0, 0) != 0) {
    SAMTALE_TRY_VOID(transaction.later("CREATE SCHEMA " + schema));
  }
  if (missing.integer(0, 1) != 0) {
    SAMTALE_TRY_VOID(transaction.later(std::string("CREATE TABLE ") + kVersionsTable));
  }
  SAMTALE_TRY(const auto rows, transaction.query(kVersion));
  return static_cast<std::size_t>(rows.integer(0, 0));
}

Result<> apply(Transaction& transaction, const Migration& migration, std::size_t number) {
  for (const auto& statement : migration.statements) {
    SAMTALE_TRY_VOID(transaction.later(statement));
  }
  return transaction.later("INSERT INTO schema_migrations VALUES($1, now())", number);
}

}  // namespace

Result<std::unique_ptr<Database>> Database::connect(const DatabaseOptions& options, Clock& clock) {
  SAMTALE_TRY_VOID(check_name(options.schema));
  std::unique_ptr<Database> database(new Database(options, clock));
  SAMTALE_TRY_VOID(database->check_server());
  return database;
}

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options, Clock& clock,
                                                 std::span<const Migration> migrations) {
  SAMTALE_TRY(auto database, connect(options, clock));
  if (!options.for_maintenance) SAMTALE_TRY_VOID(database->check_user());
  if (options.migrate) {
    SAMTALE_TRY_VOID(database->bring_up_to_date(migrations, [](const MigrationStep&) {}));
  } else {
    SAMTALE_TRY_VOID(database->check_version(migrations.size()));
  }
  if (!options.for_maintenance) SAMTALE_TRY_VOID(database->check_row_security());
  return database;
}

Result<SchemaVersions> Database::migrate(const DatabaseOptions& options, Clock& clock,
                                         std::span<const Migration> migrations,
                                         const Grants& grants,
                                         const std::function<void(const MigrationStep&)>& tell) {
  SAMTALE_TRY(const auto database, connect(options, clock));
  SAMTALE_TRY(const auto versions, database->bring_up_to_date(migrations, tell));
  const auto statements = statements_of(grants, options.schema);
  if (statements.empty()) return versions;
  SAMTALE_TRY(auto transaction, database->begin({}));
  for (const auto& statement : statements) {
    SAMTALE_TRY_VOID(transaction.later(statement));
  }
  SAMTALE_TRY_VOID(transaction.commit());
  return versions;
}

Result<> Database::check_server() {
  SAMTALE_TRY(const auto rows, read({},
                                    "SELECT current_setting('server_version_num')::bigint, "
                                    "current_setting('server_encoding') = 'UTF8'"));
  if (rows.integer(0, 0) < 150'000) {
    return fail(ErrorCode::invalid_argument, "PostgreSQL 15 or newer is needed");
  }
  if (rows.integer(0, 1) == 0) {
    return fail(ErrorCode::invalid_argument, "the database's encoding must be UTF8");
  }
  return {};
}

Result<> Database::check_user() {
  SAMTALE_TRY(const auto rows, read({},
                                    "SELECT rolname::text COLLATE \"C\", rolsuper OR rolbypassrls "
                                    "FROM pg_roles WHERE rolname = current_user"));
  if (rows.empty()) return fail(ErrorCode::corrupt, "PostgreSQL does not know who we are");
  if (rows.integer(0, 1) != 0) {
    return fail(ErrorCode::permission_denied,
                "PostgreSQL user '" + std::string(rows.bytes(0, 0)) +
                    "' passes over row-level security; connect as one that is neither superuser "
                    "nor BYPASSRLS");
  }
  return {};
}

Result<> Database::check_row_security() {
  SAMTALE_TRY(const auto openings, read({}, kOpenings));
  if (openings.empty()) return {};
  std::string all;
  for (std::size_t i = 0; i < openings.size(); ++i) {
    all += (i == 0 ? "" : "; ") + std::string(openings.bytes(i, 0));
  }
  return fail(ErrorCode::permission_denied,
              "schema '" + schema() + "' does not keep companies apart: " + all +
                  "; docs/formats/postgres-v1.md says what there should be");
}

Result<std::vector<std::string>> Database::unsafe_settings() {
  SAMTALE_TRY(const auto rows,
              read({},
                   "SELECT name || ' = ' || setting FROM pg_settings WHERE (name, setting) IN "
                   "(('fsync', 'off'), ('full_page_writes', 'off'), ('zero_damaged_pages', 'on')) "
                   "ORDER BY 1"));
  std::vector<std::string> settings;
  for (std::size_t i = 0; i < rows.size(); ++i) settings.emplace_back(rows.bytes(i, 0));
  return settings;
}

Result<> Database::check_version(std::size_t wanted) {
  SAMTALE_TRY(const auto missing,
              read({}, "SELECT to_regclass($1 || '.schema_migrations') IS NULL", schema()));
  std::size_t version = 0;
  if (missing.integer(0, 0) == 0) {
    SAMTALE_TRY(const auto rows, read({}, kVersion));
    version = static_cast<std::size_t>(rows.integer(0, 0));
  }
  if (version > wanted) return std::unexpected(newer_than_known(schema(), version, wanted));
  if (version == wanted) return {};
  return fail(ErrorCode::unavailable,
              "schema '" + schema() + "' has version " + std::to_string(version) +
                  " and this program needs " + std::to_string(wanted) +
                  "; as a user who may change it run `samtale migrate`, or what `samtale migrate "
                  "--sql --from " +
                  std::to_string(version) + "` prints");
}

// One migration a transaction, with its number: what was cut short is taken up where it stopped.
Result<SchemaVersions> Database::bring_up_to_date(
    std::span<const Migration> migrations, const std::function<void(const MigrationStep&)>& tell) {
  std::optional<std::size_t> before;
  std::size_t version = 0;
  const auto known = migrations.size();
  do {
    int given_way = 0;
    SAMTALE_TRY_VOID(patiently(
        {}, [&](int times) { given_way = times; },
        [&](Transaction& transaction) -> Result<> {
          SAMTALE_TRY(version, read_version_alone(transaction, schema()));
          if (!before) before = version;
          if (version > known) return std::unexpected(newer_than_known(schema(), version, known));
          if (version == known) return {};
          tell({.number = version + 1, .last = known, .given_way = given_way});
          return apply(transaction, migrations[version], version + 1);
        }));
  } while (version < known);
  return SchemaVersions{.before = *before, .after = version};
}

Result<std::string> migration_sql(const std::string& schema, std::span<const Migration> migrations,
                                  std::size_t from, const Grants& grants) {
  SAMTALE_TRY_VOID(check_name(schema));
  if (from > migrations.size()) {
    return fail(ErrorCode::invalid_argument, "there is no version " + std::to_string(from) +
                                                 " of the tables; the last is " +
                                                 std::to_string(migrations.size()));
  }
  std::string sql = "-- Samtale's schema " + schema + " from version " + std::to_string(from) +
                    " to " + std::to_string(migrations.size()) + ".\n";
  for (auto number = from; number < migrations.size(); ++number) {
    const auto version = std::to_string(number);
    sql += "\nBEGIN;\nSELECT pg_advisory_xact_lock(hashtextextended('samtale migrations " + schema +
           "', 0));\nSET LOCAL lock_timeout = '1500ms';\n";
    if (number == 0) sql += "CREATE SCHEMA IF NOT EXISTS " + schema + ";\n";
    sql += "SET LOCAL search_path = " + schema + ";\n";
    if (number == 0) sql += std::string("CREATE TABLE IF NOT EXISTS ") + kVersionsTable + ";\n";
    sql += std::string("DO $$BEGIN IF (") + kVersion + ") <> " + version +
           " THEN RAISE EXCEPTION 'schema " + schema + " does not have version " + version +
           "'; END IF; END$$;\n";
    for (const auto& statement : migrations[number].statements) sql += statement + ";\n";
    sql += "INSERT INTO schema_migrations VALUES(" + std::to_string(number + 1) +
           ", now());\nCOMMIT;\n";
  }
  const auto statements = statements_of(grants, schema);
  if (!statements.empty()) sql += "\nBEGIN;\n";
  for (const auto& statement : statements) sql += statement + ";\n";
  if (!statements.empty()) sql += "COMMIT;\n";
  return sql;
}

}  // namespace samtale::postgres

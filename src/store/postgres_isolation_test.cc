// Goal:   PostgreSQL itself keeps companies apart, whatever our SQL says.
// Method: one company has a row in every table; then each table is asked, without a WHERE, in the
//         name of another, of nobody, and of those who read across companies. The catalogue says
//         which tables there are, so that none can be forgotten.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "store/postgres_registry.h"
#include "store/postgres_schema.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

using postgres::PostgresProcess;
using postgres::Scope;

class PostgresIsolationTest : public ::testing::Test {
 protected:
  static constexpr CompanyId kOne{1};
  static constexpr CompanyId kTwo{2};

  PostgresIsolationTest() {
    const auto options = postgres_options(schema_, 1);
    database_ = postgres::Database::open(options.database, clock_,
                                         postgres_store_schema(options.hash_partitions))
                    .value();
  }

  // Of a database where kOne has something of every sort.
  void fill() {
    StoredConversation stored;
    stored.conversation.id = id_;
    const Chunk chunk{.ordinal = 0, .header = "", .text = "t", .policy = "p"};
    const auto done = harness_.store().write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(
          writer.put_event(kOne, {.key = "k", .body_hash = "h", .conversation = id_}, from_us(1)));
      SAMTALE_TRY_VOID(writer.put_conversation(kOne, stored));
      SAMTALE_TRY_VOID(writer.put_chunks(kOne, id_, std::vector{chunk}));
      SAMTALE_TRY_VOID(writer.put_embedding(kOne, id_, chunk, {.model = "m", .vector = {1, 0}}));
      SAMTALE_TRY_VOID(writer.put_analysis(
          kOne, id_, {.analyzer = "a", .method = "m", .result = "{}", .labels = {"l"}}));
      SAMTALE_TRY_VOID(writer.put_lm_result(kOne, id_, "k", "{}", from_us(1)));
      SAMTALE_TRY_VOID(
          writer.add_spend(kOne, std::vector<SpendChange>{{.analyzer = "a", .day = "2026-11-28"}}));
      SAMTALE_TRY_VOID(
          writer.put_override(kOne, id_, {.analyzer = "a", .result = "{}", .by = "k", .note = ""}));
      SAMTALE_TRY_VOID(writer.put_campaign(
          kOne, {.id = "c", .filter = "", .state = "running", .cursor = "", .estimate = ""}));
      SAMTALE_TRY_VOID(writer.put_batch(kOne, {.name = "b", .id = "", .requests = ""}));
      const NewJob job{.company = kOne, .kind = "k", .payload = "", .key = ""};
      SAMTALE_TRY_VOID(writer.enqueue(job));
      SAMTALE_TRY_VOID(writer.add_dead_letter(job, "cause"));
      const auto other = make_conversation_id(kOne, "api", "erased");
      SAMTALE_TRY_VOID(writer.erase_conversation(kOne, other));
      return {};
    });
    ASSERT_TRUE(done) << done.error().message;
    PostgresRegistry registry(*database_);
    ASSERT_TRUE(registry.put_key({.id = "k", .company = kOne, .secret_hash = "", .label = ""}));
    ASSERT_TRUE(registry.put_endpoint({.id = "e",
                                       .company = kOne,
                                       .preset = "",
                                       .source = "",
                                       .secrets = {{.secret = "s", .expires_at = {}}}}));
    ASSERT_TRUE(registry.put_analyzer({.company = kOne, .name = "a", .definition = "{}"}));
    ASSERT_TRUE(registry.put_subscription({.id = "s",
                                           .company = kOne,
                                           .url = "",
                                           .events = {},
                                           .secrets = {{.secret = "s", .expires_at = {}}},
                                           .paused_why = ""}));
    ASSERT_TRUE(registry.put_lm_settings({.company = kOne, .settings = "{}"}));
  }
  std::vector<std::string> names(const std::string& sql) {
    const auto rows = database_->read({}, sql);
    EXPECT_TRUE(rows) << rows.error().message;
    std::vector<std::string> all;
    for (std::size_t i = 0; i < rows->size(); ++i) all.emplace_back(rows->bytes(i, 0));
    return all;
  }
  // Of tables, PostgreSQL's partitions among them, those that have a column `company`.
  static constexpr auto kCompanyTables =
      "SELECT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
      "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') "
      "AND a.attname = 'company' AND NOT a.attisdropped ";
  std::vector<std::string> tables() {
    return names(std::string(kCompanyTables) + "AND NOT c.relispartition");
  }
  std::int64_t count(const std::string& table, const Scope& scope) {
    const auto rows = database_->read(scope, "SELECT count(*) FROM " + table);
    EXPECT_TRUE(rows) << table << ": " << rows.error().message;
    return rows ? rows->integer(0, 0) : -1;
  }

  const std::string schema_ = PostgresProcess::shared().fresh_schema();
  const ConversationId id_ = make_conversation_id(kOne, "api", "c");
  SystemClock clock_;
  std::unique_ptr<postgres::Database> database_;
  PgvectorHarness<1> harness_{pgvector_options(schema_, 1)};
};

TEST_F(PostgresIsolationTest, forces_row_level_security_on_every_table_with_a_company) {
  const auto unforced =
      std::string(kCompanyTables) + "AND NOT (c.relrowsecurity AND c.relforcerowsecurity)";
  const auto without_policy =
      std::string(kCompanyTables) +
      "AND NOT c.relispartition AND NOT EXISTS (SELECT 1 FROM pg_policy AS p WHERE "
      "p.polrelid = c.oid AND p.polcmd = '*' AND pg_get_expr(p.polqual, p.polrelid) LIKE "
      "'%company = %samtale.company%')";
  const auto key_of_another =
      std::string(kCompanyTables) +
      "AND NOT EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary "
      "AND i.indkey[0] = a.attnum)";

  EXPECT_EQ(names(unforced), std::vector<std::string>());
  EXPECT_EQ(names(without_policy), std::vector<std::string>());
  EXPECT_EQ(names(key_of_another), std::vector<std::string>());
  EXPECT_EQ(names(kCompanyTables).size(), tables().size() + 3 * 8)
      << "8 have two hash partitions under a shared one";
}

// The check above can fail.
TEST_F(PostgresIsolationTest, would_notice_a_table_that_was_forgotten) {
  auto transaction = database_->begin({}).value();
  ASSERT_TRUE(transaction.later("CREATE TABLE forgotten(company bigint PRIMARY KEY)"));

  const auto found = transaction.query(std::string(kCompanyTables) +
                                       "AND NOT (c.relrowsecurity AND c.relforcerowsecurity)");

  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->bytes(0, 0), "forgotten");
}

// K3 of the catalogue of faults.
TEST_F(PostgresIsolationTest, refuses_to_start_once_something_lets_companies_see_each_other) {
  struct Opening {
    std::string open;
    std::string close;
    std::string says;
  };
  const std::string own =
      "(company = nullif(current_setting('samtale.company', true), '')::bigint)";
  const auto options = postgres_options(schema_, 1);
  const auto start = [&] {
    return postgres::Database::open(options.database, clock_,
                                    postgres_store_schema(options.hash_partitions));
  };
  const auto change = [&](const std::string& statement) {
    auto transaction = database_->begin({}).value();
    ASSERT_TRUE(transaction.later(statement));
    const auto done = transaction.commit();
    ASSERT_TRUE(done) << statement << ": " << done.error().message;
  };
  for (const auto& [open, close, says] : std::vector<Opening>{
           {"ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE jobs ENABLE ROW LEVEL SECURITY",
            "table jobs does not force row-level security"},
           {"ALTER TABLE chunks NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE chunks FORCE ROW LEVEL SECURITY",
            "table chunks does not force row-level security"},
           {"ALTER TABLE chunks_1 NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE chunks_1 FORCE ROW LEVEL SECURITY",
            "table chunks_1 does not force row-level security"},
           {"DROP POLICY of_company ON keys", "CREATE POLICY of_company ON keys USING " + own,
            "table keys has no policy of_company"},
           {"ALTER POLICY of_company ON events USING (true)",
            "ALTER POLICY of_company ON events USING " + own,
            "policy of_company of table events shows rows of any company"},
           {"ALTER POLICY of_company ON events USING " + own + " WITH CHECK (true)",
            "DROP POLICY of_company ON events; CREATE POLICY of_company ON events USING " + own,
            "policy of_company of table events shows rows of any company"},
           {"CREATE POLICY all_of_it ON changes FOR SELECT USING (company > 0)",
            "DROP POLICY all_of_it ON changes",
            "policy all_of_it of table changes shows rows of any company"},
           {"CREATE POLICY anything ON analyses FOR INSERT WITH CHECK (true)",
            "DROP POLICY anything ON analyses",
            "policy anything of table analyses shows rows of any company"},
           {"CREATE TABLE events_of_9 PARTITION OF events FOR VALUES IN (9)",
            "DROP TABLE events_of_9", "table events_of_9 does not force row-level security"},
           {"CREATE TABLE notes(company bigint, note text)", "DROP TABLE notes",
            "table notes does not force row-level security; table notes has no policy of_company"},
           {"CREATE VIEW report AS SELECT * FROM conversations", "DROP VIEW report",
            "view report is not made WITH (security_invoker)"}}) {
    change(open);
    const auto refused = start();
    for (std::size_t at = 0; at != std::string::npos;) {
      const auto end = close.find("; ", at);
      change(close.substr(at, end - at));
      at = end == std::string::npos ? end : end + 2;
    }

    ASSERT_FALSE(refused) << open;
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_TRUE(refused.error().message.contains(says)) << refused.error().message;
    EXPECT_TRUE(start()) << close;
  }
  change("CREATE VIEW report WITH (security_invoker) AS SELECT * FROM conversations");
  EXPECT_TRUE(start());
}

TEST_F(PostgresIsolationTest, shows_a_company_its_own_rows_only) {
  fill();

  EXPECT_EQ(tables().size(), 24u);
  for (const auto& table : tables()) {
    EXPECT_GT(count(table, {.company = kOne}), 0) << table;
    EXPECT_EQ(count(table, {.company = kTwo}), 0) << table;
    EXPECT_EQ(count(table, {}), 0) << table;
  }
}

TEST_F(PostgresIsolationTest,
       shows_the_rows_of_a_partition_where_the_feed_and_the_queue_need_them) {
  fill();

  std::set<std::string> shown;
  for (const auto& table : tables()) {
    if (count(table, {.partition = 0}) > 0) shown.insert(table);
    EXPECT_EQ(count(table, {.partition = 1}), 0) << table;
  }

  EXPECT_EQ(shown, (std::set<std::string>{"campaigns", "changes", "conversations", "dead_letters",
                                          "jobs", "lm_batches"}));
}

TEST_F(PostgresIsolationTest, shows_the_registry_what_it_reads_whole_and_nothing_people_said) {
  fill();

  std::set<std::string> shown;
  for (const auto& table : tables()) {
    if (count(table, {.all_companies = true}) > 0) shown.insert(table);
  }

  EXPECT_EQ(shown, (std::set<std::string>{"analyzers", "endpoint_secrets", "endpoints", "keys",
                                          "lm_settings", "subscription_secrets", "subscriptions"}));
}

TEST_F(PostgresIsolationTest, lets_nobody_in_behind_a_table_through_its_partitions) {
  fill();

  for (const auto& part : names(std::string(kCompanyTables) + "AND c.relispartition")) {
    EXPECT_EQ(count(part, {.company = kOne}), 0) << part;
    EXPECT_EQ(count(part, {.partition = 0}), 0) << part;
  }
}

TEST_F(PostgresIsolationTest, lets_nobody_change_the_rows_of_another) {
  fill();

  for (const auto& scope :
       {Scope{.company = kTwo}, Scope{.partition = 0}, Scope{.all_companies = true}, Scope{}}) {
    for (const auto& table : tables()) {
      // `company = company` is all that every table can be told.
      const auto changed = database_->read(scope, "UPDATE " + table + " SET company = company");
      EXPECT_EQ(changed.value().affected(), 0) << table;
      if (table == "changes" && scope.partition) continue;  // Those are trimmed.
      const auto deleted = database_->read(scope, "DELETE FROM " + table);
      EXPECT_EQ(deleted.value().affected(), 0) << table;
    }
  }
}

TEST_F(PostgresIsolationTest, refuses_a_row_written_in_the_name_of_another) {
  for (const auto& scope : {Scope{.company = kTwo}, Scope{.partition = 0}, Scope{}}) {
    const auto refused = database_->read(
        scope, "INSERT INTO tombstones(company, conversation) VALUES($1, '')", kOne);

    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  }
}

TEST_F(PostgresIsolationTest, reads_no_rows_of_others_on_the_way_to_a_page) {
  auto transaction = database_->begin({.company = kOne}).value();
  ASSERT_TRUE(transaction.later(
      "INSERT INTO conversations SELECT 1, 0, sha256(n::text::bytea), n, 'chat', 'api', "
      "n::text::bytea, 1, 0, 0, 0, '', '', '' FROM generate_series(1, 3000) AS n"));
  ASSERT_TRUE(transaction.later("ANALYZE conversations"));

  // As list_conversations, scan and find_summary ask.
  for (const auto& [sql, index] : std::vector<std::pair<std::string, std::string>>{
           {"SELECT 1 FROM conversations WHERE company = 1 AND (sort_us, id) < (2000, '') AND "
            "sort_us >= 0 ORDER BY sort_us DESC, id DESC LIMIT 50",
            "sort_us"},
           {"SELECT 1 FROM conversations WHERE partition = 0 AND (company, id) > (1, 'x') "
            "ORDER BY company, id LIMIT 50",
            "partition"},
           {"SELECT 1 FROM conversations WHERE company = 1 AND id = 'x'", "pkey"}}) {
    const auto plan = transaction.query("EXPLAIN (FORMAT text) " + sql);
    ASSERT_TRUE(plan) << plan.error().message;
    std::string text;
    for (std::size_t i = 0; i < plan->size(); ++i) text += std::string(plan->bytes(i, 0)) + "\n";
    EXPECT_TRUE(text.contains("Index")) << text;
    EXPECT_TRUE(text.contains(index)) << text;
    EXPECT_FALSE(text.contains("Sort  (")) << text;
  }
}

}  // namespace
}  // namespace samtale

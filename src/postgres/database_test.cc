#include "postgres/database.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "postgres/testing/cut_proxy.h"
#include "postgres/testing/postgres_process.h"
#include "sim/sim_clock.h"

namespace samtale::postgres {
namespace {

class DatabaseTest : public ::testing::Test {
 protected:
  static PostgresProcess& server() { return PostgresProcess::shared(); }
  DatabaseOptions options(std::size_t connections = 4) {
    return {.pool = {.address = server().address(),
                     .connections_max = connections,
                     .acquire_timeout = std::chrono::seconds(30)},
            .schema = schema_};
  }
  Result<std::unique_ptr<Database>> try_open(const DatabaseOptions& options,
                                             std::vector<Migration> migrations = {kNumbers}) {
    return Database::open(options, clock_, migrations);
  }
  std::unique_ptr<Database> open(const DatabaseOptions& options) {
    auto opened = try_open(options);
    EXPECT_TRUE(opened) << opened.error().message;
    return *std::move(opened);
  }
  static std::int64_t count(Database& database) {
    return database.read({}, "SELECT count(*) FROM numbers").value().integer(0, 0);
  }
  static Result<> insert(Database& database, std::int64_t number) {
    return in_transaction(database, {}, Durability::power_loss,
                          [&](Transaction& transaction) -> Result<> {
                            return transaction.later("INSERT INTO numbers VALUES($1)", number);
                          });
  }

  inline static const Migration kNumbers{
      {"CREATE TABLE numbers(n bigint PRIMARY KEY)", "CREATE TABLE others(n bigint)"}};
  SystemClock clock_;
  const std::string schema_ = server().fresh_schema();
};

TEST_F(DatabaseTest, keeps_what_was_committed_and_nothing_else) {
  const auto database = open(options(1));
  {
    auto transaction = database->begin({}).value();
    ASSERT_TRUE(transaction.later("INSERT INTO numbers VALUES($1)", 1));
    ASSERT_EQ(transaction.query("SELECT n FROM numbers").value().integer(0, 0), 1);
  }
  EXPECT_EQ(count(*database), 0);

  ASSERT_TRUE(insert(*database, 2));

  EXPECT_EQ(count(*database), 1);
}

TEST_F(DatabaseTest, has_the_error_of_what_was_put_off_at_the_commit) {
  const auto database = open(options(1));
  ASSERT_TRUE(insert(*database, 1));
  auto transaction = database->begin({}).value();
  ASSERT_TRUE(transaction.later("INSERT INTO numbers VALUES($1)", 1));

  const auto failed = transaction.commit();

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::conflict);
  EXPECT_FALSE(transaction.outcome_is_unknown());
}

TEST_F(DatabaseTest, leaves_nothing_of_a_transaction_to_the_next_on_its_connection) {
  const auto database = open(options(1));
  const auto setting = "SELECT coalesce(nullif(current_setting('samtale.company', true), ''), '-')";
  {
    auto transaction = database->begin({.company = CompanyId{7}}).value();
    EXPECT_EQ(transaction.query(setting).value().bytes(0, 0), "7");
    ASSERT_TRUE(transaction.act_for(CompanyId{8}));
    EXPECT_EQ(transaction.query(setting).value().bytes(0, 0), "8");
    ASSERT_TRUE(transaction.commit());
  }

  EXPECT_EQ(database->read({}, setting).value().bytes(0, 0), "-");
  const auto pool = database->pool().stats();
  EXPECT_EQ(pool.opened, 1u);
  EXPECT_EQ(pool.idle, 1u);
  EXPECT_EQ(pool.leased, 0u);
}

TEST_F(DatabaseTest, applies_each_migration_once) {
  (void)open(options());
  const Migration more{{"INSERT INTO numbers VALUES(1)"}};

  ASSERT_TRUE(try_open(options(), {kNumbers, more}));
  const auto database = try_open(options(), {kNumbers, more});

  EXPECT_EQ(count(**database), 1);
}

TEST_F(DatabaseTest, takes_migrations_up_where_they_stopped) {
  const Migration broken{{"INSERT INTO numbers VALUES(1)", "SELECT 1 FROM nowhere"}};
  const Migration repaired{{"INSERT INTO numbers VALUES(2)"}};
  EXPECT_FALSE(try_open(options(), {kNumbers, broken}));

  const auto database = try_open(options(), {kNumbers, repaired});

  ASSERT_TRUE(database) << database.error().message;
  EXPECT_EQ(count(**database), 1);
}

TEST_F(DatabaseTest, migrates_once_where_many_start_together) {
  const Migration more{{"INSERT INTO numbers SELECT count(*) FROM numbers"}};
  std::vector<std::thread> threads;
  std::atomic<int> opened = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto database = try_open(options(1), {kNumbers, more});
      EXPECT_TRUE(database) << database.error().message;
      if (database) ++opened;
    });
  }
  for (auto& thread : threads) thread.join();

  EXPECT_EQ(opened, 8);
  EXPECT_EQ(count(*try_open(options(), {kNumbers, more}).value()), 1);
}

TEST_F(DatabaseTest, refuses_a_schema_of_a_newer_program) {
  (void)open(options());

  const auto refused = try_open(options(), {});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
}

// What writes to the table comes through while the migration has given way.
TEST_F(DatabaseTest, gives_way_to_who_keeps_a_lock_and_migrates_once_it_is_free) {
  const auto writers = open(options());
  auto keeper = std::optional(writers->begin({}).value());
  ASSERT_TRUE(keeper->query("SELECT n FROM numbers"));
  auto impatient = options(1);
  impatient.lock_timeout = std::chrono::milliseconds(50);
  const Migration wider{{"ALTER TABLE numbers ADD more bigint"}};
  std::vector<int> told;
  SimClock clock;

  const auto versions = Database::migrate(impatient, clock, std::vector{kNumbers, wider}, {},
                                          [&](const MigrationStep& step) {
                                            told.push_back(step.given_way);
                                            if (step.given_way == 0) return;
                                            EXPECT_TRUE(insert(*writers, step.given_way));
                                            if (step.given_way == 2) keeper.reset();
                                          });

  ASSERT_TRUE(versions) << versions.error().message;
  EXPECT_EQ(versions->before, 1u);
  EXPECT_EQ(versions->after, 2u);
  EXPECT_EQ(told, (std::vector{0, 1, 2}));
  EXPECT_EQ(clock.now() - Instant{}, std::chrono::seconds(1 + 2)) << "it waits longer each time";
  EXPECT_EQ(count(*writers), 2);
}

TEST_F(DatabaseTest, says_in_the_end_that_others_keep_a_lock) {
  const auto writers = open(options());
  auto impatient = options(1);
  impatient.lock_timeout = std::chrono::milliseconds(1);
  impatient.migration_timeout = std::chrono::minutes(5);
  const Migration wider{{"ALTER TABLE numbers ADD more bigint"}};
  auto keeper = writers->begin({}).value();
  ASSERT_TRUE(keeper.query("SELECT n FROM numbers"));
  SimClock clock;

  const auto kept_out = Database::migrate(impatient, clock, std::vector{kNumbers, wider}, {},
                                          [](const MigrationStep&) {});

  ASSERT_FALSE(kept_out);
  EXPECT_EQ(kept_out.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(kept_out.error().message.contains("55P03")) << kept_out.error().message;
}

TEST_F(DatabaseTest, only_looks_where_it_may_not_migrate) {
  auto looking = options();
  looking.migrate = false;

  const auto missing = try_open(looking);
  (void)open(options());
  const auto current = try_open(looking);
  const auto behind = try_open(looking, {kNumbers, kNumbers});

  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().message.contains("has version 0 and this program needs 1"));
  EXPECT_TRUE(current) << current.error().message;
  ASSERT_FALSE(behind);
  EXPECT_EQ(behind.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(behind.error().message.contains("samtale migrate --sql --from 1"))
      << behind.error().message;
  EXPECT_EQ(try_open(looking, {}).error().code, ErrorCode::corrupt);
}

TEST_F(DatabaseTest, refuses_a_user_who_passes_over_row_level_security) {
  const auto admin = server().connect("admin");
  ASSERT_TRUE(admin->send("CREATE ROLE passes_over LOGIN BYPASSRLS"));
  ASSERT_TRUE(admin->sync(clock_.now() + std::chrono::seconds(30)));
  for (const std::string user : {"admin", "passes_over"}) {
    auto as_user = options();
    as_user.pool.address = server().address(user);

    const auto refused = try_open(as_user);

    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_TRUE(refused.error().message.contains(user)) << refused.error().message;
  }
}

TEST_F(DatabaseTest, names_the_settings_by_which_a_server_forgets) {
  const auto database = open(options());

  EXPECT_EQ(database->unsafe_settings().value(),
            (std::vector<std::string>{"fsync = off", "full_page_writes = off"}));
}

// K7 of the catalogue of faults. Each asks for its own canary over the few connections that all
// share, and many are cut short: by the server, by their deadline, by nobody taking the answer, by
// the end of the session.
TEST_F(DatabaseTest, gives_nobody_what_another_had_asked_for_who_was_cut_short) {
  auto impatient = options(3);
  impatient.pool.statement_timeout = std::chrono::milliseconds(200);
  const auto database = open(impatient);
  std::atomic<int> answered = 0;
  std::atomic<int> cut = 0;
  const auto work = [&](std::int64_t company) {
    const auto canary = "canary" + std::to_string(company);
    const Scope scope{.company = CompanyId{company}};
    for (int i = 0; i < 24; ++i) {
      if (i % 4 == 1) {
        auto dropped = database->begin(scope);
        if (dropped) (void)dropped->later("SELECT $1, pg_sleep(0.001)", canary);
        continue;
      }
      const auto* sql = i % 4 == 2   ? "SELECT $1, pg_sleep(1)::text"
                        : i % 4 == 3 ? "SELECT $1, pg_terminate_backend(pg_backend_pid())::text"
                                     : "SELECT $1, current_setting('samtale.company')";
      const auto rows = database->read(scope, sql, canary);
      if (!rows) {
        ++cut;
        continue;
      }
      ++answered;
      EXPECT_EQ(rows->bytes(0, 0), canary);
      if (i % 4 != 0) continue;
      EXPECT_EQ(rows->bytes(0, 1), std::to_string(company));
    }
  };
  std::vector<std::thread> companies;
  for (std::int64_t company = 1; company <= 6; ++company) companies.emplace_back(work, company);
  for (auto& company : companies) company.join();

  EXPECT_GT(answered, 0);
  EXPECT_GT(cut, 0);
}

TEST_F(DatabaseTest, refuses_a_schema_whose_name_would_need_quotes) {
  auto quoted = options();
  quoted.schema = "a\"; DROP";

  EXPECT_EQ(try_open(quoted).error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(migration_sql(quoted.schema, {}, 0, {}));
}

TEST_F(DatabaseTest, connects_anew_after_the_server_was_restarted) {
  const auto database = open(options());
  ASSERT_TRUE(insert(*database, 1));

  server().crash();

  EXPECT_EQ(count(*database), 1);
}

TEST_F(DatabaseTest, runs_the_loser_of_a_deadlock_again) {
  const auto database = open(options());
  ASSERT_TRUE(insert(*database, 1));
  ASSERT_TRUE(insert(*database, 2));
  std::atomic<int> runs = 0;
  std::atomic<int> holding = 0;
  const auto move_both = [&](std::int64_t first, std::int64_t second) {
    const auto done = in_transaction(
        *database, {}, Durability::power_loss, [&](Transaction& transaction) -> Result<> {
          constexpr auto kMove = "UPDATE numbers SET n = n WHERE n = $1";
          const bool is_first_run = ++runs <= 2;
          SAMTALE_TRY_VOID(transaction.run(kMove, first));
          ++holding;
          while (is_first_run && holding < 2) std::this_thread::yield();
          SAMTALE_TRY_VOID(transaction.run(kMove, second));
          return {};
        });
    EXPECT_TRUE(done) << done.error().message;
  };

  std::thread other([&] { move_both(2, 1); });
  move_both(1, 2);
  other.join();

  EXPECT_GE(runs, 3) << "more if the loser is back before the winner has woken up";
}

TEST_F(DatabaseTest, says_when_the_outcome_of_a_commit_is_unknown) {
  CutProxy proxy(server().socket_path());
  auto through_proxy = options(1);
  through_proxy.pool.address = proxy.address();
  const auto database = open(through_proxy);
  for (const auto cut : {Cut::before_commit, Cut::after_commit}) {
    auto transaction = database->begin({}).value();
    ASSERT_TRUE(transaction.later("INSERT INTO numbers VALUES($1)", static_cast<int>(cut)));
    proxy.cut_next(cut);

    const auto cut_short = transaction.commit();

    ASSERT_FALSE(cut_short);
    EXPECT_EQ(cut_short.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(transaction.outcome_is_unknown());
  }

  const auto kept = database->read({}, "SELECT n FROM numbers").value();

  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept.integer(0, 0), static_cast<int>(Cut::after_commit));
}

TEST_F(DatabaseTest, says_that_all_connections_are_in_use) {
  auto few = options(1);
  few.pool.acquire_timeout = std::chrono::seconds(1);
  const auto database = open(few);
  const auto transaction = database->begin({}).value();

  const auto refused = database->read({}, "SELECT 1");

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  const auto pool = database->pool().stats();
  EXPECT_EQ(pool.leased, 1u);
  EXPECT_EQ(pool.waits, 1u);
  EXPECT_EQ(pool.refused, 1u);
  EXPECT_GE(pool.waited, few.pool.acquire_timeout);
}

TEST_F(DatabaseTest, shares_its_connections_between_more_threads) {
  const auto database = open(options(2));
  std::vector<std::thread> threads;
  for (std::int64_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (std::int64_t k = 0; k < 25; ++k) EXPECT_TRUE(insert(*database, i * 100 + k));
    });
  }
  for (auto& thread : threads) thread.join();

  EXPECT_EQ(count(*database), 200);
  EXPECT_LE(database->pool().stats().opened, 2u);
}

TEST(PoolTest, lets_a_connection_go_at_the_end_of_its_life) {
  SimClock clock;
  Pool pool({.address = PostgresProcess::shared().address(), .lifetime = std::chrono::minutes(1)},
            clock);
  const auto pid = [&] {
    auto lease = pool.acquire().value();
    EXPECT_TRUE(lease->send("SELECT pg_backend_pid()"));
    return lease->sync(pool.deadline()).value()[0].integer(0, 0);
  };
  const auto first = pid();
  const auto second = pid();

  clock.advance(std::chrono::minutes(1));

  EXPECT_EQ(second, first);
  EXPECT_NE(pid(), first);
}

TEST(PoolTest, lets_all_connections_go_once_one_has_refused_to_write) {
  const SystemClock clock;
  Pool pool({.address = PostgresProcess::shared().address()}, clock);
  const auto ask = [&](Lease& lease, const std::string& statement) {
    EXPECT_TRUE(lease->send(statement));
    return lease->sync(pool.deadline());
  };
  const auto pid = [&](Lease& lease) {
    return ask(lease, "SELECT pg_backend_pid()").value()[0].integer(0, 0);
  };
  std::set<std::int64_t> before;
  {
    auto first = pool.acquire().value();
    auto second = pool.acquire().value();
    before = {pid(first), pid(second)};
  }
  {
    auto refused = pool.acquire().value();
    ASSERT_TRUE(ask(refused, "SET default_transaction_read_only = on"));
    ASSERT_FALSE(ask(refused, "CREATE TABLE never(n bigint)"));
    EXPECT_TRUE(refused->is_usable()) << "the outcome is known";
  }

  auto third = pool.acquire().value();
  auto fourth = pool.acquire().value();

  EXPECT_FALSE(before.contains(pid(third)));
  EXPECT_FALSE(before.contains(pid(fourth)));
}

}  // namespace
}  // namespace samtale::postgres

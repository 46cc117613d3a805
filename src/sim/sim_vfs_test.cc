// Goal: SQLite on SimVfs keeps what it promises and loses what it does not promise, so that a
// simulation over it proves something.
// Method: random transactions until the machine stops at a random change, then power loss (or only
// the process dies), reopening, and comparing the whole table with a model. The same run with
// synchronous=NORMAL must find losses: the test of the test.
#include "sim/sim_vfs.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>

namespace samtale {
namespace {

using Rows = std::map<std::int64_t, std::string>;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

bool run_sql(sqlite3* database, const std::string& sql) {
  return sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::string first_text(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) return "error";
  std::string out = "none";
  if (sqlite3_step(statement) == SQLITE_ROW) {
    out = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  return out;
}

Rows all_rows(sqlite3* database) {
  Rows rows;
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(database, "SELECT k, v FROM kv", -1, &statement, nullptr),
            SQLITE_OK);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    rows[sqlite3_column_int64(statement, 0)] =
        reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
  }
  sqlite3_finalize(statement);
  return rows;
}

class World {
 public:
  explicit World(std::uint64_t seed) : random(seed) {}

  Database open(const std::string& synchronous) {
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    EXPECT_EQ(sqlite3_open_v2("db", &raw, flags, vfs.name().c_str()), SQLITE_OK);
    Database database(raw);
    EXPECT_EQ(first_text(raw, "PRAGMA journal_mode=WAL"), "wal");
    EXPECT_TRUE(run_sql(raw, "PRAGMA synchronous=" + synchronous + "; PRAGMA cache_size=10;"));
    return database;
  }

  // One transaction; true if it was acknowledged. `rows` is what it makes of them.
  bool transact(sqlite3* database, Rows& rows) {
    std::string sql = "BEGIN IMMEDIATE;";
    for (auto changes = 1 + random.below(6); changes > 0; --changes) {
      const auto key = static_cast<std::int64_t>(random.below(40));
      if (random.one_in(4)) {
        sql += "DELETE FROM kv WHERE k=" + std::to_string(key) + ";";
        rows.erase(key);
      } else {
        rows[key] = std::string(random.below(3000), static_cast<char>('a' + random.below(26)));
        sql += "REPLACE INTO kv VALUES(" + std::to_string(key) + ",'" + rows[key] + "');";
      }
    }
    return run_sql(database, sql + "COMMIT;");
  }

  SimRandom random;
  SimFiles files{random};
  SimClock clock;
  SimVfs vfs{"sim-test", files, random, clock};
};

// How often the table was neither what had been acknowledged nor that and the transaction in
// flight.
int losses(std::uint64_t seed, const std::string& synchronous, bool loses_power) {
  World world(seed);
  auto database = world.open(synchronous);
  EXPECT_TRUE(run_sql(database.get(),
                      "PRAGMA synchronous=FULL; CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT);"
                      "PRAGMA wal_checkpoint(TRUNCATE);PRAGMA synchronous=" +
                          synchronous));
  Rows acknowledged;
  int lost = 0;
  for (int life = 0; life < 3; ++life) {
    world.files.stop_at_change(1 + world.random.below(150));
    Rows in_flight = acknowledged;
    while (world.transact(database.get(), in_flight)) {
      acknowledged = in_flight;
      if (world.random.one_in(12)) run_sql(database.get(), "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    EXPECT_TRUE(world.files.is_down()) << "SQLite failed by itself";
    loses_power ? world.files.crash() : world.files.kill();
    database.reset();
    world.files.start();
    database = world.open(synchronous);
    EXPECT_EQ(first_text(database.get(), "PRAGMA integrity_check"), "ok");
    const auto rows = all_rows(database.get());
    if (rows != acknowledged && rows != in_flight) ++lost;
    acknowledged = rows;
  }
  return lost;
}

TEST(SimVfsTest, sqlite_with_synchronous_full_loses_no_acknowledged_commit) {
  for (std::uint64_t seed = 1; seed <= 200 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));

    EXPECT_EQ(losses(seed, "FULL", true), 0);
  }
}

TEST(SimVfsTest, sqlite_with_synchronous_normal_survives_the_death_of_its_process) {
  for (std::uint64_t seed = 1; seed <= 50 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));

    EXPECT_EQ(losses(seed, "NORMAL", false), 0);
  }
}

TEST(SimVfsTest, sqlite_with_synchronous_normal_is_seen_to_lose_commits_with_the_power) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) lost += losses(seed, "NORMAL", true);

  EXPECT_GT(lost, 25);
}

TEST(SimVfsTest, two_connections_keep_out_of_each_others_way) {
  World world(1);
  auto one = world.open("FULL");
  auto two = world.open("FULL");
  ASSERT_TRUE(run_sql(one.get(), "CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)"));

  ASSERT_TRUE(run_sql(one.get(), "BEGIN IMMEDIATE; INSERT INTO kv VALUES(1,'x')"));
  EXPECT_FALSE(run_sql(two.get(), "BEGIN IMMEDIATE"));
  EXPECT_TRUE(all_rows(two.get()).empty()) << "nothing uncommitted is seen";
  ASSERT_TRUE(run_sql(one.get(), "COMMIT"));

  EXPECT_EQ(all_rows(two.get()), (Rows{{1, "x"}}));
  EXPECT_TRUE(run_sql(two.get(), "INSERT INTO kv VALUES(2,'y')"));
}

TEST(SimVfsTest, a_rollback_journal_survives_power_loss_too) {
  World world(3);
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open_v2("db", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "sim-test"),
            SQLITE_OK);
  Database database(raw);
  ASSERT_TRUE(run_sql(raw,
                      "PRAGMA synchronous=EXTRA; CREATE TABLE kv(k INTEGER PRIMARY KEY, v);"
                      "INSERT INTO kv VALUES(1,'kept')"));

  ASSERT_TRUE(run_sql(raw, "BEGIN; INSERT INTO kv VALUES(2,'lost')"));
  world.files.crash();
  database.reset();
  world.files.start();

  ASSERT_EQ(sqlite3_open_v2("db", &raw, SQLITE_OPEN_READWRITE, "sim-test"), SQLITE_OK);
  database.reset(raw);
  EXPECT_EQ(all_rows(raw), (Rows{{1, "kept"}}));
}

TEST(SimVfsTest, sqlite_takes_its_time_from_the_simulated_clock) {
  World world(1);
  auto database = world.open("FULL");

  EXPECT_EQ(first_text(database.get(), "SELECT datetime('now')"), "2026-01-01 00:00:00");
}

TEST(SimVfsTest, a_full_disk_is_reported_and_leaves_the_database_whole) {
  World world(1);
  auto database = world.open("FULL");
  ASSERT_TRUE(run_sql(database.get(), "CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)"));
  world.files.set_capacity(60'000);

  Rows rows;
  Rows before;
  while (world.transact(database.get(), rows)) before = rows;

  EXPECT_EQ(sqlite3_errcode(database.get()), SQLITE_FULL);
  sqlite3_exec(database.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  EXPECT_EQ(all_rows(database.get()), before);
}

}  // namespace
}  // namespace samtale

#include "sqlite/database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "sim/sim_vfs.h"

namespace samtale::sqlite {
namespace {

constexpr std::array kSchema = {"CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT) STRICT"};
constexpr auto kInsert = "INSERT INTO notes(text) VALUES(?1)";

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() : folder_(std::filesystem::temp_directory_path() / "samtale-sqlite-XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    options_.path = folder_ + "/notes.db";
    options_.create = true;
  }
  ~DatabaseTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Database> open(std::span<const Migration> schema = kSchema) {
    auto database = Database::open(options_, schema);
    EXPECT_TRUE(database) << database.error().message;
    return database ? *std::move(database) : nullptr;
  }
  static Result<> insert(Database& database, std::string_view text,
                         Durability durability = Durability::process) {
    SAMTALE_TRY(auto transaction, database.begin(durability));
    SAMTALE_TRY_VOID(transaction.connection().run(kInsert, text));
    return transaction.commit();
  }
  static std::int64_t count(const Database& database) {
    const auto snapshot = database.snapshot();
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    return snapshot->connection().integer("SELECT count(*) FROM notes")->value();
  }

  std::string folder_;
  DatabaseOptions options_;
};

TEST_F(DatabaseTest, keeps_what_was_committed_over_a_restart) {
  ASSERT_TRUE(insert(*open(), "kept"));

  EXPECT_EQ(count(*open()), 1);
}

TEST_F(DatabaseTest, undoes_what_was_not_committed) {
  const auto database = open();
  {
    auto transaction = database->begin().value();
    ASSERT_TRUE(transaction.connection().run(kInsert, "gone"));
  }

  EXPECT_EQ(count(*database), 0);
  EXPECT_TRUE(insert(*database, "and the next is fine"));
}

TEST_F(DatabaseTest, gives_back_what_was_bound) {
  const auto database = open();
  auto transaction = database->begin().value();

  auto row = transaction.connection().prepare("SELECT ?1, ?2, ?3, ?4, ?5, ?6").value();
  ASSERT_TRUE(row.bind(std::int64_t{-7}, 2.5, std::string("a\0b", 3), Blob{""}, nullptr,
                       std::optional<int>()));
  ASSERT_TRUE(row.step().value());

  EXPECT_EQ(row.integer(0), -7);
  EXPECT_EQ(row.real(1), 2.5);
  EXPECT_EQ(row.bytes(2), std::string_view("a\0b", 3));
  EXPECT_FALSE(row.is_null(3));
  EXPECT_TRUE(row.is_null(4));
  EXPECT_TRUE(row.is_null(5));
}

TEST_F(DatabaseTest, reads_as_of_one_moment) {
  const auto database = open();
  const auto snapshot = database->snapshot().value();
  const auto before = snapshot.connection().integer("SELECT count(*) FROM notes")->value();

  ASSERT_TRUE(insert(*database, "later"));

  EXPECT_EQ(snapshot.connection().integer("SELECT count(*) FROM notes")->value(), before);
  EXPECT_EQ(count(*database), before + 1);
}

TEST_F(DatabaseTest, lets_no_reader_write) {
  const auto database = open();
  const auto snapshot = database->snapshot().value();

  EXPECT_FALSE(snapshot.connection().run(kInsert, "no"));
}

TEST_F(DatabaseTest, works_without_readers) {
  options_.readers_max = 0;
  const auto database = open();

  ASSERT_TRUE(insert(*database, "a"));

  EXPECT_EQ(count(*database), 1);
}

TEST_F(DatabaseTest, refuses_to_make_a_file_unasked) {
  options_.create = false;

  const auto missing = Database::open(options_, kSchema);

  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

TEST_F(DatabaseTest, runs_only_the_migrations_the_file_has_not_seen) {
  ASSERT_TRUE(insert(*open(), "old"));
  const std::array newer = {kSchema[0], "ALTER TABLE notes ADD COLUMN stars INTEGER"};

  const auto database = open(newer);

  EXPECT_EQ(count(*database), 1);
  EXPECT_TRUE(database->snapshot()->connection().integer("SELECT max(stars) FROM notes"));
}

TEST_F(DatabaseTest, takes_a_failed_migration_up_where_it_stopped) {
  const std::array broken = {kSchema[0], "CREATE TABLE more(id INTEGER); nonsense"};
  const std::array repaired = {kSchema[0], "CREATE TABLE more(id INTEGER)"};

  const auto failed = Database::open(options_, broken);

  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("migration 2"), std::string::npos);
  EXPECT_TRUE(open(repaired));
}

TEST_F(DatabaseTest, refuses_a_newer_schema_naming_both_versions) {
  const std::array newer = {kSchema[0], "CREATE TABLE more(id INTEGER)"};
  open(newer);

  const auto refused = Database::open(options_, kSchema);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
  EXPECT_NE(refused.error().message.find("version 2"), std::string::npos);
  EXPECT_NE(refused.error().message.find("up to 1"), std::string::npos);
}

TEST_F(DatabaseTest, refuses_a_database_of_another_program) {
  auto other = Connection::open(options_.path, {.vfs = "", .writable = true, .create = true});
  ASSERT_TRUE(other.value()->script("CREATE TABLE theirs(id INTEGER)"));

  const auto refused = Database::open(options_, kSchema);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
}

TEST_F(DatabaseTest, calls_a_file_of_other_bytes_corrupt) {
  auto* file = std::fopen(options_.path.c_str(), "w");
  for (int i = 0; i < 1000; ++i) std::fputs("no database ", file);
  std::fclose(file);

  const auto refused = Database::open(options_, kSchema);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
}

TEST_F(DatabaseTest, goes_on_reading_when_the_disk_is_full_and_on_writing_when_it_is_not) {
  options_.pages_max = 20;
  const std::string page(4000, 'x');
  {
    const auto database = open();
    Result<> written;
    for (int i = 0; i < 100 && written; ++i) written = insert(*database, page);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::unavailable);
    EXPECT_GT(count(*database), 0);
    EXPECT_TRUE(database->begin());
  }
  options_.pages_max = 200;

  const auto database = open();

  EXPECT_TRUE(insert(*database, page));
}

TEST_F(DatabaseTest, never_checkpoints_unasked_and_then_wholly) {
  const auto database = open();
  for (int i = 0; i < 1200; ++i) ASSERT_TRUE(insert(*database, "x"));
  const auto wal = options_.path + "-wal";
  EXPECT_GT(database->wal_bytes(), 1200u * 4096);
  EXPECT_GE(std::filesystem::file_size(wal), database->wal_bytes());

  ASSERT_TRUE(database->checkpoint(Duration::zero()));

  EXPECT_EQ(database->wal_bytes(), 0u);
  EXPECT_EQ(std::filesystem::file_size(wal), 0u);
}

TEST_F(DatabaseTest, waits_for_no_reader_longer_than_told) {
  const auto database = open();
  ASSERT_TRUE(insert(*database, "x"));
  const auto snapshot = database->snapshot().value();
  ASSERT_TRUE(snapshot.connection().integer("SELECT count(*) FROM notes"));
  ASSERT_TRUE(insert(*database, "y"));

  const auto done = database->checkpoint(std::chrono::milliseconds(10));

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(insert(*database, "writing goes on"));
}

TEST_F(DatabaseTest, moves_a_log_over_its_limit_before_the_next_write) {
  options_.wal_bytes_max = 100'000;
  const auto database = open();

  for (int i = 0; i < 200; ++i) ASSERT_TRUE(insert(*database, "x"));

  EXPECT_LT(database->wal_bytes(), 120'000u);
}

TEST_F(DatabaseTest, leaves_no_deleted_byte_after_a_checkpoint) {
  const auto database = open();
  const std::string canary = "canary-4711";
  ASSERT_TRUE(insert(*database, canary));
  auto transaction = std::make_unique<Transaction>(database->begin().value());
  ASSERT_TRUE(transaction->connection().run("DELETE FROM notes"));
  ASSERT_TRUE(transaction->commit());
  transaction.reset();

  ASSERT_TRUE(database->checkpoint(Duration::zero()));

  for (const auto& file : std::filesystem::directory_iterator(folder_)) {
    std::string bytes(std::filesystem::file_size(file), '\0');
    auto* stream = std::fopen(file.path().c_str(), "r");
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), stream));
    std::fclose(stream);
    EXPECT_EQ(bytes.find(canary), std::string::npos) << file.path();
  }
}

// SQLite's real code on a disk that fails and loses power.
class FailingDiskTest : public DatabaseTest {
 protected:
  FailingDiskTest() {
    options_.path = "/notes.db";
    options_.vfs = vfs_.name();
  }

  SimRandom random_{1};
  SimFiles files_{random_};
  SimClock clock_;
  SimVfs vfs_{"database_test", files_, random_, clock_};
};

TEST_F(FailingDiskTest, writes_nothing_more_after_a_failed_sync_until_opened_anew) {
  auto database = open();
  ASSERT_TRUE(insert(*database, "a", Durability::power_loss));
  files_.fail_sync(1, SimFault::io_error);

  const auto failed = insert(*database, "b", Durability::power_loss);
  const auto refused = insert(*database, "c", Durability::power_loss);

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no more writes"), std::string::npos);
  EXPECT_FALSE(database->checkpoint(Duration::zero()));
  EXPECT_EQ(count(*database), 1);
  database.reset();
  database = open();
  EXPECT_TRUE(insert(*database, "d", Durability::power_loss));
}

TEST_F(FailingDiskTest, goes_on_after_a_full_disk) {
  const auto database = open();
  ASSERT_TRUE(insert(*database, "a", Durability::power_loss));
  files_.fail_write(1, SimFault::disk_full);

  const auto failed = insert(*database, "b", Durability::power_loss);

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(insert(*database, "c", Durability::power_loss));
  EXPECT_EQ(count(*database), 2);
}

TEST_F(FailingDiskTest, keeps_power_loss_commits_and_whole_transactions_over_a_loss_of_power) {
  auto database = open();
  ASSERT_TRUE(insert(*database, "kept", Durability::power_loss));
  ASSERT_TRUE(insert(*database, "perhaps", Durability::process));
  files_.crash();
  database.reset();
  files_.start();

  database = open();

  EXPECT_GE(count(*database), 1);
  EXPECT_LE(count(*database), 2);
}

TEST_F(FailingDiskTest, keeps_process_commits_over_the_death_of_the_process) {
  auto database = open();
  ASSERT_TRUE(insert(*database, "kept", Durability::process));
  files_.kill();
  database.reset();
  files_.start();

  EXPECT_EQ(count(*open()), 1);
}

// Three transactions: the later two wait to begin while the first writes.
class GroupCommitTest : public FailingDiskTest {
 protected:
  GroupCommitTest() {
    EXPECT_TRUE(insert(*database, "first", Durability::power_loss));  // Syncs the log's head too.
    files_.during_syncs([this](const std::string&) { ++syncs; });
  }
  ~GroupCommitTest() override { files_.during_syncs({}); }

  using Write = std::function<Result<>(Connection&)>;

  static Write note(std::string text) {
    return [text](Connection& connection) { return connection.run(kInsert, text); };
  }
  static Result<> write(Database& database, Durability durability, const Write& work) {
    SAMTALE_TRY(auto transaction, database.begin(durability));
    SAMTALE_TRY_VOID(work(transaction.connection()));
    return transaction.commit_together();
  }
  // How each ended, in the order of `works`.
  static std::array<Result<>, 3> write_at_once(Database& database, std::array<Write, 3> works,
                                               std::array<Durability, 3> durability = {
                                                   Durability::power_loss, Durability::power_loss,
                                                   Durability::power_loss}) {
    std::array<Result<>, 3> ends;
    std::vector<std::jthread> others;
    const auto first = [&](Connection& connection) {
      for (std::size_t i = 1; i < works.size(); ++i) {
        others.emplace_back([&, i] { ends[i] = write(database, durability[i], works[i]); });
        while (database.waiting() < static_cast<int>(i)) std::this_thread::yield();
      }
      return works[0](connection);
    };
    ends[0] = write(database, durability[0], first);
    others.clear();
    return ends;
  }

  std::unique_ptr<Database> database = open();
  int syncs = 0;
};

TEST_F(GroupCommitTest, commits_what_waits_with_one_sync_and_all_of_it) {
  const auto ends = write_at_once(*database, {note("a"), note("b"), note("c")});

  for (const auto& end : ends) EXPECT_TRUE(end);
  EXPECT_EQ(count(*database), 1 + 3);
  EXPECT_EQ(syncs, 1);
}

TEST_F(GroupCommitTest, tells_each_that_the_sync_failed) {
  files_.fail_sync(1, SimFault::io_error);

  const auto ends = write_at_once(*database, {note("a"), note("b"), note("c")});

  for (const auto& end : ends) EXPECT_FALSE(end);
  EXPECT_EQ(count(*database), 1);
  EXPECT_FALSE(insert(*database, "no more", Durability::power_loss));
}

TEST_F(GroupCommitTest, undoes_one_that_fails_and_keeps_those_beside_it) {
  const auto failing = [](Connection& connection) -> Result<> {
    SAMTALE_TRY_VOID(connection.run(kInsert, "gone"));
    return fail(ErrorCode::conflict, "thought better of it");
  };
  for (std::size_t place = 0; place < 3; ++place) {
    std::array<Write, 3> works = {note("a"), note("b"), note("c")};
    works[place] = failing;

    const auto ends = write_at_once(*database, works);

    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(ends[i].has_value(), i != place) << place;
  }
  EXPECT_EQ(count(*database), 1 + 6);
  const auto gone =
      database->snapshot()->connection().integer("SELECT count(*) FROM notes WHERE text = 'gone'");
  EXPECT_EQ(gone->value(), 0);
}

TEST_F(GroupCommitTest, tells_all_where_sqlite_undid_the_whole) {
  const auto breaks = [](Connection& connection) -> Result<> {
    SAMTALE_TRY_VOID(connection.run("ROLLBACK"));  // As SQLite does for some errors of the disk.
    return fail(ErrorCode::unavailable, "broken");
  };

  const auto ends = write_at_once(*database, {note("a"), breaks, note("c")});

  EXPECT_FALSE(ends[1]);
  EXPECT_EQ(count(*database), 1 + int{ends[0].has_value()} + int{ends[2].has_value()});
  EXPECT_FALSE(ends[0] && ends[2]) << "one of them had written before";
  EXPECT_TRUE(insert(*database, "and the next is fine"));
}

TEST_F(GroupCommitTest, syncs_where_one_asks_for_it_though_another_does_not) {
  const auto ends =
      write_at_once(*database, {note("a"), note("b"), note("c")},
                    {Durability::process, Durability::power_loss, Durability::process});

  for (const auto& end : ends) EXPECT_TRUE(end);
  EXPECT_EQ(count(*database), 1 + 3);
  EXPECT_EQ(syncs, 1);
}

TEST_F(DatabaseTest, serves_many_threads) {
  const auto database = open();
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&] {
        std::int64_t seen = 0;
        for (int i = 0; i < 20; ++i) {
          if (!insert(*database, "x")) ++failures;
          const auto now = count(*database);
          if (now <= seen) ++failures;
          seen = now;
        }
      });
    }
  }

  EXPECT_EQ(failures, 0);
  EXPECT_EQ(count(*database), 160);
}

}  // namespace
}  // namespace samtale::sqlite

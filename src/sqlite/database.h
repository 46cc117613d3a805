// Database: one SQLite file in WAL mode with one writing connection and a few reading ones.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/connection.h"
#include "sys/clock.h"

namespace samtale::sqlite {

// One step of the schema. Steps are numbered 1, 2, … by their place and never change once released.
using Migration = const char*;

struct DatabaseOptions {
  std::string path;
  std::string vfs;      // Name of a registered SQLite VFS; empty: the default.
  bool create = false;  // Makes the file if it is missing; else that is not_found.
  // Reading connections, opened when first needed. 0: reads share the writing connection and the
  // file is locked exclusively, which a VFS without shared memory needs.
  std::size_t readers_max = 4;
  std::size_t cache_bytes = std::size_t{16} << 20;  // Page cache: half writer, half readers.
  Duration busy_timeout = std::chrono::seconds(5);  // For a lock another program holds.
  // A transaction that begins with a longer write-ahead log moves it into the database first.
  std::size_t wal_bytes_max = std::size_t{64} << 20;
  std::int64_t pages_max = 0;  // Of 4 KiB; more is "disk full". 0: SQLite's own limit.
};

// How much a commit must survive.
enum class Durability : std::uint8_t {
  process,  // A crash of the process: no fsync. On disk with the next power_loss commit.
  power_loss,
};

class Database;
struct CommitGroup;

// The writes between begin() and commit(); undone if it ends without commit. Holds the writing
// connection: whatever memory mirrors the file is brought up to date before letting go of it.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  [[nodiscard]] Connection& connection() const { return *connection_; }
  // On an error nothing of it has taken effect here; after unavailable from the disk itself it may
  // show after a restart.
  Result<> commit();
  // The same with one fsync for many (group commit): where others wait to write, lets go of the
  // connection, and returns once one of them has committed for all. So memory that mirrors the file
  // may be brought up to date in another order than the file was, and no thread may hold here what
  // another's transaction waits for.
  Result<> commit_together();

 private:
  friend class Database;
  Transaction(Database& database, Connection& connection, std::shared_ptr<CommitGroup> group,
              std::unique_lock<std::mutex> lock);
  Result<> join();

  Database* database_;
  Connection* connection_;
  std::shared_ptr<CommitGroup> group_;
  bool is_nested_;  // In the transaction of others, who have written before.
  bool has_joined_ = false;
  std::unique_lock<std::mutex> lock_;
};

// Reads as of one moment. Keep it short: while it lives the write-ahead log cannot be truncated.
class Snapshot {
 public:
  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&&) = delete;
  ~Snapshot();

  [[nodiscard]] Connection& connection() const { return *connection_; }

 private:
  friend class Database;
  Snapshot(const Database& database, Connection& connection, std::unique_lock<std::mutex> lock)
      : database_(&database), connection_(&connection), lock_(std::move(lock)) {}

  const Database* database_;
  Connection* connection_;
  std::unique_lock<std::mutex> lock_;  // Of the writer, where there are no readers.
};

// Threads: any method from any thread; writers wait for each other, readers for a free connection.
//          A thread that holds a Transaction must not ask for another, nor for a Snapshot.
// Errors:  those of Connection. Once a write has met an I/O error every further write is
//          unavailable until the file is opened anew: what a failed fsync left is unknown.
// Source:  sqlite.org/wal.html; section "The WAL-Reset Bug" (3.7.0 to 3.51.2) needs two connections
//          that write or checkpoint, and here there is one.
class Database {
 public:
  // Opens, recovers and brings the schema up to date. corrupt, naming both versions, if the file's
  // schema is newer than `migrations`, and if the file is not ours.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(
      const DatabaseOptions& options, std::span<const Migration> migrations);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] Result<Transaction> begin(Durability durability = Durability::power_loss);
  [[nodiscard]] Result<Snapshot> snapshot() const;

  // Moves the whole write-ahead log into the database and truncates it to nothing. unavailable if
  // a reader holds it for longer than `patience`.
  Result<> checkpoint(Duration patience);
  [[nodiscard]] std::size_t wal_bytes() const;
  // Threads that wait in begin().
  [[nodiscard]] int waiting() const { return waiting_; }

  [[nodiscard]] const std::string& path() const { return options_.path; }

 private:
  friend class Transaction;
  friend class Snapshot;
  explicit Database(DatabaseOptions options) : options_(std::move(options)) {}

  Result<> open_writer();
  [[nodiscard]] Result<std::unique_ptr<Connection>> open_reader() const;
  Result<> checkpoint_locked(Duration patience);
  Result<> refuse_if_failed() const;
  Result<> set_durability(Durability durability);
  void leave_group(const Transaction& transaction);
  [[nodiscard]] bool will_go_on(const CommitGroup& group) const;
  void end_group();
  void give_back(Connection& reader) const;

  const DatabaseOptions options_;
  mutable std::mutex writer_mutex_;
  std::unique_ptr<Connection> writer_;              // Guarded by writer_mutex_.
  Durability durability_ = Durability::power_loss;  // Guarded by writer_mutex_.
  std::shared_ptr<CommitGroup> group_;              // Not committed yet. Guarded by writer_mutex_.
  std::atomic<int> waiting_ = 0;
  std::mutex ended_mutex_;  // Guards how each group ended.
  std::condition_variable group_ended_;
  std::atomic<int> wal_pages_ = 0;
  mutable std::mutex readers_mutex_;
  mutable std::condition_variable reader_free_;
  mutable std::vector<std::unique_ptr<Connection>> readers_;  // Guarded by readers_mutex_.
  mutable std::vector<Connection*> free_readers_;             // Guarded by readers_mutex_.
  mutable std::size_t opening_readers_ = 0;                   // Guarded by readers_mutex_.
};

// Runs those of `migrations` that the file has not seen, each in a transaction with its number, so
// that a crash in between is taken up where it stopped.
Result<> migrate(Connection& connection, std::span<const Migration> migrations);

}  // namespace samtale::sqlite

#include "sqlite/database.h"

#include <sqlite3.h>

#include <algorithm>

#include "base/check.h"

namespace samtale::sqlite {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kFrameBytes = kPageBytes + 24;  // A page in the write-ahead log.
constexpr int kGroupMax = 64;                         // Transactions committed as one.

int milliseconds(Duration length) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(length).count());
}

std::string cache_pragma(std::size_t bytes) {
  return "PRAGMA cache_size=-" + std::to_string(std::max<std::size_t>(bytes >> 10, 256)) + ";";
}

// SQLite tells the length of the log after each commit; with this hook it never checkpoints by
// itself.
int remember_wal_pages(void* pages, sqlite3*, const char*, int count) {
  static_cast<std::atomic<int>*>(pages)->store(count);
  return SQLITE_OK;
}

}  // namespace

// What is one transaction to SQLite. Each of ours but the first is a savepoint in it.
struct CommitGroup {
  Durability durability = Durability::power_loss;
  int joined = 0;  // Those that are to be committed.
  bool has_ended = false;
  Result<> outcome;
};

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options,
                                                 std::span<const Migration> migrations) {
  std::unique_ptr<Database> database(new Database(options));
  const std::lock_guard lock(database->writer_mutex_);
  SAMTALE_TRY_VOID(database->open_writer());
  if (auto done = migrate(*database->writer_, migrations); !done) {
    return std::unexpected(std::move(done).error().during(options.path));
  }
  // What the last process left in the log: it may be longer than the limit.
  SAMTALE_TRY_VOID(database->checkpoint_locked(options.busy_timeout));
  return database;
}

Database::~Database() = default;

Result<> Database::open_writer() {
  SAMTALE_TRY(writer_, Connection::open(options_.path,
                                        {.vfs = options_.vfs,
                                         .writable = true,
                                         .create = options_.create,
                                         .busy_timeout_ms = milliseconds(options_.busy_timeout)}));
  const bool exclusive = options_.readers_max == 0;
  const auto cache = exclusive ? options_.cache_bytes : options_.cache_bytes / 2;
  std::string pragmas = "PRAGMA page_size=" + std::to_string(kPageBytes) + ";";
  if (exclusive) pragmas += "PRAGMA locking_mode=EXCLUSIVE;";
  pragmas +=
      "PRAGMA journal_mode=WAL;"
      "PRAGMA wal_autocheckpoint=0;"
      "PRAGMA synchronous=FULL;"
      "PRAGMA secure_delete=ON;"
      "PRAGMA temp_store=MEMORY;"
      "PRAGMA mmap_size=0;";
  pragmas += cache_pragma(cache);
  if (options_.pages_max > 0) {
    pragmas += "PRAGMA max_page_count=" + std::to_string(options_.pages_max) + ";";
  }
  SAMTALE_TRY_VOID(writer_->script(pragmas));
  sqlite3_wal_hook(writer_->handle(), remember_wal_pages, &wal_pages_);
  SAMTALE_TRY(auto mode, writer_->prepare("PRAGMA journal_mode"));
  SAMTALE_TRY(const bool told, mode.step());
  if (!told || mode.bytes(0) != "wal") {
    return fail(ErrorCode::unavailable,
                options_.path +
                    ": the file system has no shared memory, which the write-ahead log "
                    "needs; use a local disk");
  }
  return {};
}

Result<std::unique_ptr<Connection>> Database::open_reader() const {
  SAMTALE_TRY(
      auto reader,
      Connection::open(options_.path, {.vfs = options_.vfs,
                                       .busy_timeout_ms = milliseconds(options_.busy_timeout)}));
  SAMTALE_TRY_VOID(
      reader->script("PRAGMA query_only=ON;PRAGMA mmap_size=0;PRAGMA temp_store=MEMORY;" +
                     cache_pragma(options_.cache_bytes / 2 / options_.readers_max)));
  return reader;
}

Result<> Database::refuse_if_failed() const {
  if (!writer_->io_failed()) return {};
  return fail(ErrorCode::unavailable,
              options_.path +
                  ": no more writes since an I/O error, because what the disk holds is unknown; "
                  "check the disk, then restart");
}

Result<> Database::set_durability(Durability durability) {
  if (durability == durability_) return {};
  // Not prepared once and kept: SQLite applies this pragma while it compiles it.
  SAMTALE_TRY_VOID(writer_->script(durability == Durability::power_loss
                                       ? "PRAGMA synchronous=FULL"
                                       : "PRAGMA synchronous=NORMAL"));
  durability_ = durability;
  return {};
}

Result<Transaction> Database::begin(Durability durability) {
  ++waiting_;
  std::unique_lock lock(writer_mutex_);
  --waiting_;
  // SQLite sets durability before a transaction.
  if (group_ && group_->durability < durability) end_group();
  if (group_) {
    auto begun = writer_->run("SAVEPOINT member");
    if (begun) return Transaction(*this, *writer_, group_, std::move(lock));
    end_group();
    return std::unexpected(std::move(begun).error());
  }
  SAMTALE_TRY_VOID(refuse_if_failed());
  if (wal_bytes() > options_.wal_bytes_max) {
    // A reader in the way is no reason to refuse the write: the next one tries again.
    auto moved = checkpoint_locked(Duration::zero());
    if (!moved) SAMTALE_TRY_VOID(refuse_if_failed());
  }
  SAMTALE_TRY_VOID(set_durability(durability));
  SAMTALE_TRY_VOID(writer_->run("BEGIN IMMEDIATE"));
  group_ = std::make_shared<CommitGroup>(CommitGroup{.durability = durability});
  return Transaction(*this, *writer_, group_, std::move(lock));
}

void Database::end_group() {
  const auto group = std::exchange(group_, nullptr);
  auto outcome = refuse_if_failed();
  // Some errors make SQLite undo the whole transaction.
  if (outcome && group->joined > 0 && !writer_->in_transaction()) {
    outcome = fail(ErrorCode::unavailable, options_.path + ": a write beside this one failed");
  }
  if (outcome && group->joined > 0) outcome = writer_->run("COMMIT");
  if (writer_->in_transaction()) {
    // If this fails the disk has, the connection knows, and begin() refuses from now on.
    const auto undone = writer_->run("ROLLBACK");
    SAMTALE_CHECK(undone || writer_->io_failed() || !writer_->in_transaction(),
                  "only a failed disk leaves a transaction open");
  }
  {
    const std::lock_guard lock(ended_mutex_);
    group->outcome = std::move(outcome);
    group->has_ended = true;
  }
  group_ended_.notify_all();
}

void Database::leave_group(const Transaction& transaction) {
  const auto& group = *transaction.group_;
  if (group.has_ended) return;
  if (transaction.is_nested_ && writer_->in_transaction()) {
    auto undone = writer_->run("ROLLBACK TO member");
    if (undone) undone = writer_->run("RELEASE member");
    SAMTALE_CHECK(undone || writer_->io_failed() || !writer_->in_transaction(),
                  "only a failed disk leaves a savepoint open");
  }
  if (group.joined == 0 || !will_go_on(group) || !writer_->in_transaction()) end_group();
}

// Whether somebody will come who can commit for all.
bool Database::will_go_on(const CommitGroup& group) const {
  // Without readers a snapshot may come first, which needs the connection for itself.
  return waiting_ > 0 && group.joined < kGroupMax && options_.readers_max > 0;
}

Result<Snapshot> Database::snapshot() const {
  if (options_.readers_max == 0) {
    std::unique_lock lock(writer_mutex_);
    SAMTALE_TRY_VOID(writer_->run("BEGIN"));
    return Snapshot(*this, *writer_, std::move(lock));
  }
  Connection* reader = nullptr;
  {
    std::unique_lock lock(readers_mutex_);
    reader_free_.wait(lock, [this] {
      return !free_readers_.empty() || readers_.size() + opening_readers_ < options_.readers_max;
    });
    if (free_readers_.empty()) {
      ++opening_readers_;
    } else {
      reader = free_readers_.back();
      free_readers_.pop_back();
    }
  }
  if (reader == nullptr) {
    auto opened = open_reader();
    const std::lock_guard lock(readers_mutex_);
    --opening_readers_;
    if (!opened) {
      reader_free_.notify_one();
      return std::unexpected(std::move(opened).error());
    }
    reader = readers_.emplace_back(*std::move(opened)).get();
  }
  if (auto begun = reader->run("BEGIN"); !begun) {
    give_back(*reader);
    return std::unexpected(std::move(begun).error());
  }
  return Snapshot(*this, *reader, {});
}

void Database::give_back(Connection& reader) const {
  {
    const std::lock_guard lock(readers_mutex_);
    free_readers_.push_back(&reader);
  }
  reader_free_.notify_one();
}

Result<> Database::checkpoint(Duration patience) {
  const std::lock_guard lock(writer_mutex_);
  if (group_) end_group();
  SAMTALE_TRY_VOID(refuse_if_failed());
  return checkpoint_locked(patience);
}

Result<> Database::checkpoint_locked(Duration patience) {
  SAMTALE_TRY_VOID(set_durability(Durability::power_loss));
  sqlite3_busy_timeout(writer_->handle(), milliseconds(patience));
  const int code = sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                             nullptr, nullptr);
  sqlite3_busy_timeout(writer_->handle(), milliseconds(options_.busy_timeout));
  if (code == SQLITE_BUSY) {
    return fail(ErrorCode::unavailable,
                options_.path + ": checkpoint: a reader held the write-ahead log for over " +
                    std::to_string(milliseconds(patience)) + " ms; try again");
  }
  if (code != SQLITE_OK) return writer_->failed(code, "checkpoint");
  wal_pages_ = 0;
  return {};
}

std::size_t Database::wal_bytes() const {
  return static_cast<std::size_t>(wal_pages_.load()) * kFrameBytes;
}

Transaction::Transaction(Database& database, Connection& connection,
                         std::shared_ptr<CommitGroup> group, std::unique_lock<std::mutex> lock)
    : database_(&database),
      connection_(&connection),
      group_(std::move(group)),
      is_nested_(group_->joined > 0),
      lock_(std::move(lock)) {}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(other.database_),
      connection_(std::exchange(other.connection_, nullptr)),
      group_(std::move(other.group_)),
      is_nested_(other.is_nested_),
      has_joined_(other.has_joined_),
      lock_(std::move(other.lock_)) {}

Transaction::~Transaction() {
  if (connection_ != nullptr && !has_joined_) database_->leave_group(*this);
}

// What it wrote is of the group from now on.
Result<> Transaction::join() {
  SAMTALE_TRY_VOID(database_->refuse_if_failed());
  if (is_nested_) SAMTALE_TRY_VOID(connection_->run("RELEASE member"));
  ++group_->joined;
  has_joined_ = true;
  return {};
}

Result<> Transaction::commit() {
  SAMTALE_TRY_VOID(join());
  database_->end_group();
  return group_->outcome;
}

Result<> Transaction::commit_together() {
  SAMTALE_TRY_VOID(join());
  if (!database_->will_go_on(*group_)) {
    database_->end_group();
    return group_->outcome;
  }
  lock_.unlock();
  std::unique_lock ended(database_->ended_mutex_);
  database_->group_ended_.wait(ended, [this] { return group_->has_ended; });
  return group_->outcome;
}

Snapshot::Snapshot(Snapshot&& other) noexcept
    : database_(other.database_),
      connection_(std::exchange(other.connection_, nullptr)),
      lock_(std::move(other.lock_)) {}

Snapshot::~Snapshot() {
  if (connection_ == nullptr) return;
  // Ending a transaction that has only read writes nothing; if it failed, so will the next BEGIN.
  [[maybe_unused]] const auto ended = connection_->run("ROLLBACK");
  if (!lock_.owns_lock()) database_->give_back(*connection_);
}

}  // namespace samtale::sqlite

#include "sqlite/connection.h"

#include <sqlite3.h>

#include "base/check.h"

namespace samtale::sqlite {
namespace {

ErrorCode code_of(int extended) {
  switch (extended & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
      return ErrorCode::unavailable;
    case SQLITE_TOOBIG:
      return ErrorCode::invalid_argument;
    default:  // CORRUPT, NOTADB, and a schema (ERROR, CONSTRAINT) that is not the one we made.
      return ErrorCode::corrupt;
  }
}

std::string_view remedy(int extended) {
  switch (extended & 0xff) {
    case SQLITE_FULL:
      return "; free space on the disk, writing goes on by itself";
    case SQLITE_IOERR:
      return "; check the disk, then restart";
    case SQLITE_BUSY:
      return "; is another program using the file?";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "; restore the file from a backup";
    default:
      return "";
  }
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path,
                                                     const ConnectionOptions& options) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= options.writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  if (options.create) flags |= SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (handle == nullptr) return fail(ErrorCode::unavailable, path + ": no memory to open it");
  std::unique_ptr<Connection> connection(new Connection(path, handle));
  if ((code & 0xff) == SQLITE_CANTOPEN && !options.create) {
    return fail(ErrorCode::not_found, path + ": " + sqlite3_errmsg(handle));
  }
  if (code != SQLITE_OK) return connection->failed(code, "open");
  sqlite3_busy_timeout(handle, options.busy_timeout_ms);
  // The last to close would checkpoint by itself, whoever it is: only the writer may, and only
  // while its disk works.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // A file made by somebody else must not run code of its choice through its schema.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

Connection::~Connection() {
  for (const auto& [sql, cached] : cache_) sqlite3_finalize(cached->statement);
  sqlite3_close(handle_);
}

std::unexpected<Error> Connection::failed(int code, std::string_view what) {
  SAMTALE_CHECK((code & 0xff) != SQLITE_MISUSE, "SQLite is called as its documentation says");
  const int extended =
      (code & 0xff) == (sqlite3_errcode(handle_) & 0xff) ? sqlite3_extended_errcode(handle_) : code;
  if ((extended & 0xff) == SQLITE_IOERR && extended != SQLITE_IOERR_NOMEM) io_failed_ = true;
  // The statement's beginning tells enough; its end could be long.
  std::string message = path_ + ": " + std::string(what.substr(0, 60)) + ": ";
  message += sqlite3_errmsg(handle_);
  message += " (" + std::to_string(extended) + ")";
  message += remedy(extended);
  return fail(code_of(extended), std::move(message));
}

Result<Statement> Connection::prepare(std::string_view sql) {
  auto found = cache_.find(sql);
  if (found == cache_.end()) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return failed(code, sql);
    auto cached = std::make_unique<Cached>(statement, false);
    found = cache_.emplace(std::string(sql), std::move(cached)).first;
  }
  auto& cached = *found->second;
  SAMTALE_CHECK(!cached.in_use, "a statement is finished before it is used again");
  cached.in_use = true;
  return Statement(*this, cached.statement, &cached.in_use);
}

Result<> Connection::script(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(code, sql);
  return {};
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle_); }
std::int64_t Connection::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }
bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Statement::Statement(Connection& connection, sqlite3_stmt* statement, bool* in_use)
    : connection_(&connection), statement_(statement), in_use_(in_use) {}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      in_use_(other.in_use_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  *in_use_ = false;
}

int Statement::bind_null(int place) { return sqlite3_bind_null(statement_, place); }
int Statement::bind_integer(int place, std::int64_t value) {
  return sqlite3_bind_int64(statement_, place, value);
}
int Statement::bind_real(int place, double value) {
  return sqlite3_bind_double(statement_, place, value);
}
int Statement::bind_bytes(int place, std::string_view bytes, bool blob, bool copy) {
  // A null pointer would bind NULL, and an empty string is not NULL.
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  const auto keep = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;
  return blob ? sqlite3_bind_blob64(statement_, place, data, bytes.size(), keep)
              : sqlite3_bind_text64(statement_, place, data, bytes.size(), keep, SQLITE_UTF8);
}

Result<> Statement::check_bind(int code) {
  if (code != SQLITE_OK) return connection_->failed(code, sqlite3_sql(statement_));
  return {};
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->failed(code, sqlite3_sql(statement_));
}

Result<> Statement::run_to_end() {
  bool more = true;
  while (more) {
    SAMTALE_TRY(more, step());
  }
  // Ready to run again with other values.
  sqlite3_reset(statement_);
  return {};
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string_view Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

}  // namespace samtale::sqlite

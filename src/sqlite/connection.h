// Connection and Statement: SQLite's C interface with types, cached statements and our errors.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace samtale::sqlite {

// Bytes bound as a BLOB; a plain string is bound as TEXT.
struct Blob {
  std::string_view bytes;
};

class Connection;

// One use of a cached statement; going out of scope resets it for the next.
// Threads: those of its Connection.
// Memory:  bytes(column) points into SQLite until the next step.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Binds ?1, ?2, … in order; copies strings, so temporaries are fine. Enums are bound as their
  // number, an empty optional and nullptr as NULL.
  template <class... Values>
  Result<> bind(const Values&... values) {
    return bind_all(true, values...);
  }

  // True: there is a row to read. False: done.
  [[nodiscard]] Result<bool> step();

  // Binds and runs to the end, without copying strings.
  template <class... Values>
  Result<> run(const Values&... values) {
    SAMTALE_TRY_VOID(bind_all(false, values...));
    return run_to_end();
  }

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;
  [[nodiscard]] std::string_view bytes(int column) const;  // TEXT or BLOB; empty for NULL.
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Connection;
  Statement(Connection& connection, sqlite3_stmt* statement, bool* in_use);

  template <class... Values>
  Result<> bind_all([[maybe_unused]] bool copy, const Values&... values) {
    int code = 0;
    [[maybe_unused]] int place = 0;
    ((code = code == 0 ? bind_one(++place, values, copy) : code), ...);
    return check_bind(code);
  }
  template <class T>
  int bind_one(int place, const T& value, [[maybe_unused]] bool copy) {
    if constexpr (std::is_same_v<T, std::nullptr_t>) {
      return bind_null(place);
    } else if constexpr (std::is_same_v<T, Blob>) {
      return bind_bytes(place, value.bytes, true, copy);
    } else if constexpr (std::is_enum_v<T> || std::integral<T>) {
      return bind_integer(place, static_cast<std::int64_t>(value));
    } else if constexpr (std::floating_point<T>) {
      return bind_real(place, value);
    } else if constexpr (requires { value.has_value(); }) {
      return value.has_value() ? bind_one(place, *value, copy) : bind_null(place);
    } else {
      return bind_bytes(place, std::string_view(value), false, copy);
    }
  }
  int bind_null(int place);
  int bind_integer(int place, std::int64_t value);
  int bind_real(int place, double value);
  int bind_bytes(int place, std::string_view bytes, bool blob, bool copy);
  Result<> check_bind(int code);
  Result<> run_to_end();

  Connection* connection_;
  sqlite3_stmt* statement_;
  bool* in_use_;
};

struct ConnectionOptions {
  std::string vfs;        // Name of a registered SQLite VFS; empty: the default.
  bool writable = false;  // Else opened read-only.
  bool create = false;    // Makes the file if it is missing.
  int busy_timeout_ms = 0;
};

// One SQLite connection. Its errors name the file, the SQL's first words and SQLite's reason.
// Threads: one at a time.
// Errors:  unavailable (SQLITE_FULL, IOERR, BUSY, READONLY, CANTOPEN, NOMEM), corrupt (CORRUPT,
//          NOTADB, or a schema that is not ours), invalid_argument (a value over SQLite's 1 GB).
class Connection {
 public:
  // not_found if the file is missing and not `create`.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const std::string& path,
                                                                const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // From the cache, or prepared and kept. A statement in use cannot be had twice (CHECK).
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);

  template <class... Values>
  Result<> run(std::string_view sql, const Values&... values) {
    SAMTALE_TRY(auto statement, prepare(sql));
    return statement.run(values...);
  }
  // Several statements without values, not cached: pragmas and schemas.
  Result<> script(const std::string& sql);

  // The first column of the first row; empty if there is no row or it is NULL.
  template <class... Values>
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view sql,
                                                            const Values&... values) {
    SAMTALE_TRY(auto statement, prepare(sql));
    SAMTALE_TRY_VOID(statement.bind(values...));
    SAMTALE_TRY(const bool found, statement.step());
    if (!found || statement.is_null(0)) return std::nullopt;
    return statement.integer(0);
  }

  [[nodiscard]] std::int64_t changes() const;  // Rows of the last INSERT, UPDATE, DELETE.
  [[nodiscard]] std::int64_t last_insert_id() const;
  [[nodiscard]] bool in_transaction() const;
  // True once the disk has failed under this connection: what is on it is not known any more.
  [[nodiscard]] bool io_failed() const { return io_failed_; }
  [[nodiscard]] sqlite3* handle() const { return handle_; }

  // The error of SQLite's result `code`, met while doing `what`.
  [[nodiscard]] std::unexpected<Error> failed(int code, std::string_view what);

 private:
  friend class Statement;
  struct Cached {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  Connection(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

  const std::string path_;
  sqlite3* const handle_;
  bool io_failed_ = false;
  std::unordered_map<std::string, std::unique_ptr<Cached>, Hash, std::equal_to<>> cache_;
};

}  // namespace samtale::sqlite

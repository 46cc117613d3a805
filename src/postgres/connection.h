// Connection: one session with a PostgreSQL server. Statements go out in pipelines, each call ends
// by a deadline, and errors are in our terms.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "postgres/value.h"
#include "sys/clock.h"

struct pg_conn;

namespace samtale::postgres {

// One of those that an Address names. Empty: as the address says.
struct Place {
  std::string host;
  std::string ip;
  std::string port;
};

struct Address {
  std::string url;  // "postgresql://user@host:5432/database", or libpq's "key=value key=value".
  std::string password;  // Empty: as the url says.
};

// What an SQLSTATE asks for (PostgreSQL 15, appendix A).
[[nodiscard]] ErrorCode code_of(std::string_view sqlstate);

// Only unnamed statements, unless names_statements(), and nothing else that outlives a transaction:
// behind a pooler in transaction mode the next transaction runs in another session.
// Threads: one at a time; calls block, at most until their deadline.
// Memory:  answers are held whole: the caller's LIMIT bounds them.
// Errors:  unavailable (away, restarting, full, a statement past its time, a race that was lost);
//          permission_denied; invalid_argument (a value PostgreSQL cannot hold); conflict (a key
//          that is taken); corrupt (damaged, or not our schema). A call cut short by its deadline
//          or by the network leaves the connection of no more use (is_usable()).
class Connection {
 public:
  // Of several hosts, and addresses of a host, each is tried in its turn, with its part of the
  // time: one that says nothing does not stand before the next. `clock` must outlive the
  // connection.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const Address& address,
                                                                const Clock& clock,
                                                                Instant deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // From here on a statement that is planned is prepared at its first use, the first kNamedMax that
  // differ; unless a pooler is in between. One has to make up the process that it tells of in the
  // handshake, by which a client cancels (PostgreSQL, "BackendKeyData"), for it knows of none yet:
  // the session is the server's own if the process that answers is that one. A name follows from
  // the statement's text: no other statement ever has it, whoever else uses the session. Plans are
  // made anew each minute: one made for an empty table reads all of what that has grown to.
  Result<> name_statements(Instant deadline);
  [[nodiscard]] bool names_statements() const { return names_statements_; }

  // Adds a statement with its parameters ($1, $2, …) to the pipeline. Nothing is waited for; what
  // is wrong with it shows in sync().
  template <class... Values>
  Result<> send(const std::string& sql, const Values&... values) {
    const std::array<Parameter, sizeof...(values)> parameters{Parameter(values)...};
    return send_all(sql, parameters);
  }
  Result<> send_all(const std::string& sql, std::span<const Parameter> parameters);

  // Ends the pipeline and waits for its answers, one a statement. Without a BEGIN in it or before
  // it, the pipeline is a transaction of its own. The error is that of the first statement that
  // failed; those after it have not been run.
  [[nodiscard]] Result<std::vector<Rows>> sync(Instant deadline);

  [[nodiscard]] bool is_usable() const { return is_usable_; }
  // A statement was refused because the session only reads: the server has become a standby, or
  // whoever runs it has said so. The session stays so when the server no longer is.
  [[nodiscard]] bool only_reads() const { return only_reads_; }
  // Usable, able to write, outside a transaction, and nothing has come that nobody asked for (as a
  // server says that it goes down). Asks nothing of the server.
  [[nodiscard]] bool is_quiet();
  // The last error was a race that another transaction won: the same once more may succeed.
  [[nodiscard]] bool has_lost_race() const { return has_lost_race_; }
  // Not to be used by anybody else, for what the caller has found out.
  void retire() { is_usable_ = false; }
  [[nodiscard]] std::size_t queued() const { return queued_; }  // Statements since the last sync.

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
  };

  Connection(pg_conn* connection, const Clock& clock) : connection_(connection), clock_(clock) {}

  [[nodiscard]] static Result<std::unique_ptr<Connection>> open_at(const Address& address,
                                                                   const Place& place,
                                                                   const Clock& clock,
                                                                   Instant deadline);
  Result<> handshake(Instant deadline);
  Result<> forget_old_plans();
  // The name of a statement that is prepared, or will be by then; empty: it has none.
  [[nodiscard]] Result<std::string> name_of(const std::string& sql,
                                            const std::vector<unsigned int>& types);
  Result<> wait(short events, Instant deadline);
  Result<> wait_for_answer(Instant deadline);
  [[nodiscard]] Error broken();
  [[nodiscard]] Error error_of(const pg_result* result);

  const std::unique_ptr<pg_conn, Close> connection_;
  const Clock& clock_;
  bool is_usable_ = true;
  bool only_reads_ = false;
  bool has_lost_race_ = false;
  std::size_t queued_ = 0;
  static constexpr std::size_t kNamedMax = 256;
  static constexpr Duration kPlansKept = std::chrono::minutes(1);
  bool names_statements_ = false;
  Instant planned_{};
  struct Named {
    std::string name;
    std::vector<unsigned int> types;  // Of its parameters.
  };
  std::unordered_map<std::string, Named> named_;  // By SQL.
  // Of what is in the pipeline: the SQL that is prepared there, "" for what is no caller's, or
  // nothing for a statement.
  std::deque<std::optional<std::string>> expected_;
};

}  // namespace samtale::postgres

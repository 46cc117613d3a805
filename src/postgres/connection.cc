#include "postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "sys/resolve.h"

namespace samtale::postgres {
namespace {

void ignore_notice(void*, const char*) {}

std::string trimmed(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

bool is_race(std::string_view sqlstate) {
  return sqlstate == "40001" ||  // serialization_failure
         sqlstate == "40P01" ||  // deadlock_detected
         sqlstate == "55P03";    // lock_not_available
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts{""};
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Where to connect, in order: libpq waits without end for a name, and for a host that says nothing.
// What it makes of an address that is not to be taken apart, it says itself.
Result<std::vector<Place>> places_of(const Address& address, const Clock& clock, Instant deadline) {
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(
      ::PQconninfoParse(address.url.c_str(), nullptr), ::PQconninfoFree);
  const auto given = [&](std::string_view name) {
    for (const auto* option = options.get(); option != nullptr && option->keyword != nullptr;
         ++option) {
      if (option->keyword == name && option->val != nullptr) return std::string(option->val);
    }
    return std::string();
  };
  const auto host_list = given("host");
  if (host_list.empty() || !given("hostaddr").empty()) return std::vector<Place>(1);
  const auto hosts = split(host_list);
  const auto ports = split(given("port"));
  if (ports.size() != 1 && ports.size() != hosts.size()) return std::vector<Place>(1);
  std::vector<Place> places;
  std::optional<Error> error;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    Place place{.host = hosts[i], .ip = {}, .port = ports[ports.size() == 1 ? 0 : i]};
    if (place.port.empty()) place.port = "5432";
    const bool is_socket = place.host.empty() || place.host[0] == '/' || place.host[0] == '@';
    if (is_socket) {
      places.push_back(std::move(place));
      continue;
    }
    const auto now = clock.now();
    const auto part = (deadline - now) / static_cast<Duration::rep>(hosts.size() - i + 1);
    const auto found = resolve(place.host, clock, now + part);
    if (!found) {
      error = found.error();
      continue;
    }
    for (const auto& ip : *found) {
      place.ip = ip;
      places.push_back(place);
    }
  }
  if (!places.empty()) return places;
  return fail(ErrorCode::unavailable, "PostgreSQL: " + error->message);
}

// A command (BEGIN, COMMIT, CREATE …) has none that could be kept.
bool has_plan(std::string_view sql) {
  constexpr std::array<std::string_view, 5> kPlanned = {"SELECT", "WITH", "INSERT", "UPDATE",
                                                        "DELETE"};
  return std::ranges::any_of(kPlanned, [&](auto word) { return sql.starts_with(word); });
}

std::string_view field(const pg_result* result, int code) {
  const char* text = ::PQresultErrorField(result, code);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace

ErrorCode code_of(std::string_view sqlstate) {
  const auto kind = sqlstate.substr(0, 2);
  if (kind == "22") return ErrorCode::invalid_argument;  // Data exception.
  if (kind == "23") return ErrorCode::conflict;          // Integrity constraint.
  if (kind == "28" || sqlstate == "42501") return ErrorCode::permission_denied;
  // The database is there, but it isn't what our statements were written for, or it is damaged.
  if (kind == "42" || kind == "XX" || kind == "3F") return ErrorCode::corrupt;
  return ErrorCode::unavailable;
}

void Connection::Close::operator()(pg_conn* connection) const { ::PQfinish(connection); }

Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const Address& address, const Clock& clock,
                                                     Instant deadline) {
  SAMTALE_TRY(const auto places, places_of(address, clock, deadline));
  std::optional<Error> first_error;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto now = clock.now();
    const auto left = static_cast<Duration::rep>(places.size() - i);
    auto opened = open_at(address, places[i], clock, now + (deadline - now) / left);
    if (opened) return opened;
    if (!first_error || first_error->code == ErrorCode::unavailable) first_error = opened.error();
  }
  return std::unexpected(*std::move(first_error));
}

Result<std::unique_ptr<Connection>> Connection::open_at(const Address& address, const Place& place,
                                                        const Clock& clock, Instant deadline) {
  // Keepalives notice a server that has gone without a word, where our deadline is longer.
  std::vector<const char*> names{"dbname",          "application_name",    "client_encoding",
                                 "keepalives_idle", "keepalives_interval", "keepalives_count"};
  std::vector<const char*> values{address.url.c_str(), "samtale", "UTF8", "10", "5", "3"};
  const auto set = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    names.push_back(name);
    values.push_back(value.c_str());
  };
  set("password", address.password);
  set("host", place.host);
  set("hostaddr", place.ip);
  set("port", place.port);
  names.push_back(nullptr);
  values.push_back(nullptr);
  pg_conn* raw = ::PQconnectStartParams(names.data(), values.data(), 1);
  if (raw == nullptr) return fail(ErrorCode::unavailable, "no memory for a connection");
  std::unique_ptr<Connection> connection(new Connection(raw, clock));
  ::PQsetNoticeProcessor(raw, ignore_notice, nullptr);
  SAMTALE_TRY_VOID(connection->handshake(deadline));
  if (::PQsetnonblocking(raw, 1) != 0 || ::PQenterPipelineMode(raw) != 1) {
    return std::unexpected(connection->broken());
  }
  return connection;
}

Result<> Connection::handshake(Instant deadline) {
  auto* raw = connection_.get();
  if (::PQstatus(raw) == CONNECTION_BAD) return std::unexpected(broken());
  short events = POLLOUT;
  while (true) {
    SAMTALE_TRY_VOID(wait(events, deadline));
    switch (::PQconnectPoll(raw)) {
      case PGRES_POLLING_OK:
        return {};
      case PGRES_POLLING_READING:
        events = POLLIN;
        break;
      case PGRES_POLLING_WRITING:
        events = POLLOUT;
        break;
      default:
        return std::unexpected(broken());
    }
  }
}

Result<> Connection::name_statements(Instant deadline) {
  SAMTALE_TRY_VOID(send("SELECT pg_backend_pid()"));
  SAMTALE_TRY(const auto answers, sync(deadline));
  names_statements_ = answers.back().integer(0, 0) == ::PQbackendPID(connection_.get());
  planned_ = clock_.now();
  return {};
}

Result<> Connection::forget_old_plans() {
  const auto now = clock_.now();
  if (now - planned_ < kPlansKept) return {};
  planned_ = now;
  if (::PQsendQueryParams(connection_.get(), "DISCARD PLANS", 0, nullptr, nullptr, nullptr, nullptr,
                          1) != 1) {
    return std::unexpected(broken());
  }
  expected_.emplace_back("");
  return {};
}

Result<> Connection::wait(short events, Instant deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.now()).count();
    // The socket may change while connecting: another address is tried.
    pollfd waiting{.fd = ::PQsocket(connection_.get()), .events = events, .revents = 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30)));
    if (ready > 0) return {};
    if (ready == 0) {
      is_usable_ = false;
      return fail(ErrorCode::unavailable, "PostgreSQL did not answer in time");
    }
    if (errno != EINTR) {
      is_usable_ = false;
      return fail(ErrorCode::unavailable, std::string("poll: ") + std::strerror(errno));
    }
  }
}

Result<> Connection::send_all(const std::string& sql, std::span<const Parameter> parameters) {
  if (!is_usable_) return fail(ErrorCode::unavailable, "the connection to PostgreSQL is lost");
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  const std::vector<int> formats(parameters.size(), 1);
  for (const auto& parameter : parameters) {
    types.push_back(parameter.type());
    // An empty view may have no data, which would be NULL.
    const char* data = parameter.bytes().empty() ? "" : parameter.bytes().data();
    values.push_back(parameter.is_null() ? nullptr : data);
    lengths.push_back(static_cast<int>(parameter.bytes().size()));
  }
  const auto count = static_cast<int>(parameters.size());
  SAMTALE_TRY(const auto name, name_of(sql, types));
  const bool is_sent =
      name.empty() ? ::PQsendQueryParams(connection_.get(), sql.c_str(), count, types.data(),
                                         values.data(), lengths.data(), formats.data(), 1) == 1
                   : ::PQsendQueryPrepared(connection_.get(), name.c_str(), count, values.data(),
                                           lengths.data(), formats.data(), 1) == 1;
  if (!is_sent) return std::unexpected(broken());
  expected_.emplace_back();
  ++queued_;
  return {};
}

Result<std::string> Connection::name_of(const std::string& sql, const std::vector<Oid>& types) {
  if (!names_statements_ || !has_plan(sql)) return std::string();
  SAMTALE_TRY_VOID(forget_old_plans());
  if (const auto found = named_.find(sql); found != named_.end()) {
    return found->second.types == types ? found->second.name : std::string();
  }
  if (named_.size() == kNamedMax) return std::string();
  auto text = sql;
  for (const auto type : types) text += ' ' + std::to_string(type);
  constexpr std::size_t kBytes = 16;  // A name has 63 characters at the most.
  const auto digest = sha256(text);
  auto name = "samtale_" + hex(view(digest).substr(0, kBytes));
  if (::PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), static_cast<int>(types.size()),
                      types.data()) != 1) {
    return std::unexpected(broken());
  }
  expected_.emplace_back(sql);
  named_.emplace(sql, Named{.name = name, .types = types});
  return name;
}

// Reads while it writes: a server whose answers nobody takes stops reading too.
Result<> Connection::wait_for_answer(Instant deadline) {
  auto* raw = connection_.get();
  while (true) {
    const int unsent = ::PQflush(raw);
    if (unsent < 0) return std::unexpected(broken());
    if (::PQisBusy(raw) == 0) return {};
    SAMTALE_TRY_VOID(wait(static_cast<short>(POLLIN | (unsent != 0 ? POLLOUT : 0)), deadline));
    if (::PQconsumeInput(raw) != 1) return std::unexpected(broken());
  }
}

Result<std::vector<Rows>> Connection::sync(Instant deadline) {
  auto* raw = connection_.get();
  if (!is_usable_) return fail(ErrorCode::unavailable, "the connection to PostgreSQL is lost");
  has_lost_race_ = false;
  queued_ = 0;
  if (::PQpipelineSync(raw) != 1) return std::unexpected(broken());
  std::vector<Rows> answers;
  std::optional<Error> error;
  while (true) {
    SAMTALE_TRY_VOID(wait_for_answer(deadline));
    auto* result = ::PQgetResult(raw);
    if (result == nullptr) {  // The end of one statement's answers.
      if (::PQstatus(raw) != CONNECTION_OK) {
        return std::unexpected(error ? *std::move(error) : broken());
      }
      continue;
    }
    Rows rows(result);
    const auto status = ::PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) {
      if (error) return std::unexpected(*std::move(error));
      return answers;
    }
    std::optional<std::string> prepared;
    if (!expected_.empty()) {
      prepared = std::move(expected_.front());
      expected_.pop_front();
    }
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      if (!prepared) answers.push_back(std::move(rows));
      continue;
    }
    if (prepared) named_.erase(*prepared);
    if (status == PGRES_PIPELINE_ABORTED) continue;
    if (!error) error = error_of(result);
    if (!is_usable_) return std::unexpected(*std::move(error));
  }
}

bool Connection::is_quiet() {
  if (!is_usable_ || only_reads_ || queued_ != 0 ||
      ::PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) {
    return false;
  }
  pollfd waiting{.fd = ::PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, 0) == 0) return true;
  is_usable_ = false;
  return false;
}

Error Connection::broken() {
  is_usable_ = false;
  return {ErrorCode::unavailable, "PostgreSQL: " + trimmed(::PQerrorMessage(connection_.get()))};
}

Error Connection::error_of(const pg_result* result) {
  const auto sqlstate = field(result, PG_DIAG_SQLSTATE);
  const auto severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (sqlstate.empty() || severity == "FATAL" || severity == "PANIC") is_usable_ = false;
  has_lost_race_ = is_race(sqlstate);
  // What is prepared there is gone, or of tables that have changed since.
  if (sqlstate == "26000" || sqlstate == "0A000") is_usable_ = false;
  if (sqlstate == "25006") only_reads_ = true;  // read_only_sql_transaction
  // The detail and the statement are left out: they quote what people said.
  auto message = "PostgreSQL: " + trimmed(field(result, PG_DIAG_MESSAGE_PRIMARY).data());
  if (sqlstate.empty()) message = "PostgreSQL: " + trimmed(::PQresultErrorMessage(result));
  if (!sqlstate.empty()) message += " (" + std::string(sqlstate) + ")";
  return {sqlstate.empty() ? ErrorCode::unavailable : code_of(sqlstate), std::move(message)};
}

}  // namespace samtale::postgres

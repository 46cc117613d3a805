// The command line: every subcommand is a few HTTP requests to a server, or to its own routes in
// this process, and an answer for people or (--json) for programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "http/server.h"
#include "sys/clock.h"
#include "sys/http_client.h"

namespace samtale {

// One request and its answer, wherever it goes.
using Transport = std::function<Result<http::Response>(http::Request)>;

struct ServeOptions {
  std::string ready_file;  // When listening, {"url":"http://127.0.0.1:8080"} is written here.
};

// A file of the index, and what is wrong with it.
struct IndexFile {
  std::string name;
  std::int64_t company = 0;  // Its number.
  std::string model;         // Empty if the file does not say.
  std::uint64_t vectors = 0;
  std::uint64_t bytes = 0;
  std::string problem;  // Empty: none.
};

// Of the tables of a store in PostgreSQL.
// Roles of the database; empty: nobody.
struct StoreGrants {
  std::string server;  // May run a server on the tables.
  std::string token;   // Reads what the company_id of its JSON Web Token says.
};

struct StoreVersions {
  std::size_t before = 0;  // 0: there were none.
  std::size_t after = 0;
};

// A table of a store in PostgreSQL whose rows of a company were moved.
struct MovedTable {
  std::string name;
  std::int64_t rows = 0;  // Copied, also those of others that they lay beside.
  Duration copying{};
  Duration exchange{};  // For so long nobody could use the table.
};

// A queue of the broker, and what is wrong with it.
struct BrokerQueue {
  std::string name;
  std::uint64_t messages = 0;  // That wait in it.
  std::string problem;         // Empty: none.
  bool is_fixed = false;       // There was one, and is no more.
};

// What the command line cannot do itself, because it knows no store and no route.
struct CliHooks {
  // Runs a server until it is told to stop; returns the exit status.
  std::function<int(const Config&, const ServeOptions&)> serve;
  // Over the local socket of the server that runs on this data folder; without one in this
  // process, or an error that says so if `needs_server`.
  std::function<Result<Transport>(const Config&, bool needs_server)> connect;
  // Reads every file of the index; a server may run on the data folder.
  std::function<Result<std::vector<IndexFile>>(const Config&)> check_index;
  // Brings the tables of a store in PostgreSQL up to date; `tell` gets a line whenever there is
  // something to say.
  std::function<Result<StoreVersions>(const Config&, const StoreGrants& grants,
                                      const std::function<void(std::string_view)>& tell)>
      migrate;
  // The same as SQL, from the version `from` on; asks no database.
  std::function<Result<std::string>(const Config&, std::size_t from, const StoreGrants& grants)>
      migration_sql;
  // Gives the company partitions of its own in PostgreSQL, or takes them back; answers with the
  // tables that were not so before.
  std::function<Result<std::vector<MovedTable>>(const Config&, const std::string& company,
                                                bool to_its_own,
                                                const std::function<void(std::string_view)>& tell)>
      move_company;
  // Looks at every queue of the broker; with `fix`, makes those that are missing or others.
  std::function<Result<std::vector<BrokerQueue>>(const Config&, bool fix)> check_topology;

  // Null: those of the process.
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  Clock* clock = nullptr;
  bool out_is_terminal = false;  // Looked at only when `out` is set; same for the next.
  bool err_is_terminal = false;
};

// Returns the exit status: 0 done, 1 failed (one line on standard error says why), 2 not understood
// or a configuration with mistakes.
[[nodiscard]] int run(int argc, char** argv, const CliHooks& hooks);

// To a server at `url`; with `unix_socket`, to the one behind that socket. `key` may be empty.
[[nodiscard]] Transport make_http_transport(std::shared_ptr<HttpClient> client, std::string url,
                                            std::string unix_socket, std::string key);

}  // namespace samtale

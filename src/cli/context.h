// Context: what a command works with: where words go, the configuration, the server. Internal.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/commands.h"
#include "json/json.h"

namespace samtale::cli {

// For terminals: control characters (also those of 0x80 to 0x9F), marks that turn the direction of
// text and bytes that are no UTF-8 become "?"; line ends and tabs become spaces.
[[nodiscard]] std::string plain(std::string_view text);
// The same for text of several lines: line ends stay.
[[nodiscard]] std::string plain_lines(std::string_view text);
// In characters, not bytes.
[[nodiscard]] std::size_t width(std::string_view text);

// A table for people: columns as wide as their widest cell. Cells are made plain.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Where words go.
struct Screen {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Clock& clock;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool is_coloured = false;  // A terminal, and NO_COLOR is not set.
};

// How far something is: a bar on a terminal, else a line every few seconds. On standard error.
class Progress {
 public:
  // `total` 0: not known.
  Progress(Screen& screen, std::string what, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::uint64_t done, std::string_view note);

 private:
  void draw(std::uint64_t done, std::string_view note);

  Screen& screen_;
  const std::string what_;
  const std::uint64_t total_;
  const Instant started_at_;
  Instant drawn_at_;
  bool drawn_ = false;
};

struct ApiCall {
  std::string method = "GET";
  std::string path;  // "/v1/keys/k7"; parts from users go through escaped().
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string company;  // Empty: none is named.
};
[[nodiscard]] std::string escaped(std::string_view part);  // Percent-encoded for a path or query.

// The API as the commands see it.
class Api {
 public:
  explicit Api(Transport transport, bool is_remote)
      : transport_(std::move(transport)), is_remote_(is_remote) {}

  // Any status is an answer.
  [[nodiscard]] Result<http::Response> exchange(const ApiCall& call) const;
  // Errors: what the server says in its own words, too.
  [[nodiscard]] Result<json::Value> call(const ApiCall& call) const;
  [[nodiscard]] Result<json::Value> get(std::string path, std::string company) const;
  [[nodiscard]] Result<json::Value> post(std::string path, std::string company,
                                         json::Object body) const;
  [[nodiscard]] bool is_remote() const { return is_remote_; }

 private:
  Transport transport_;
  bool is_remote_;  // Through --url, where the key says for which company.
};
// The answer as an error if its status is one; null where there is nothing to say (204).
[[nodiscard]] Result<json::Value> value_of(const http::Response& response);
// The Retry-After of an answer, within a minute; one second without it.
[[nodiscard]] Duration retry_after(const http::Response& response);

// Members of answers; empty or zero for what is not there.
[[nodiscard]] std::string text_at(const json::Value& value, std::string_view key);
[[nodiscard]] std::int64_t int_at(const json::Value& value, std::string_view key);
[[nodiscard]] double number_at(const json::Value& value, std::string_view key);
[[nodiscard]] const json::Array& array_at(const json::Value& value, std::string_view key);

class Context {
 public:
  // What is passed in must outlive the context.
  Context(const CliHooks& hooks, Screen& screen, const Arguments& arguments)
      : hooks_(hooks), screen_(screen), arguments_(arguments) {}

  [[nodiscard]] const CliHooks& hooks() const { return hooks_; }
  [[nodiscard]] Screen& screen() const { return screen_; }

  // Layers of the configuration with what was typed on top.
  [[nodiscard]] Result<LoadedConfig> load() const;
  // Opened at the first call.
  [[nodiscard]] Result<const Api*> api(bool needs_server = false);
  // The one that was named; else the only one there is. Empty through --url.
  [[nodiscard]] Result<std::string> company();

  [[nodiscard]] bool wants_json() const { return arguments_.has("--json"); }
  void print(const json::Value& value) const;  // Pretty, with a line end.

 private:
  [[nodiscard]] Result<Api> open(bool needs_server) const;
  [[nodiscard]] std::string option(std::string_view name, std::string_view variable) const;

  const CliHooks& hooks_;
  Screen& screen_;
  const Arguments& arguments_;
  std::optional<Api> api_;
};

// What is wrong with what was typed: exit status 2 instead of 1.
[[nodiscard]] inline std::unexpected<Error> usage(std::string message) {
  return fail(ErrorCode::invalid_argument, "usage: " + std::move(message));
}

// The conversation's own id, from that or from the one its source knows it by.
[[nodiscard]] Result<std::string> resolve_conversation(const Api& api, const std::string& company,
                                                       const std::string& id);

// The whole of a small file (a secret, a key); trailing line ends are dropped.
[[nodiscard]] Result<std::string> read_secret(const std::string& path);

}  // namespace samtale::cli

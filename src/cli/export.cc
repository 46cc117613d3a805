#include "cli/export.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {

std::string csv_cell(std::string_view text) {
  std::string cell;
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) {
    cell = "'";
  }
  bool needs_quotes = false;
  for (const char c : text) {
    if (c == '"') cell += '"';
    needs_quotes = needs_quotes || c == '"' || c == ',' || c == '\n' || c == '\r' || c == ';';
    cell += c;
  }
  return needs_quotes ? "\"" + cell + "\"" : cell;
}

std::string csv_row(std::span<const std::string> cells) {
  std::string row;
  for (std::size_t i = 0; i < cells.size(); ++i) row += (i == 0 ? "" : ",") + csv_cell(cells[i]);
  return row + "\r\n";
}

namespace {

constexpr std::string_view kColumns[] = {"id",         "external_id", "source",     "channel",
                                         "language",   "title",       "status",     "started_at",
                                         "turn_count", "received_at", "updated_at", "revision"};

std::string cell_of(const json::Value& conversation, std::string_view column) {
  const auto* const value = conversation.find(column);
  if (value == nullptr || value->is_null()) return "";
  if (const auto* const text = value->as_string()) return *text;
  return json::dump(*value);
}

class Exporter {
 public:
  Exporter(const Api& api, std::string company, std::string format, std::ostream& out)
      : api_(api), company_(std::move(company)), format_(std::move(format)), out_(out) {}

  Result<std::uint64_t> write_all(const Arguments& arguments, Progress& progress) {
    if (format_ == "csv") {
      const std::vector<std::string> header(std::begin(kColumns), std::end(kColumns));
      out_ << csv_row(header);
    }
    std::string cursor;
    do {
      SAMTALE_TRY(const auto page, next_page(arguments, cursor));
      for (const auto& conversation : array_at(page, "conversations")) {
        SAMTALE_TRY_VOID(write(conversation));
        progress.update(0, std::to_string(++count_) + " conversations");
      }
      if (!out_) return fail(ErrorCode::unavailable, "the output cannot be written; make room");
      cursor = text_at(page, "next_cursor");
    } while (!cursor.empty());
    return count_;
  }

 private:
  [[nodiscard]] Result<json::Value> next_page(const Arguments& arguments,
                                              const std::string& cursor) const {
    ApiCall call;
    call.path = "/v1/conversations";
    call.company = company_;
    call.query.emplace_back("limit", "200");
    for (const std::string name : {"from", "to", "channel", "source"}) {
      if (arguments.has("--" + name)) call.query.emplace_back(name, arguments.text("--" + name));
    }
    if (!cursor.empty()) call.query.emplace_back("cursor", cursor);
    return api_.call(call);
  }

  Result<> write(const json::Value& listed) {
    if (format_ == "csv") {
      std::vector<std::string> cells;
      for (const auto column : kColumns) cells.push_back(cell_of(listed, column));
      out_ << csv_row(cells);
      return {};
    }
    ApiCall call;
    call.path = "/v1/conversations/" + escaped(text_at(listed, "id"));
    call.company = company_;
    if (format_ == "vcon") call.query.emplace_back("format", "vcon");
    auto whole = api_.call(call);
    // Deleted since it was listed.
    if (!whole && whole.error().code == ErrorCode::not_found) return {};
    if (!whole) return std::unexpected(std::move(whole).error());
    out_ << json::dump(*whole) << "\n";
    return {};
  }

  const Api& api_;
  const std::string company_;
  const std::string format_;
  std::ostream& out_;
  std::uint64_t count_ = 0;
};

}  // namespace

Result<int> export_conversations(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  const auto path = arguments.text("--output", "-");
  std::ofstream file;
  if (path != "-") {
    file.open(path, std::ios::binary | std::ios::trunc);
    if (!file) return fail(ErrorCode::unavailable, plain(path) + ": " + std::strerror(errno));
  }
  auto& screen = context.screen();
  std::ostream& out = path == "-" ? screen.out : file;
  std::uint64_t count = 0;
  {
    Progress progress(screen, "export", 0);
    Exporter exporter(*api, company, arguments.text("--format", "jsonl"), out);
    SAMTALE_TRY(count, exporter.write_all(arguments, progress));
  }
  out.flush();
  if (!out) return fail(ErrorCode::unavailable, "the output cannot be written to its end");
  if (path == "-") return 0;
  if (context.wants_json()) {
    context.print(json::Object{{"conversations", std::size_t{count}}, {"file", path}});
  } else {
    screen.out << count << " conversations in " << plain(path) << "\n";
  }
  return 0;
}

}  // namespace samtale::cli

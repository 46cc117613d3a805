// Analyzers, and what they cost.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <ostream>

#include "cli/context.h"
#include "cli/listing.h"

namespace samtale::cli {
namespace {

// What the server tells of an analyzer beside its definition.
constexpr std::array<std::string_view, 4> kTold = {"version", "shipped", "by", "versions"};

std::string path_of(std::string_view name) { return "/v1/analyzers/" + escaped(name); }

Result<json::Value> read_definition(Screen& screen, const std::string& name) {
  constexpr std::size_t kBytesMax = std::size_t{1} << 20;
  std::ifstream file;
  const bool is_input = name == "-";
  if (!is_input) {
    file.open(name, std::ios::binary);
    if (!file) return fail(ErrorCode::not_found, plain(name) + ": " + std::strerror(errno));
  }
  std::istream& in = is_input ? screen.in : file;
  std::string text(kBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  const auto where = is_input ? std::string("standard input") : plain(name);
  if (text.size() > kBytesMax) {
    return fail(ErrorCode::invalid_argument, where + ": must be at most 1 MiB");
  }
  auto value = json::parse(text);
  if (!value) return std::unexpected(std::move(value).error().during(where));
  if (text_at(*value, "name").empty()) {
    return fail(ErrorCode::invalid_argument, where + ": \"name\" is missing: how it is called");
  }
  return std::move(*value);
}

std::string money(const json::Value& item, std::string_view key) {
  if (item.find(key) == nullptr) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "$%.4f", number_at(item, key));
  return text;
}

void print_usage(const Context& context, const json::Value& answer) {
  Table days({"DAY", "ANALYZER", "TOKENS", "COST", "REQUESTS"});
  for (const auto& row : array_at(answer, "days")) {
    days.add({cell(row, "day"), cell(row, "analyzer"), cell(row, "tokens"), money(row, "usd"),
              cell(row, "requests")});
  }
  Table budgets({"BUDGET OF", "A", "TOKENS", "OF", "COST", "OF", ""});
  for (const auto& row : array_at(answer, "budgets")) {
    const auto analyzer = text_at(row, "analyzer");
    const auto* const is_spent = row.find("is_spent");
    budgets.add({analyzer.empty() ? "the company" : analyzer, cell(row, "period"),
                 cell(row, "spent_tokens"), cell(row, "limit_tokens"), money(row, "spent_usd"),
                 money(row, "limit_usd"),
                 is_spent != nullptr && *is_spent == json::Value(true) ? "spent" : ""});
  }
  context.screen().out << plain(text_at(answer, "from")) << " to " << plain(text_at(answer, "to"))
                       << "\n\n"
                       << days.text() << "\n"
                       << budgets.text();
  for (const auto& why : array_at(answer, "stopped")) {
    if (why.as_string() != nullptr) {
      context.screen().out << "\nstopped: " << plain(*why.as_string()) << "\n";
    }
  }
}

}  // namespace

Result<int> analyzer_list(Context& context, const Arguments&) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->get("/v1/analyzers", company));
  if (context.wants_json()) {
    context.print(answer);
    return 0;
  }
  Table table({"NAME", "KIND", "VERSION", "BY", "WHEN", "PRIORITY", "ACTIVE"});
  for (const auto& one : array_at(answer, "analyzers")) {
    const auto* const trigger = one.find("trigger");
    table.add({cell(one, "name"), cell(one, "kind"), cell(one, "version"), cell(one, "by"),
               trigger == nullptr ? "-" : cell(*trigger, "on"), cell(one, "priority"),
               cell(one, "active")});
  }
  context.screen().out << table.text();
  return 0;
}

Result<int> analyzer_show(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(auto answer, api->get(path_of(arguments.words().front()), company));
  if (auto* const members = answer.as_object(); members != nullptr && !context.wants_json()) {
    std::erase_if(*members, [](const auto& member) {
      return std::ranges::find(kTold, member.first) != kTold.end();
    });
  }
  context.print(answer);
  return 0;
}

Result<int> analyzer_put(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto definition, read_definition(context.screen(), arguments.words().front()));
  SAMTALE_TRY(const auto* const api, context.api());
  ApiCall call;
  call.method = "PUT";
  call.path = path_of(text_at(definition, "name"));
  call.body = json::dump(definition);
  SAMTALE_TRY(call.company, context.company());
  SAMTALE_TRY(const auto answer, api->call(call));
  if (context.wants_json()) {
    context.print(answer);
    return 0;
  }
  const auto name = plain(text_at(answer, "name"));
  context.screen().out << "analyzer " << name << " is at version " << int_at(answer, "version")
                       << "; over history: samtale analyze --backfill --analyzer " << name << "\n";
  return 0;
}

Result<int> analyzer_delete(Context& context, const Arguments& arguments) {
  const auto& name = arguments.words().front();
  SAMTALE_TRY(const auto* const api, context.api());
  ApiCall call;
  call.method = "DELETE";
  call.path = path_of(name);
  SAMTALE_TRY(call.company, context.company());
  SAMTALE_TRY_VOID(api->call(call));
  if (context.wants_json()) {
    context.print(json::Object{{"name", name}, {"deleted", true}});
  } else {
    context.screen().out << "analyzer " << plain(name) << " deleted\n";
  }
  return 0;
}

Result<int> show_usage(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  ApiCall call;
  call.path = "/v1/analyses/usage";
  SAMTALE_TRY(call.company, context.company());
  for (const std::string_view option : {"--from", "--to"}) {
    if (arguments.has(option)) call.query.emplace_back(option.substr(2), arguments.text(option));
  }
  SAMTALE_TRY(const auto answer, api->call(call));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    print_usage(context, answer);
  }
  return 0;
}

}  // namespace samtale::cli

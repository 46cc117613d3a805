// The files of the index, read where they lie: beside a server, or without one.
#include <algorithm>
#include <map>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {
namespace {

// By their numbers, which name the files.
Result<std::map<std::int64_t, std::string>> company_names(Context& context) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto answer, api->get("/v1/companies", ""));
  std::map<std::int64_t, std::string> names;
  for (const auto& company : array_at(answer, "companies")) {
    names.emplace(int_at(company, "number"), text_at(company, "name"));
  }
  return names;
}

// Without a company to look for, a store that cannot be opened is no reason to say nothing.
Result<std::map<std::int64_t, std::string>> names_for(Context& context, const std::string& wanted) {
  auto names = company_names(context);
  if (!names && wanted.empty()) {
    context.screen().err << "companies are shown by their numbers: " << plain(names.error().message)
                         << "\n";
    return std::map<std::int64_t, std::string>();
  }
  const auto is_wanted = [&](const auto& name) { return name.second == wanted; };
  if (names && !wanted.empty() && std::ranges::none_of(*names, is_wanted)) {
    return fail(ErrorCode::not_found, "there is no company " + plain(wanted));
  }
  return names;
}

}  // namespace

Result<int> reindex(Context& context, const Arguments&) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->post("/v1/reindex", company, {}));
  if (context.wants_json()) {
    context.print(answer);
    return 0;
  }
  const auto* renews = answer.find("reindexing");
  const bool is_renewed = renews != nullptr && renews->as_bool() != nullptr && *renews->as_bool();
  context.screen().out << (is_renewed
                               ? "the graph of " + plain(company) +
                                     " is made anew; searches go on\n"
                               : plain(company) + " has no graph: every vector is compared\n");
  return 0;
}

Result<int> index_verify(Context& context, const Arguments& arguments) {
  if (arguments.has("--url")) {
    return usage("index verify reads this machine's files; leave out --url");
  }
  const auto wanted = arguments.text("--company");
  SAMTALE_TRY(const auto loaded, context.load());
  SAMTALE_TRY(const auto files, context.hooks().check_index(loaded.config));
  SAMTALE_TRY(const auto names, names_for(context, wanted));
  Table table({"COMPANY", "MODEL", "VECTORS", "BYTES", "STATE", "FILE"});
  json::Array list;
  bool is_sound = true;
  for (const auto& file : files) {
    const auto named = names.find(file.company);
    const auto company = named == names.end() ? "#" + std::to_string(file.company) : named->second;
    if (!wanted.empty() && company != wanted) continue;
    is_sound = is_sound && file.problem.empty();
    table.add({company, file.model.empty() ? "-" : file.model, std::to_string(file.vectors),
               std::to_string(file.bytes), file.problem.empty() ? "ok" : file.problem, file.name});
    list.push_back(json::Object{{"company", company},
                                {"model", file.model},
                                {"vectors", static_cast<std::int64_t>(file.vectors)},
                                {"bytes", static_cast<std::int64_t>(file.bytes)},
                                {"ok", file.problem.empty()},
                                {"problem", file.problem},
                                {"file", file.name}});
  }
  if (context.wants_json()) {
    context.print(json::Object{{"ok", is_sound}, {"files", std::move(list)}});
  } else {
    context.screen().out << table.text();
  }
  return is_sound ? 0 : 1;
}

}  // namespace samtale::cli

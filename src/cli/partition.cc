// Where a company's rows lie in PostgreSQL.
#include <array>
#include <chrono>
#include <cstdio>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {
namespace {

std::string decimals(double value, const char* format) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

Result<int> move_company(Context& context, const Arguments& arguments, bool to_its_own) {
  if (arguments.has("--url")) {
    return usage("partition works on the database itself; leave out --url");
  }
  SAMTALE_TRY(const auto loaded, context.load());
  SAMTALE_TRY(const auto moved,
              context.hooks().move_company(loaded.config, arguments.words().front(), to_its_own,
                                           [&](std::string_view line) {
                                             context.screen().err << plain(line) << std::endl;
                                           }));
  Table table({"TABLE", "ROWS", "COPYING S", "EXCHANGE MS"});
  json::Array list;
  for (const auto& one : moved) {
    const double copying_s = std::chrono::duration<double>(one.copying).count();
    const double exchange_ms = std::chrono::duration<double, std::milli>(one.exchange).count();
    table.add({one.name, std::to_string(one.rows), decimals(copying_s, "%.1f"),
               decimals(exchange_ms, "%.1f")});
    list.push_back(json::Object{{"table", one.name},
                                {"rows", one.rows},
                                {"copying_s", copying_s},
                                {"exchange_ms", exchange_ms}});
  }
  if (context.wants_json()) {
    context.print(json::Object{{"tables", std::move(list)}});
  } else if (moved.empty()) {
    context.screen().out << "nothing to do\n";
  } else {
    context.screen().out << table.text();
  }
  return 0;
}

}  // namespace

Result<int> partition_promote(Context& context, const Arguments& arguments) {
  return move_company(context, arguments, true);
}

Result<int> partition_demote(Context& context, const Arguments& arguments) {
  return move_company(context, arguments, false);
}

}  // namespace samtale::cli

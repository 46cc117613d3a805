// The tables of a store in PostgreSQL: brought up to date here, or by whoever runs the SQL.
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {
namespace {

int print_sql(Context& context, const std::string& sql) {
  if (context.wants_json()) {
    context.print(json::Object{{"sql", sql}});
  } else {
    context.screen().out << sql;
  }
  return 0;
}

}  // namespace

Result<int> migrate(Context& context, const Arguments& arguments) {
  if (arguments.has("--url")) {
    return usage("migrate works on the database itself; leave out --url");
  }
  if (arguments.has("--from") && !arguments.has("--sql")) {
    return usage("--from is for --sql; the database knows its own version");
  }
  SAMTALE_TRY(const auto loaded, context.load());
  const StoreGrants grants{.server = arguments.text("--grant-to"),
                           .token = arguments.text("--token-role")};
  if (arguments.has("--sql")) {
    const auto from = static_cast<std::size_t>(arguments.number("--from", 0));
    SAMTALE_TRY(const auto sql, context.hooks().migration_sql(loaded.config, from, grants));
    return print_sql(context, sql);
  }
  SAMTALE_TRY(const auto versions,
              context.hooks().migrate(loaded.config, grants, [&](std::string_view line) {
                context.screen().err << line << std::endl;  // As it happens, not when it is over.
              }));
  if (context.wants_json()) {
    context.print(json::Object{{"schema", loaded.config.store.schema},
                               {"before", static_cast<std::int64_t>(versions.before)},
                               {"after", static_cast<std::int64_t>(versions.after)}});
  } else {
    context.screen().out << "schema " << loaded.config.store.schema << " had version "
                         << versions.before << " and has version " << versions.after << "\n";
  }
  return 0;
}

}  // namespace samtale::cli

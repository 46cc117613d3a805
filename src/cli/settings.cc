// serve, config, version and completion: what needs no server.
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {

Result<int> serve(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto loaded, context.load());
  ServeOptions options;
  options.ready_file = arguments.text("--ready-file");
  return context.hooks().serve(loaded.config, options);
}

Result<int> config_check(Context& context, const Arguments&) {
  SAMTALE_TRY(const auto loaded, context.load());
  if (context.wants_json()) {
    context.print(json::Object{{"ok", true}, {"file", loaded.file}});
  } else {
    context.screen().out << "the configuration has no mistakes ("
                         << (loaded.file.empty() ? "no file" : plain(loaded.file)) << ")\n";
  }
  return 0;
}

Result<int> config_show(Context& context, const Arguments&) {
  SAMTALE_TRY(const auto loaded, context.load());
  Table table({"KEY", "VALUE", "FROM"});
  json::Array list;
  for (const auto& key : config_keys()) {
    const auto value = config_value(loaded.config, key.name);
    const auto origin = loaded.origins.find(key.name);
    const auto from = origin == loaded.origins.end() ? std::string("default") : origin->second;
    table.add({key.name, value, from});
    list.push_back(json::Object{{"key", key.name}, {"value", value}, {"from", from}});
  }
  if (context.wants_json()) {
    context.print(json::Object{{"file", loaded.file}, {"keys", std::move(list)}});
  } else {
    context.screen().out << table.text();
  }
  return 0;
}

Result<int> config_docs(Context& context, const Arguments&) {
  context.screen().out << config_documentation();
  return 0;
}

Result<int> version(Context& context, const Arguments&) {
  if (context.wants_json()) {
    context.print(json::Object{{"version", SAMTALE_VERSION}});
  } else {
    context.screen().out << "samtale " SAMTALE_VERSION "\n";
  }
  return 0;
}

Result<int> completion(Context& context, const Arguments& arguments) {
  const auto& shell = arguments.words().front();
  const auto script = completion_script(shell);
  if (script.empty()) {
    return usage("completion: must be for bash, zsh or fish; got " + plain(shell));
  }
  context.screen().out << script;
  return 0;
}

}  // namespace samtale::cli

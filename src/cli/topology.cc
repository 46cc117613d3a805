// The queues of the broker, looked at where they are: beside servers, or before the first.
#include <algorithm>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {

Result<int> topology_check(Context& context, const Arguments& arguments) {
  if (arguments.has("--url")) {
    return usage("topology check asks the broker itself; leave out --url");
  }
  SAMTALE_TRY(const auto loaded, context.load());
  SAMTALE_TRY(const auto queues,
              context.hooks().check_topology(loaded.config, arguments.has("--fix")));
  Table table({"QUEUE", "MESSAGES", "STATE"});
  json::Array list;
  for (const auto& queue : queues) {
    const auto state = queue.problem.empty() ? "ok" : queue.is_fixed ? "made" : queue.problem;
    table.add({queue.name, std::to_string(queue.messages), state});
    list.push_back(json::Object{{"name", queue.name},
                                {"messages", static_cast<std::int64_t>(queue.messages)},
                                {"ok", queue.problem.empty()},
                                {"problem", queue.problem},
                                {"fixed", queue.is_fixed}});
  }
  const bool is_sound = std::ranges::all_of(
      queues, [](const auto& queue) { return queue.problem.empty() || queue.is_fixed; });
  if (context.wants_json()) {
    context.print(json::Object{{"ok", is_sound}, {"queues", std::move(list)}});
  } else {
    context.screen().out << table.text();
  }
  return is_sound ? 0 : 1;
}

}  // namespace samtale::cli

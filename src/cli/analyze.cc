// analyze: one conversation now, or history.
#include <array>
#include <istream>
#include <ostream>

#include "cli/backfills.h"
#include "cli/context.h"

namespace samtale::cli {
namespace {

constexpr std::array<std::string_view, 4> kFilters = {"--from", "--to", "--channel", "--source"};

json::Object analyzers_of(const Arguments& arguments) {
  json::Array names;
  for (const auto& name : arguments.all("--analyzer")) names.emplace_back(name);
  if (names.empty()) return {};
  return {{"analyzers", std::move(names)}};
}

Result<int> analyze_one(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto id, resolve_conversation(*api, company, arguments.words().front()));
  SAMTALE_TRY(const auto answer, api->post("/v1/conversations/" + escaped(id) + "/analyses",
                                           company, analyzers_of(arguments)));
  if (context.wants_json()) {
    context.print(answer);
    return 0;
  }
  std::string names;
  for (const auto& name : array_at(answer, "queued")) {
    if (name.as_string() != nullptr)
      names += (names.empty() ? "" : ", ") + plain(*name.as_string());
  }
  context.screen().out << (names.empty() ? "no analyzer is active\n"
                                         : "asked for " + names + "; see samtale show " +
                                               plain(id) + " --json\n");
  return 0;
}

// Whether it may cost that. Errors: what to do where nobody can be asked, or the answer was no.
Result<> ask(const Screen& screen, const json::Value& estimate) {
  if (!screen.err_is_terminal) {
    if (!costs(estimate)) return {};
    return usage("this would cost: " + describe_estimate(estimate) +
                 "; without a terminal to ask on, give --yes");
  }
  screen.err << describe_estimate(estimate) << "\nStart it? [y/N] " << std::flush;
  std::string answer;
  std::getline(screen.in, answer);
  if (answer == "y" || answer == "yes") return {};
  return fail(ErrorCode::conflict, "nothing was started");
}

void report(const Context& context, const json::Value& backfill) {
  if (context.wants_json()) return context.print(backfill);
  const auto id = plain(text_at(backfill, "id"));
  if (goes_on(backfill)) {
    context.screen().out << "back-fill " << id << " goes on; see samtale backfill show " << id
                         << ", end it with samtale backfill cancel " << id << "\n";
  } else if (text_at(backfill, "state") == "paused") {
    context.screen().out << "back-fill " << id << " was paused; go on with samtale backfill resume "
                         << id << "\n";
  } else {
    context.screen().out << "back-fill " << id << " is " << plain(text_at(backfill, "state"))
                         << ": " << int_at(backfill, "asked") << " conversations were asked for\n";
  }
}

Result<int> backfill(Context& context, const Arguments& arguments) {
  const bool waits = !arguments.has("--estimate") && !arguments.has("--no-wait");
  SAMTALE_TRY(const auto* const api, context.api(waits));
  SAMTALE_TRY(const auto company, context.company());
  auto wanted = analyzers_of(arguments);
  for (const auto option : kFilters) {
    if (arguments.has(option)) wanted.emplace_back(option.substr(2), arguments.text(option));
  }
  auto question = wanted;
  question.emplace_back("estimate_only", true);
  SAMTALE_TRY(const auto answer, api->post("/v1/backfills", company, std::move(question)));
  const auto* const found = answer.find("estimate");
  const auto estimate = found == nullptr ? json::Value() : *found;
  if (arguments.has("--estimate")) {
    if (context.wants_json()) {
      context.print(answer);
    } else {
      context.screen().out << describe_estimate(estimate) << "\n";
    }
    return 0;
  }
  if (int_at(estimate, "conversations") == 0) {
    return fail(ErrorCode::not_found, "no conversation is to be analysed by that");
  }
  if (!arguments.has("--yes")) SAMTALE_TRY_VOID(ask(context.screen(), estimate));
  SAMTALE_TRY(auto started, api->post("/v1/backfills", company, std::move(wanted)));
  if (waits) {
    SAMTALE_TRY(started, watch_backfill(context, company, started));
  }
  report(context, started);
  const bool is_done = text_at(started, "state") == "done" && !goes_on(started);
  return is_done || !waits ? 0 : 1;
}

}  // namespace

Result<int> analyze(Context& context, const Arguments& arguments) {
  const bool is_one = !arguments.words().empty();
  if (is_one == arguments.has("--backfill")) {
    return usage(
        "samtale analyze needs a CONVERSATION or --backfill, and not both; see samtale "
        "analyze --help");
  }
  if (!is_one) return backfill(context, arguments);
  for (const std::string_view option :
       {"--from", "--to", "--channel", "--source", "--estimate", "--yes", "--no-wait"}) {
    if (arguments.has(option)) return usage(std::string(option) + " is for --backfill");
  }
  return analyze_one(context, arguments);
}

}  // namespace samtale::cli

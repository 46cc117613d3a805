#include "cli/backfills.h"

#include <algorithm>
#include <cstdio>
#include <ostream>

#include "cli/interrupt.h"
#include "cli/listing.h"

namespace samtale::cli {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(500);

// In thousands and millions: an estimate is no bill.
std::string rough(std::int64_t count) {
  constexpr std::int64_t kThousand = 1'000;
  constexpr std::int64_t kMillion = 1'000'000;
  if (count < 10 * kThousand) return std::to_string(count);
  char text[32];
  const bool is_large = count >= kMillion;
  std::snprintf(text, sizeof text, "%.1f %s",
                static_cast<double>(count) / static_cast<double>(is_large ? kMillion : kThousand),
                is_large ? "million" : "thousand");
  return text;
}

std::string price(double usd) {
  constexpr double kCent = 0.01;
  if (usd <= 0) return "at no price that is configured (lm.input_usd, lm.output_usd)";
  if (usd < kCent) return "under $0.01";
  char text[32];
  std::snprintf(text, sizeof text, "$%.2f", usd);
  return text;
}

std::string counted(std::int64_t count, const std::string& thing) {
  return rough(count) + " " + thing + (count == 1 ? "" : "s");
}

std::string path_of(std::string_view id) { return "/v1/backfills/" + escaped(id); }

std::uint64_t finished(const json::Value& backfill) {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(int_at(backfill, "asked") - int_at(backfill, "waiting"), 0));
}

void print_backfill(const Context& context, const json::Value& backfill) {
  if (context.wants_json()) return context.print(backfill);
  auto& out = context.screen().out;
  out << "id        " << plain(text_at(backfill, "id")) << "\nstate     "
      << plain(text_at(backfill, "state")) << "\nasked     " << int_at(backfill, "asked") << " of "
      << int_at(backfill, "total") << " conversations; " << int_at(backfill, "seen")
      << " were looked at\nwaiting   " << int_at(backfill, "waiting")
      << " jobs of the company's analyses\n";
  if (const auto* estimate = backfill.find("estimate")) {
    out << "estimate  " << describe_estimate(*estimate) << "\n";
  }
  out << "made      " << plain(text_at(backfill, "created_at")) << "\nchanged   "
      << plain(text_at(backfill, "updated_at")) << "\n";
}

Result<int> change(Context& context, const Arguments& arguments, const std::string& action) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto backfill,
              api->post(path_of(arguments.words().front()) + "/" + action, company, {}));
  print_backfill(context, backfill);
  return 0;
}

}  // namespace

bool costs(const json::Value& estimate) {
  return int_at(estimate, "analyses") > 0 || number_at(estimate, "usd") > 0;
}

std::string describe_estimate(const json::Value& estimate) {
  auto text = counted(int_at(estimate, "conversations"), "conversation");
  if (!costs(estimate)) return text + "; no language model is asked";
  return text + ", " + rough(int_at(estimate, "analyses")) +
         " analyses by a language model: at most " + rough(int_at(estimate, "input_tokens")) +
         " tokens in and " + rough(int_at(estimate, "output_tokens")) + " out, " +
         price(number_at(estimate, "usd"));
}

bool goes_on(const json::Value& backfill) {
  const auto state = text_at(backfill, "state");
  return state == "running" || (state == "done" && int_at(backfill, "waiting") > 0);
}

Result<json::Value> watch_backfill(Context& context, const std::string& company,
                                   const json::Value& started) {
  SAMTALE_TRY(const auto* const api, context.api());
  const auto path = path_of(text_at(started, "id"));
  const Interrupt interrupt;
  Progress progress(context.screen(), "analysing",
                    static_cast<std::uint64_t>(int_at(started, "total")));
  auto backfill = started;
  std::uint64_t done = 0;
  while (goes_on(backfill) && !interrupt.has_come()) {
    context.screen().clock.sleep_for(kLookAgain, {});
    SAMTALE_TRY(backfill, api->get(path, company));
    // Jobs that others asked for come and go: never backwards.
    done = std::max(done, finished(backfill));
    progress.update(done, std::to_string(int_at(backfill, "asked")) + " of " +
                              std::to_string(int_at(backfill, "total")) + " asked for, " +
                              std::to_string(int_at(backfill, "waiting")) + " waiting");
  }
  return backfill;
}

Result<int> backfill_list(Context& context, const Arguments&) {
  constexpr Column kColumns[] = {{"ID", "id"},           {"STATE", "state"},
                                 {"ASKED", "asked"},     {"TOTAL", "total"},
                                 {"WAITING", "waiting"}, {"MADE", "created_at"}};
  return list(context, "/v1/backfills", "backfills", kColumns);
}

Result<int> backfill_show(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto backfill, api->get(path_of(arguments.words().front()), company));
  print_backfill(context, backfill);
  return 0;
}

Result<int> backfill_pause(Context& context, const Arguments& arguments) {
  return change(context, arguments, "pause");
}

Result<int> backfill_resume(Context& context, const Arguments& arguments) {
  return change(context, arguments, "resume");
}

Result<int> backfill_cancel(Context& context, const Arguments& arguments) {
  return change(context, arguments, "cancel");
}

}  // namespace samtale::cli

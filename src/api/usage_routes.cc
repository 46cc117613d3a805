// What a company's analyses have cost, and what they may.
#include <algorithm>
#include <chrono>

#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"

namespace samtale::api {
namespace {

constexpr double kMicro = 1e6;
constexpr std::size_t kDateLength = 10;
constexpr std::int64_t kDaysMax = 366;

struct Period {
  std::string from;
  std::string to;
};

Period month_of(WallTime now) {
  const auto today = format_time(now).substr(0, kDateLength);
  using std::chrono::day;
  using std::chrono::month;
  using std::chrono::year;
  const std::chrono::year_month_day_last last(
      year(std::stoi(today.substr(0, 4))) /
      month(static_cast<unsigned>(std::stoi(today.substr(5, 2)))) / std::chrono::last);
  const auto begin = today.substr(0, 8);
  return {begin + "01", begin + std::to_string(static_cast<unsigned>(last.day()))};
}

std::int64_t days_in(const Period& period) {
  const auto at = [](const std::string& date) { return to_us(*parse_time(date + "T00:00:00Z")); };
  constexpr std::int64_t kDayUs = 86'400'000'000;
  return (at(period.to) - at(period.from)) / kDayUs + 1;
}

Result<Period> read_period(const http::Request& request, WallTime now) {
  const auto month = month_of(now);
  Period period;
  SAMTALE_TRY(period.from, query_date(request, "from", month.from));
  SAMTALE_TRY(period.to, query_date(request, "to", std::max(month.to, period.from)));
  if (period.to < period.from) {
    return fail(ErrorCode::invalid_argument, "?to: must not be before ?from");
  }
  if (days_in(period) > kDaysMax) {
    return fail(ErrorCode::invalid_argument, "?to: must be at most a year after ?from");
  }
  return period;
}

json::Value to_json(const SpendRow& row) {
  return json::Object{{"day", row.day},
                      {"analyzer", row.analyzer},
                      {"tokens", row.spent.tokens},
                      {"usd", static_cast<double>(row.spent.micro_usd) / kMicro},
                      {"requests", row.requests}};
}

struct Limit {
  std::optional<std::int64_t> tokens;
  std::optional<std::int64_t> micro_usd;
};

// `rows` are of the period that the limit is for.
json::Value budget_value(const std::optional<std::string>& analyzer, std::string_view period,
                         const Limit& limit, const std::vector<SpendRow>& rows) {
  Spend spent;
  Spend held;
  for (const auto& row : rows) {
    if (analyzer && row.analyzer != *analyzer) continue;
    spent.tokens += row.spent.tokens;
    spent.micro_usd += row.spent.micro_usd;
    held.tokens += row.held.tokens;
    held.micro_usd += row.held.micro_usd;
  }
  json::Object object{{"analyzer", analyzer ? json::Value(*analyzer) : json::Value()},
                      {"period", period}};
  if (limit.tokens) object.emplace_back("limit_tokens", *limit.tokens);
  if (limit.micro_usd) {
    object.emplace_back("limit_usd", static_cast<double>(*limit.micro_usd) / kMicro);
  }
  object.emplace_back("spent_tokens", spent.tokens);
  object.emplace_back("spent_usd", static_cast<double>(spent.micro_usd) / kMicro);
  object.emplace_back("held_tokens", held.tokens);
  object.emplace_back("held_usd", static_cast<double>(held.micro_usd) / kMicro);
  const bool is_spent = (limit.tokens && spent.tokens + held.tokens >= *limit.tokens) ||
                        (limit.micro_usd && spent.micro_usd + held.micro_usd >= *limit.micro_usd);
  object.emplace_back("is_spent", is_spent);
  return object;
}

json::Array budgets_of(const Context& context, CompanyId company,
                       const std::vector<SpendRow>& month, const std::string& today) {
  std::vector<SpendRow> day;
  std::ranges::copy_if(month, std::back_inserter(day),
                       [&](const SpendRow& row) { return row.day == today; });
  json::Array budgets;
  const auto add = [&](const std::optional<std::string>& analyzer, const BudgetLimits& limits) {
    const Limit a_day{limits.tokens_per_day, limits.micro_usd_per_day};
    const Limit a_month{limits.tokens_per_month, limits.micro_usd_per_month};
    // What the company spends is of interest without a limit too.
    const bool is_company = !analyzer;
    if (is_company || a_day.tokens || a_day.micro_usd) {
      budgets.push_back(budget_value(analyzer, "day", a_day, day));
    }
    if (is_company || a_month.tokens || a_month.micro_usd) {
      budgets.push_back(budget_value(analyzer, "month", a_month, month));
    }
  };
  const auto& catalog = context.parts.analyzers;
  add(std::nullopt, catalog.of_company(company));
  for (const auto& analyzer : *catalog.of(company)) add(analyzer.name, analyzer.budget);
  return budgets;
}

}  // namespace

void get_usage(const Context& context, const Call& call, http::Reply reply) {
  const auto now = context.parts.clock.wall_now();
  const auto period = read_period(call.request, now);
  if (!period) return reply(failure(period.error(), call.request));
  const auto company = call.caller->company();
  const auto rows = context.parts.store.spend(company, period->from, period->to);
  if (!rows) return refuse(context, call, rows.error(), std::move(reply));
  const auto month = month_of(now);
  const auto this_month = context.parts.store.spend(company, month.from, month.to);
  if (!this_month) return refuse(context, call, this_month.error(), std::move(reply));
  json::Array days;
  for (const auto& row : *rows) {
    // A row that only promises is no cost.
    if (row.requests != 0 || row.spent != Spend{}) days.push_back(to_json(row));
  }
  json::Array stopped;
  if (context.parts.budget_refusals) {
    for (auto& why : context.parts.budget_refusals(company)) stopped.emplace_back(std::move(why));
  }
  reply(ok(json::Object{{"from", period->from},
                        {"to", period->to},
                        {"stopped", std::move(stopped)},
                        {"days", std::move(days)},
                        {"budgets", budgets_of(context, company, *this_month,
                                               format_time(now).substr(0, kDateLength))}}));
}

}  // namespace samtale::api

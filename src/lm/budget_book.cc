#include "lm/budget_book.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace samtale {
namespace {

constexpr std::int64_t kRequestsMax = 256;  // Held ahead: one transaction for so many.
constexpr std::int64_t kShare = 50;         // And a fiftieth of a limit: what a crash may cost.
// What was sent before midnight is settled or given up by then.
constexpr auto kGrace = std::chrono::hours(1);

// "2026-11-28", six of them a reservation: so without snprintf.
std::string text(const std::chrono::year_month_day& date) {
  std::string out = "0000-00-00";
  const auto put = [&](unsigned number, std::size_t begin, std::size_t end) {
    for (auto at = end; at > begin; number /= 10) out[--at] = static_cast<char>('0' + number % 10);
  };
  put(static_cast<unsigned>(static_cast<int>(date.year())), 0, 4);
  put(static_cast<unsigned>(date.month()), 5, 7);
  put(static_cast<unsigned>(date.day()), 8, 10);
  return out;
}

std::optional<std::int64_t> smaller(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::int64_t block_of(std::optional<std::int64_t> tightest, std::int64_t request) {
  const auto most = tightest ? *tightest / kShare : std::numeric_limits<std::int64_t>::max();
  return request < most / kRequestsMax ? request * kRequestsMax : std::max(most, request);
}

std::string dollars(std::int64_t micro_usd) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.6f", static_cast<double>(micro_usd) / 1e6);
  std::string text = buffer;
  // Whole cents need no more digits.
  while (text.ends_with('0') && text[text.size() - 3] != '.') text.pop_back();
  return text + " USD";
}

}  // namespace

std::int64_t cost_micro_usd(const TokenPrices& prices, std::int64_t input,
                            std::int64_t cached_input, std::int64_t output) {
  const auto all = std::max<std::int64_t>(input, 0);
  const auto cached = std::clamp<std::int64_t>(cached_input, 0, all);
  const double cost = static_cast<double>(all - cached) * prices.input +
                      static_cast<double>(cached) * prices.cached_input +
                      static_cast<double>(std::max<std::int64_t>(output, 0)) * prices.output;
  // A million tokens at .15 are 150,000 and not one more for what a double cannot hold.
  return static_cast<std::int64_t>(std::ceil(cost - 1e-9 - cost * 1e-14));
}

std::vector<Booking> in_equal_shares(const std::vector<std::string>& analyzers, Spend sum) {
  const auto shares = static_cast<std::int64_t>(analyzers.size());
  std::vector<Booking> out;
  out.reserve(analyzers.size());
  for (std::int64_t i = 0; i < shares; ++i) {
    const auto share = [&](std::int64_t of) { return of / shares + (i < of % shares ? 1 : 0); };
    out.push_back({.analyzer = analyzers[static_cast<std::size_t>(i)],
                   .amount = {.tokens = share(sum.tokens), .micro_usd = share(sum.micro_usd)}});
  }
  return out;
}

BudgetDay budget_day(WallTime now) {
  using std::chrono::floor;
  using Days = std::chrono::days;
  const auto today = floor<Days>(now);
  const std::chrono::year_month_day date(today);
  const auto next_month =
      std::chrono::year_month(date.year(), date.month()) + std::chrono::months(1);
  return {.day = text(date),
          .month_first = text(date.year() / date.month() / 1),
          .month_last = text(date.year() / date.month() / 31),
          .held_from = text(floor<Days>(now - kGrace)),
          .next_day = text(today + Days(1)),
          .next_month = text(next_month / 1)};
}

Spend plus(const Spend& a, const Spend& b) {
  return {.tokens = a.tokens + b.tokens, .micro_usd = a.micro_usd + b.micro_usd};
}

Spend minus(const Spend& a, const Spend& b) {
  return {.tokens = a.tokens - b.tokens, .micro_usd = a.micro_usd - b.micro_usd};
}

bool covers(const Spend& a, const Spend& b) {
  return a.tokens >= b.tokens && a.micro_usd >= b.micro_usd;
}

void raise_to(Amounts& amounts, const Amounts& least) {
  for (const auto& [analyzer, amount] : least) {
    auto& own = amounts[analyzer];
    own = {.tokens = std::max(own.tokens, amount.tokens),
           .micro_usd = std::max(own.micro_usd, amount.micro_usd)};
  }
}

std::string budget_day_text(WallTime now) {
  return text(std::chrono::floor<std::chrono::days>(now));
}

bool is_none(const BudgetLimits& limits) { return limits == BudgetLimits{}; }

Spend CompanyLimits::block(std::string_view analyzer, const Spend& request) const {
  const auto found = analyzers.find(analyzer);
  const auto own = found == analyzers.end() ? BudgetLimits{} : found->second;
  const auto tokens = smaller(smaller(company.tokens_per_day, company.tokens_per_month),
                              smaller(own.tokens_per_day, own.tokens_per_month));
  const auto micro_usd = smaller(smaller(company.micro_usd_per_day, company.micro_usd_per_month),
                                 smaller(own.micro_usd_per_day, own.micro_usd_per_month));
  return {.tokens = block_of(tokens, request.tokens),
          .micro_usd = block_of(micro_usd, request.micro_usd)};
}

BudgetBook::BudgetBook(std::span<const SpendRow> rows, const BudgetDay& day) : day_(day) {
  for (const auto& row : rows) {
    const bool is_held = row.day >= day_.held_from;
    for (auto* periods : {&company_, &analyzers_[row.analyzer]}) {
      for (auto* used : {&periods->day, &periods->month}) {
        if (used == &periods->day && row.day != day_.day) continue;
        used->spent = plus(used->spent, row.spent);
        if (is_held) used->held = plus(used->held, row.held);
      }
    }
  }
}

void BudgetBook::forget(const Amounts& held) {
  for (const auto& [analyzer, amount] : held) {
    for (auto* periods : {&company_, &analyzers_[analyzer]}) {
      periods->day.held = minus(periods->day.held, amount);
      periods->month.held = minus(periods->month.held, amount);
    }
  }
}

std::optional<Excess> BudgetBook::find_excess(const CompanyLimits& limits,
                                              const Amounts& more) const {
  Spend all;
  for (const auto& [analyzer, amount] : more) all = plus(all, amount);
  if (auto excess = find_excess({"", limits.company, company_, all})) return excess;
  for (const auto& [analyzer, amount] : more) {
    const auto own = limits.analyzers.find(analyzer);
    if (own == limits.analyzers.end()) continue;
    const auto found = analyzers_.find(analyzer);
    const auto used = found == analyzers_.end() ? Periods{} : found->second;
    if (auto excess = find_excess({analyzer, own->second, used, amount})) return excess;
  }
  return std::nullopt;
}

std::optional<Excess> BudgetBook::find_excess(const Scope& scope) const {
  struct Check {
    std::optional<std::int64_t> limit;
    bool is_day;
    bool is_money;
  };
  for (const auto& [limit, is_day, is_money] :
       {Check{scope.limits.tokens_per_day, true, false},
        Check{scope.limits.tokens_per_month, false, false},
        Check{scope.limits.micro_usd_per_day, true, true},
        Check{scope.limits.micro_usd_per_month, false, true}}) {
    const auto& used = is_day ? scope.used.day : scope.used.month;
    const auto in_unit = [money = is_money](const Spend& spend) {
      return money ? spend.micro_usd : spend.tokens;
    };
    const auto spent = in_unit(used.spent);
    const auto held = in_unit(used.held);
    const auto more = in_unit(scope.more);
    // What costs nothing passes no limit.
    if (!limit || more == 0 || more <= *limit - spent - held) continue;
    const auto say = [money = is_money](std::int64_t amount) {
      return money ? dollars(amount) : std::to_string(amount) + " tokens";
    };
    const auto whose = scope.analyzer.empty()
                           ? std::string("the company's budget for language models")
                           : "the budget of analyzer \"" + std::string(scope.analyzer) + "\"";
    return Excess{std::string(scope.analyzer),
                  whose + " of " + say(*limit) + (is_day ? " a day" : " a month") +
                      " does not allow " + say(more) + " more: " + say(spent) + " are spent and " +
                      say(held) + " promised to requests under way; it begins anew on " +
                      (is_day ? day_.next_day : day_.next_month) +
                      " at 00:00 UTC, or raise the limit"};
  }
  return std::nullopt;
}

}  // namespace samtale

// BudgetBook: what a company has spent and holds, against its limits. Only reckons: no store, no
// lock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lm/budget.h"
#include "store/store.h"
#include "sys/clock.h"

namespace samtale {

// The periods an instant lies in, in UTC. Days are written "2026-11-28".
struct BudgetDay {
  std::string day;
  std::string month_first;
  std::string month_last;  // "…-31" in any month: days compare as text.
  std::string held_from;   // What was held before that day can no longer become spent.
  std::string next_day;
  std::string next_month;  // Its first day.
};
[[nodiscard]] BudgetDay budget_day(WallTime now);
[[nodiscard]] std::string budget_day_text(WallTime now);  // Its `day` alone.

using Amounts = std::map<std::string, Spend, std::less<>>;  // By analyzer.

[[nodiscard]] Spend plus(const Spend& a, const Spend& b);
[[nodiscard]] Spend minus(const Spend& a, const Spend& b);
[[nodiscard]] bool covers(const Spend& a, const Spend& b);  // a is at least b, in both.
void raise_to(Amounts& amounts, const Amounts& least);      // Each at least as much as in `least`.

[[nodiscard]] bool is_none(const BudgetLimits& limits);

struct CompanyLimits {
  BudgetLimits company;
  std::map<std::string, BudgetLimits, std::less<>> analyzers;

  // Of those that hold for the analyzer, the tightest a fiftieth of which is the most that is held
  // ahead. Nothing where there is none.
  [[nodiscard]] Spend block(std::string_view analyzer, const Spend& request) const;
};

// A limit that would be passed.
struct Excess {
  std::string analyzer;  // Whose own limit it is; empty: the company's.
  std::string message;
};

class BudgetBook {
 public:
  // `rows`: of the month of `day`.
  BudgetBook(std::span<const SpendRow> rows, const BudgetDay& day);

  // Leaves out what is held today by whoever asks.
  void forget(const Amounts& held);
  // The first limit that would be passed if `more` came on top.
  [[nodiscard]] std::optional<Excess> find_excess(const CompanyLimits& limits,
                                                  const Amounts& more) const;

 private:
  struct Used {
    Spend spent;
    Spend held;
  };
  struct Periods {
    Used day;
    Used month;
  };
  struct Scope {
    std::string_view analyzer;
    const BudgetLimits& limits;
    const Periods& used;
    Spend more;
  };
  [[nodiscard]] std::optional<Excess> find_excess(const Scope& scope) const;

  const BudgetDay day_;
  Periods company_;
  std::map<std::string, Periods, std::less<>> analyzers_;
};

}  // namespace samtale

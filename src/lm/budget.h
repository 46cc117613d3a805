// Budget: what a company may spend, and what it has. Reserve before, reconcile after: what is spent
// never passes a limit by more than the difference between one reservation and its true cost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "store/store.h"
#include "sys/clock.h"

namespace samtale {

struct BudgetLimits {  // Nothing: no limit.
  std::optional<std::int64_t> tokens_per_day;
  std::optional<std::int64_t> tokens_per_month;
  std::optional<std::int64_t> micro_usd_per_day;
  std::optional<std::int64_t> micro_usd_per_month;

  friend bool operator==(const BudgetLimits&, const BudgetLimits&) = default;
};

// USD a million tokens, so: micro-USD a token.
struct TokenPrices {
  double input = 0;
  double cached_input = 0;
  double output = 0;
};
// Rounded up to whole micro-USD.
[[nodiscard]] std::int64_t cost_micro_usd(const TokenPrices& prices, std::int64_t input,
                                          std::int64_t cached_input, std::int64_t output);

// Whom a request is booked on, and how much of it.
struct Booking {
  std::string analyzer;
  Spend amount;
};

// In equal shares; what does not divide evenly is the first ones'. `analyzers` is not empty.
[[nodiscard]] std::vector<Booking> in_equal_shares(const std::vector<std::string>& analyzers,
                                                   Spend sum);

// Where limits come from: per company, and per company and analyzer. Called at each reservation.
class BudgetPolicy {
 public:
  virtual ~BudgetPolicy() = default;
  [[nodiscard]] virtual BudgetLimits of_company(CompanyId company) const = 0;
  [[nodiscard]] virtual BudgetLimits of_analyzer(CompanyId company,
                                                 std::string_view analyzer) const = 0;
};

// Days and months are UTC; a reservation is booked on the day it was made. What is spent lies in
// the store (lm_spend), written by whoever stores the result, in the same transaction: settle().
// What may be spent is held in the store in blocks of several requests (one transaction a block,
// the next one ahead of time), so that a reservation costs no disk. A block is at most 256 requests
// and at most a fiftieth of the tightest limit (one request where that is more).
// A reservation is made only if what is spent, and held by all who share the store, allows it. What
// a process held that died counts as spent: against a day's limit until the day has ended, against
// a month's until an hour after that. Companies without limits hold nothing. A limit that was
// changed counts from the next reservation on.
// Threads: any method from any thread. reserve() may wait for two transactions: another thread's
//          and its own.
// Memory:  about 300 bytes a company and analyzer that spends, dropped after a minute without.
class Budget {
 public:
  // All must outlive it. `clock`: its wall time says the day.
  Budget(Store& store, const BudgetPolicy& policy, const Clock& clock);
  ~Budget();  // Gives back what is held and not reserved.
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // A reservation, to be settled or cancelled. Holds nothing if there are no limits.
  struct Reservation {
    CompanyId company{};
    std::string day;  // "2026-11-28"
    std::vector<Booking> bookings;
    bool is_held = false;
  };

  // All bookings or none; no amount is negative. Errors: resource_exhausted, naming company or
  // analyzer, the limit, what is spent and when it begins anew; then `over` (if not null) is the
  // analyzer whose own limit it is, or empty if the company's. unavailable and corrupt as the
  // store.
  Result<Reservation> reserve(CompanyId company, std::vector<Booking> bookings,
                              std::string* over = nullptr);
  // Nothing was sent, or it certainly cost nothing. Once, and instead of settle().
  void cancel(const Reservation& reservation);
  // What the transaction that stores the outcome must book: pass each to StoreWriter::add_spend.
  // The true amounts take the place of the reserved ones, analyzer by analyzer. `requests` are
  // booked on the first of them, so that they add up.
  [[nodiscard]] std::vector<SpendChange> settle(const Reservation& reservation,
                                                const std::vector<Booking>& actual,
                                                std::int64_t requests) const;
  // What reserve() last said to the company, for each budget that refused (its own and its
  // analyzers'): until that budget allows something again, or the day has ended.
  [[nodiscard]] std::vector<std::string> refusals(CompanyId company) const;
  // Takes blocks ahead of time and gives back those nobody used for a minute, of a few companies.
  // A worker's step: returns how many; 0 means that there is nothing to do.
  Result<std::size_t> step();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace samtale

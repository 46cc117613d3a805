#include "lm/budget.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "lm/budget_book.h"

namespace samtale {
namespace {

constexpr auto kIdle = std::chrono::minutes(1);  // Then what is held ahead is given back.
constexpr std::size_t kCompaniesAStep = 16;      // A transaction each.

// What is held in the store and promised to nobody yet.
struct Credit {
  Spend free;
  Spend request;  // The last one: says how large a block is.
  Instant used_at{};
  bool is_topped_up = false;  // As far as the limits allowed, and not used since.
};
using Credits = std::map<std::pair<std::string, std::string>, Credit>;  // By day and analyzer.

Amounts sum_of(const std::vector<Booking>& bookings) {
  Amounts sums;
  for (const auto& booking : bookings) {
    SAMTALE_CHECK(booking.amount.tokens >= 0 && booking.amount.micro_usd >= 0,
                  "what is booked is not negative");
    sums[booking.analyzer] = plus(sums[booking.analyzer], booking.amount);
  }
  return sums;
}

Amounts free_of(const Credits& credits, const std::string& day) {
  Amounts free;
  for (const auto& [key, credit] : credits) {
    if (key.first == day) free[key.second] = credit.free;
  }
  return free;
}

}  // namespace

// A reservation takes from the credit; if that is not enough, one thread a company goes to the
// store for more, and the others wait for it. The store then holds what is credit and what is
// reserved.
class Budget::State {
 public:
  State(Store& store, const BudgetPolicy& policy, const Clock& clock)
      : store_(store), policy_(policy), clock_(clock) {}

  Result<Reservation> reserve(CompanyId company, std::vector<Booking> bookings, std::string* over);
  void cancel(const Reservation& reservation);
  [[nodiscard]] std::vector<std::string> refusals(CompanyId company) const;
  Result<std::size_t> step();
  void give_all_back();

 private:
  struct Account {
    Credits credits;
    CompanyLimits limits;  // Those that held when the credit was taken.
    bool is_busy = false;  // A thread has its credits, and is at the store with them.
  };
  // What is to be held from now on in place of `credits`: the most of it that fits.
  struct Order {
    CompanyId company{};
    BudgetDay day;
    CompanyLimits limits;
    Credits credits;
    Amounts need;
    Amounts keep;
    Amounts wish;
  };
  struct Held {
    Amounts amounts;
    std::optional<Excess> excess;  // Not even the need fits: nothing was changed.
  };

  [[nodiscard]] Order order_of(CompanyId company) const;
  [[nodiscard]] CompanyLimits limits_of(CompanyId company, const Amounts& bookings) const;
  // Of the account, with the mutex.
  [[nodiscard]] bool take_credit(Account& account, const Order& order);
  Credits take_all(Account& account);
  // Without it.
  void put_back(CompanyId company, const Credits& credits, const CompanyLimits* limits);
  Result<Held> hold(const Order& order);
  [[nodiscard]] static Held choose(const Order& order, BudgetBook book);
  [[nodiscard]] std::vector<SpendChange> changes(const Order& order, const Amounts& held) const;
  [[nodiscard]] Order upkeep_of(CompanyId company, Credits credits);
  [[nodiscard]] std::optional<CompanyId> next_for_upkeep(std::optional<CompanyId> after);
  [[nodiscard]] bool wants_upkeep(const Account& account, const std::string& day,
                                  Instant now) const;
  Result<> keep_up(CompanyId company);
  Credits credits_of(const Order& order, const Amounts& amounts) const;

  Store& store_;
  const BudgetPolicy& policy_;
  const Clock& clock_;
  struct Refusal {
    std::string day;
    std::string message;
  };
  void note_refusal(const Order& order, const Excess& excess);
  void forget_refusals(const Order& order);  // With the mutex.

  mutable std::mutex accounts_mutex_;  // Guards the rest.
  std::condition_variable idle_;
  std::map<CompanyId, Account> accounts_;
  // By the analyzer whose budget it is; empty: the company's. Only of the last day with any.
  std::map<CompanyId, std::map<std::string, Refusal>> refusals_;
};

Budget::State::Order Budget::State::order_of(CompanyId company) const {
  Order order;
  order.company = company;
  order.day = budget_day(clock_.wall_now());
  return order;
}

CompanyLimits Budget::State::limits_of(CompanyId company, const Amounts& bookings) const {
  CompanyLimits limits;
  limits.company = policy_.of_company(company);
  for (const auto& [analyzer, amount] : bookings) {
    limits.analyzers.emplace(analyzer, policy_.of_analyzer(company, analyzer));
  }
  return limits;
}

bool Budget::State::take_credit(Account& account, const Order& order) {
  // Credit taken under other limits may be more than is allowed now.
  if (account.limits.company != order.limits.company) return false;
  for (const auto& [analyzer, amount] : order.need) {
    const auto known = account.limits.analyzers.find(analyzer);
    const auto credit = account.credits.find({order.day.day, analyzer});
    if (known == account.limits.analyzers.end() || credit == account.credits.end() ||
        known->second != order.limits.analyzers.at(analyzer) ||
        !covers(credit->second.free, amount)) {
      return false;
    }
  }
  for (const auto& [analyzer, amount] : order.need) {
    auto& credit = account.credits.at({order.day.day, analyzer});
    credit = {minus(credit.free, amount), amount, clock_.now(), false};
  }
  return true;
}

Credits Budget::State::take_all(Account& account) {
  account.is_busy = true;
  return std::exchange(account.credits, {});
}

void Budget::State::put_back(CompanyId company, const Credits& credits,
                             const CompanyLimits* limits) {
  const std::lock_guard lock(accounts_mutex_);
  auto& account = accounts_[company];
  for (const auto& [key, credit] : credits) {
    auto& own = account.credits[key];  // Reservations may have been cancelled meanwhile.
    const auto free = plus(own.free, credit.free);
    own = credit;
    own.free = free;
  }
  if (limits != nullptr) account.limits = *limits;
  account.is_busy = false;
  if (account.credits.empty()) accounts_.erase(company);
  idle_.notify_all();
}

Result<Budget::Reservation> Budget::State::reserve(CompanyId company, std::vector<Booking> bookings,
                                                   std::string* over) {
  auto order = order_of(company);
  order.need = sum_of(bookings);
  order.limits = limits_of(company, order.need);
  Reservation reservation{company, order.day.day, std::move(bookings), !order.limits.is_empty()};
  if (!reservation.is_held) return reservation;
  {
    std::unique_lock lock(accounts_mutex_);
    for (;;) {
      auto& account = accounts_[company];
      if (take_credit(account, order)) {
        forget_refusals(order);
        return reservation;
      }
      if (!account.is_busy) {
        order.credits = take_all(account);
        break;
      }
      idle_.wait(lock);
    }
  }
  order.keep = free_of(order.credits, order.day.day);
  for (const auto& [analyzer, amount] : order.keep) {
    order.limits.analyzers.try_emplace(analyzer, policy_.of_analyzer(company, analyzer));
  }
  for (const auto& [analyzer, amount] : order.need) {
    order.wish[analyzer] = order.limits.block(analyzer, amount);
  }
  auto held = hold(order);
  if (!held || held->excess) {
    put_back(company, order.credits, nullptr);
    if (!held) return std::unexpected(std::move(held).error().during("reserve a budget"));
    note_refusal(order, *held->excess);
    if (over != nullptr) *over = held->excess->analyzer;
    return fail(ErrorCode::resource_exhausted, held->excess->message);
  }
  for (const auto& [analyzer, amount] : order.need) {
    held->amounts[analyzer] = minus(held->amounts[analyzer], amount);
  }
  put_back(company, credits_of(order, held->amounts), &order.limits);
  const std::lock_guard lock(accounts_mutex_);
  forget_refusals(order);
  return reservation;
}

void Budget::State::note_refusal(const Order& order, const Excess& excess) {
  const std::lock_guard lock(accounts_mutex_);
  for (auto& [company, of_company] : refusals_) {
    std::erase_if(of_company, [&](const auto& one) { return one.second.day != order.day.day; });
  }
  std::erase_if(refusals_, [](const auto& of_company) { return of_company.second.empty(); });
  refusals_[order.company][excess.analyzer] = {order.day.day, excess.message};
}

void Budget::State::forget_refusals(const Order& order) {
  const auto found = refusals_.find(order.company);
  if (found == refusals_.end()) return;
  found->second.erase("");
  for (const auto& [analyzer, amount] : order.need) found->second.erase(analyzer);
  if (found->second.empty()) refusals_.erase(found);
}

std::vector<std::string> Budget::State::refusals(CompanyId company) const {
  const auto today = budget_day(clock_.wall_now()).day;
  const std::lock_guard lock(accounts_mutex_);
  std::vector<std::string> messages;
  const auto found = refusals_.find(company);
  if (found == refusals_.end()) return messages;
  for (const auto& [analyzer, refusal] : found->second) {
    if (refusal.day == today) messages.push_back(refusal.message);
  }
  return messages;
}

Credits Budget::State::credits_of(const Order& order, const Amounts& amounts) const {
  Credits credits;
  for (const auto& [analyzer, amount] : amounts) {
    const std::pair key(order.day.day, analyzer);
    const auto before = order.credits.find(key);
    auto credit = before == order.credits.end() ? Credit{} : before->second;
    credit.free = amount;
    credit.is_topped_up = true;
    if (const auto need = order.need.find(analyzer); need != order.need.end()) {
      credit.request = need->second;
      credit.used_at = clock_.now();
    }
    credits.emplace(key, credit);
  }
  return credits;
}

Budget::State::Held Budget::State::choose(const Order& order, BudgetBook book) {
  book.forget(free_of(order.credits, order.day.day));
  Amounts some = order.keep;
  raise_to(some, order.need);
  Amounts all = some;
  raise_to(all, order.wish);
  for (auto* amounts : {&all, &some}) {
    if (!book.find_excess(order.limits, *amounts)) return {std::move(*amounts), std::nullopt};
  }
  return {order.need, book.find_excess(order.limits, order.need)};
}

std::vector<SpendChange> Budget::State::changes(const Order& order, const Amounts& held) const {
  Credits difference;
  for (const auto& [analyzer, amount] : held) {
    difference[{order.day.day, analyzer}].free = amount;
  }
  for (const auto& [key, credit] : order.credits) {
    difference[key].free = minus(difference[key].free, credit.free);
  }
  std::vector<SpendChange> changes;
  for (const auto& [key, credit] : difference) {
    if (credit.free == Spend{}) continue;
    changes.push_back({.analyzer = key.second, .day = key.first, .spent = {}, .held = credit.free});
  }
  return changes;
}

Result<Budget::State::Held> Budget::State::hold(const Order& order) {
  Held held;
  SAMTALE_TRY_VOID(
      store_.write(store_.partition_of(order.company), [&](StoreWriter& writer) -> Result<> {
        SAMTALE_TRY(const auto rows,
                    writer.spend(order.company, order.day.month_first, order.day.month_last));
        held = choose(order, BudgetBook(rows, order.day));
        if (held.excess) return {};
        return writer.add_spend(order.company, changes(order, held.amounts));
      }));
  return held;
}

void Budget::State::cancel(const Reservation& reservation) {
  if (!reservation.is_held) return;
  const std::lock_guard lock(accounts_mutex_);
  auto& account = accounts_[reservation.company];
  for (const auto& booking : reservation.bookings) {
    auto& credit = account.credits[{reservation.day, booking.analyzer}];
    credit.free = plus(credit.free, booking.amount);
  }
}

bool Budget::State::wants_upkeep(const Account& account, const std::string& day,
                                 Instant now) const {
  if (account.is_busy) return false;
  for (const auto& [key, credit] : account.credits) {
    if (key.first != day || now - credit.used_at >= kIdle) return true;
    if (credit.is_topped_up) continue;
    const auto block = account.limits.block(key.second, credit.request);
    if (!covers(plus(credit.free, credit.free), block)) return true;
  }
  return false;
}

std::optional<CompanyId> Budget::State::next_for_upkeep(std::optional<CompanyId> after) {
  const auto day = budget_day(clock_.wall_now()).day;
  const auto now = clock_.now();
  const std::lock_guard lock(accounts_mutex_);
  auto at = after ? accounts_.upper_bound(*after) : accounts_.begin();
  for (; at != accounts_.end(); ++at) {
    if (wants_upkeep(at->second, day, now)) return at->first;
  }
  return std::nullopt;
}

Budget::State::Order Budget::State::upkeep_of(CompanyId company, Credits credits) {
  auto order = order_of(company);
  order.credits = std::move(credits);
  const auto now = clock_.now();
  order.limits = limits_of(company, free_of(order.credits, order.day.day));
  for (const auto& [key, credit] : order.credits) {
    if (key.first != order.day.day || now - credit.used_at >= kIdle) continue;
    order.keep[key.second] = credit.free;
    order.wish[key.second] = order.limits.block(key.second, credit.request);
  }
  return order;
}

Result<> Budget::State::keep_up(CompanyId company) {
  Credits credits;
  {
    const std::lock_guard lock(accounts_mutex_);
    const auto found = accounts_.find(company);
    if (found == accounts_.end() || found->second.is_busy) return {};
    credits = take_all(found->second);
  }
  const auto order = upkeep_of(company, std::move(credits));
  const auto is_nothing = [](const auto& entry) { return entry.second.free == Spend{}; };
  if (order.wish.empty() && std::ranges::all_of(order.credits, is_nothing)) {
    put_back(company, {}, nullptr);
    return {};
  }
  auto held = hold(order);
  if (held)
    put_back(company, credits_of(order, held->amounts), &order.limits);
  else
    put_back(company, order.credits, nullptr);
  if (!held) return std::unexpected(std::move(held).error().during("hold a budget"));
  return {};
}

Result<std::size_t> Budget::State::step() {
  std::size_t done = 0;
  std::optional<CompanyId> last;
  while (done < kCompaniesAStep) {
    last = next_for_upkeep(last);
    if (!last) break;
    SAMTALE_TRY_VOID(keep_up(*last));
    ++done;
  }
  return done;
}

void Budget::State::give_all_back() {
  for (auto& [company, account] : accounts_) {
    auto order = order_of(company);
    order.credits = std::move(account.credits);
    // What cannot be given back now counts until its day is over.
    [[maybe_unused]] const auto held = hold(order);
  }
}

Budget::Budget(Store& store, const BudgetPolicy& policy, const Clock& clock)
    : state_(std::make_unique<State>(store, policy, clock)) {}
Budget::~Budget() { state_->give_all_back(); }

Result<Budget::Reservation> Budget::reserve(CompanyId company, std::vector<Booking> bookings,
                                            std::string* over) {
  return state_->reserve(company, std::move(bookings), over);
}

std::vector<std::string> Budget::refusals(CompanyId company) const {
  return state_->refusals(company);
}

void Budget::cancel(const Reservation& reservation) { state_->cancel(reservation); }

std::vector<SpendChange> Budget::settle(const Reservation& reservation,
                                        const std::vector<Booking>& actual,
                                        std::int64_t requests) const {
  std::map<std::string, SpendChange> changes;
  for (const auto& [analyzer, amount] : sum_of(actual)) changes[analyzer].spent = amount;
  for (const auto& [analyzer, amount] : sum_of(reservation.bookings)) {
    auto& change = changes[analyzer];
    if (reservation.is_held) change.held = minus({}, amount);
  }
  std::vector<SpendChange> result;
  for (auto& [analyzer, change] : changes) {
    change.analyzer = analyzer;
    change.day = reservation.day;
    result.push_back(std::move(change));
  }
  // On one of them, so that the requests of all analyzers add up.
  if (!result.empty()) result.front().requests = requests;
  return result;
}

Result<std::size_t> Budget::step() { return state_->step(); }

}  // namespace samtale

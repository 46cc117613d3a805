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

// What is held in the store and promised to nobody yet, on a day for an analyzer.
struct Credit {
  std::string day;
  std::string analyzer;
  Spend free;
  Spend low;      // With less the next block is taken. Nothing: the limits allowed no whole one.
  Spend request;  // The last one: says how large a block is.
  BudgetLimits limits;  // The analyzer's, under which it was taken.
  Instant used_at{};
};
// A few: each of a company's analyzers, today.
using Credits = std::vector<Credit>;

Credit* find(Credits& credits, std::string_view day, std::string_view analyzer) {
  const auto found = std::ranges::find_if(credits, [&](const Credit& credit) {
    return credit.analyzer == analyzer && credit.day == day;
  });
  return found == credits.end() ? nullptr : &*found;
}

Credit& find_or_add(Credits& credits, const std::string& day, const std::string& analyzer) {
  if (auto* found = find(credits, day, analyzer)) return *found;
  credits.push_back({.day = day, .analyzer = analyzer});
  return credits.back();
}

Amounts free_of(const Credits& credits, std::string_view day) {
  Amounts free;
  for (const auto& credit : credits) {
    if (credit.day == day) free[credit.analyzer] = credit.free;
  }
  return free;
}

Spend half(const Spend& block) {
  return {.tokens = (block.tokens + 1) / 2, .micro_usd = (block.micro_usd + 1) / 2};
}

}  // namespace

// A reservation takes from the credit; if that is not enough, one thread a company goes to the
// store for more, and the others wait for it. The store holds what is credit and what is reserved:
// it is told of more before there is credit for it, and of less once there is none.
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
    BudgetLimits limits;   // The company's, under which they were taken.
    bool is_busy = false;  // A thread is at the store to take more of them.
  };
  // Those that hold for a reservation.
  struct Limits {
    BudgetLimits company;
    std::vector<BudgetLimits> bookings;  // Of the analyzer of each.

    [[nodiscard]] bool is_empty() const {
      return is_none(company) && std::ranges::all_of(bookings, is_none);
    }
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

  [[nodiscard]] Limits limits_of(CompanyId company, const std::vector<Booking>& bookings) const;
  Result<> take_block(const Reservation& reservation, const Limits& limits, BudgetDay day,
                      Credits credits, std::string* over);
  Result<> keep_up(CompanyId company);
  Result<> top_up(CompanyId company, Credits credits);
  Result<> give_back(CompanyId company, const Credits& credits);
  Result<Held> hold(const Order& order);
  [[nodiscard]] static Held choose(const Order& order, BudgetBook book);
  [[nodiscard]] static std::vector<SpendChange> changes(const Order& order, const Amounts& held);
  [[nodiscard]] Credits credits_of(const Order& order, const Amounts& held) const;
  void note_refusal(const Order& order, const Excess& excess);

  // With the mutex.
  [[nodiscard]] bool take_credit(Account& account, const Reservation& reservation,
                                 const Limits& limits) const;
  [[nodiscard]] static bool is_stale(const Credit& credit, std::string_view day, Instant now);
  [[nodiscard]] static bool is_low(const Credit& credit);
  void forget_refusals(const Reservation& reservation);

  // These take it.
  [[nodiscard]] std::optional<CompanyId> next_for_upkeep(std::optional<CompanyId> after) const;
  void add_credits(CompanyId company, const Credits& credits, const BudgetLimits* limits);
  Credits take_credits(CompanyId company);
  void end_being_busy(CompanyId company);

  Store& store_;
  const BudgetPolicy& policy_;
  const Clock& clock_;
  struct Refusal {
    std::string day;
    std::string message;
  };

  mutable std::mutex accounts_mutex_;  // Guards the rest.
  std::condition_variable idle_;
  std::map<CompanyId, Account> accounts_;
  // By the analyzer whose budget it is; empty: the company's. Only of the last day with any.
  std::map<CompanyId, std::map<std::string, Refusal>> refusals_;
};

Budget::State::Limits Budget::State::limits_of(CompanyId company,
                                               const std::vector<Booking>& bookings) const {
  Limits limits{.company = policy_.of_company(company), .bookings = {}};
  limits.bookings.reserve(bookings.size());
  for (const auto& booking : bookings) {
    limits.bookings.push_back(policy_.of_analyzer(company, booking.analyzer));
  }
  return limits;
}

bool Budget::State::take_credit(Account& account, const Reservation& reservation,
                                const Limits& limits) const {
  // Credit taken under other limits may be more than is allowed now.
  if (account.limits != limits.company) return false;
  const auto now = clock_.now();
  for (std::size_t i = 0; i < reservation.bookings.size(); ++i) {
    const auto& [analyzer, amount] = reservation.bookings[i];
    auto* credit = find(account.credits, reservation.day, analyzer);
    if (credit == nullptr || credit->limits != limits.bookings[i] ||
        !covers(credit->free, amount)) {
      for (std::size_t taken = 0; taken < i; ++taken) {
        const auto& back = reservation.bookings[taken];
        auto& free = find(account.credits, reservation.day, back.analyzer)->free;
        free = plus(free, back.amount);
      }
      return false;
    }
    credit->free = minus(credit->free, amount);
    credit->request = amount;
    credit->used_at = now;
  }
  return true;
}

Result<Budget::Reservation> Budget::State::reserve(CompanyId company, std::vector<Booking> bookings,
                                                   std::string* over) {
  for (const auto& booking : bookings) {
    SAMTALE_CHECK(booking.amount.tokens >= 0 && booking.amount.micro_usd >= 0,
                  "what is booked is not negative");
  }
  const auto now = clock_.wall_now();
  const auto limits = limits_of(company, bookings);
  Reservation reservation{company, budget_day_text(now), std::move(bookings), !limits.is_empty()};
  if (!reservation.is_held) return reservation;
  Credits credits;
  {
    std::unique_lock lock(accounts_mutex_);
    for (;;) {
      auto& account = accounts_[company];
      if (take_credit(account, reservation, limits)) {
        forget_refusals(reservation);
        return reservation;
      }
      if (!account.is_busy) {
        account.is_busy = true;
        credits = std::exchange(account.credits, {});
        break;
      }
      idle_.wait(lock);
    }
  }
  auto taken = take_block(reservation, limits, budget_day(now), std::move(credits), over);
  end_being_busy(company);
  if (!taken) return std::unexpected(std::move(taken).error());
  return reservation;
}

// Holds what is reserved and a block ahead. All of the company's credit is at stake: the next block
// is made smaller, and then the credit given up, before it is refused.
Result<> Budget::State::take_block(const Reservation& reservation, const Limits& limits,
                                   BudgetDay day, Credits credits, std::string* over) {
  Order order;
  order.company = reservation.company;
  order.day = std::move(day);
  order.credits = std::move(credits);
  order.limits.company = limits.company;
  for (std::size_t i = 0; i < reservation.bookings.size(); ++i) {
    const auto& [analyzer, amount] = reservation.bookings[i];
    order.limits.analyzers.emplace(analyzer, limits.bookings[i]);
    order.need[analyzer] = plus(order.need[analyzer], amount);
  }
  order.keep = free_of(order.credits, order.day.day);
  for (const auto& [analyzer, amount] : order.keep) {
    order.limits.analyzers.try_emplace(analyzer, policy_.of_analyzer(order.company, analyzer));
  }
  for (const auto& [analyzer, amount] : order.need) {
    order.wish[analyzer] = order.limits.block(analyzer, amount);
  }
  const auto held = hold(order);
  if (!held || held->excess) {
    add_credits(order.company, order.credits, nullptr);
    if (!held) return std::unexpected(Error(held.error()).during("reserve a budget"));
    note_refusal(order, *held->excess);
    if (over != nullptr) *over = held->excess->analyzer;
    return fail(ErrorCode::resource_exhausted, held->excess->message);
  }
  add_credits(order.company, credits_of(order, held->amounts), &order.limits.company);
  const std::lock_guard lock(accounts_mutex_);
  forget_refusals(reservation);
  return {};
}

void Budget::State::add_credits(CompanyId company, const Credits& credits,
                                const BudgetLimits* limits) {
  const std::lock_guard lock(accounts_mutex_);
  auto& account = accounts_[company];
  for (const auto& credit : credits) {
    // What was cancelled, or is used, meanwhile.
    auto& own = find_or_add(account.credits, credit.day, credit.analyzer);
    const auto free = plus(own.free, credit.free);
    const auto used_at = std::max(own.used_at, credit.used_at);
    own = credit;
    own.free = free;
    own.used_at = used_at;
  }
  if (limits != nullptr) account.limits = *limits;
}

void Budget::State::end_being_busy(CompanyId company) {
  const std::lock_guard lock(accounts_mutex_);
  const auto found = accounts_.find(company);
  found->second.is_busy = false;
  if (found->second.credits.empty()) accounts_.erase(found);
  idle_.notify_all();
}

void Budget::State::note_refusal(const Order& order, const Excess& excess) {
  const std::lock_guard lock(accounts_mutex_);
  for (auto& [company, of_company] : refusals_) {
    std::erase_if(of_company, [&](const auto& one) { return one.second.day != order.day.day; });
  }
  std::erase_if(refusals_, [](const auto& of_company) { return of_company.second.empty(); });
  refusals_[order.company][excess.analyzer] = {order.day.day, excess.message};
}

void Budget::State::forget_refusals(const Reservation& reservation) {
  const auto found = refusals_.find(reservation.company);
  if (found == refusals_.end()) return;
  found->second.erase("");
  for (const auto& booking : reservation.bookings) found->second.erase(booking.analyzer);
  if (found->second.empty()) refusals_.erase(found);
}

std::vector<std::string> Budget::State::refusals(CompanyId company) const {
  const auto today = budget_day_text(clock_.wall_now());
  const std::lock_guard lock(accounts_mutex_);
  std::vector<std::string> messages;
  const auto found = refusals_.find(company);
  if (found == refusals_.end()) return messages;
  for (const auto& [analyzer, refusal] : found->second) {
    if (refusal.day == today) messages.push_back(refusal.message);
  }
  return messages;
}

// Of what is held, what is not needed at once.
Credits Budget::State::credits_of(const Order& order, const Amounts& held) const {
  Credits credits;
  for (const auto& [analyzer, amount] : held) {
    Credit credit{.day = order.day.day, .analyzer = analyzer, .free = amount};
    credit.limits = order.limits.analyzers.at(analyzer);
    for (const auto& before : order.credits) {
      if (before.day != credit.day || before.analyzer != analyzer) continue;
      credit.request = before.request;
      credit.used_at = before.used_at;
    }
    if (const auto need = order.need.find(analyzer); need != order.need.end()) {
      credit.free = minus(amount, need->second);
      credit.request = need->second;
      credit.used_at = clock_.now();
    }
    if (const auto wish = order.wish.find(analyzer);
        wish != order.wish.end() && covers(amount, wish->second)) {
      credit.low = half(wish->second);
    }
    credits.push_back(std::move(credit));
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

std::vector<SpendChange> Budget::State::changes(const Order& order, const Amounts& held) {
  Credits difference;
  for (const auto& [analyzer, amount] : held) {
    difference.push_back({.day = order.day.day, .analyzer = analyzer, .free = amount});
  }
  for (const auto& credit : order.credits) {
    auto& free = find_or_add(difference, credit.day, credit.analyzer).free;
    free = minus(free, credit.free);
  }
  std::vector<SpendChange> changes;
  for (auto& credit : difference) {
    if (credit.free == Spend{}) continue;
    changes.push_back({.analyzer = std::move(credit.analyzer),
                       .day = std::move(credit.day),
                       .spent = {},
                       .held = credit.free});
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
    auto& free = find_or_add(account.credits, reservation.day, booking.analyzer).free;
    free = plus(free, booking.amount);
  }
}

bool Budget::State::is_stale(const Credit& credit, std::string_view day, Instant now) {
  return credit.day != day || now - credit.used_at >= kIdle;
}

bool Budget::State::is_low(const Credit& credit) { return !covers(credit.free, credit.low); }

std::optional<CompanyId> Budget::State::next_for_upkeep(std::optional<CompanyId> after) const {
  const auto day = budget_day_text(clock_.wall_now());
  const auto now = clock_.now();
  const std::lock_guard lock(accounts_mutex_);
  auto at = after ? accounts_.upper_bound(*after) : accounts_.begin();
  for (; at != accounts_.end(); ++at) {
    const auto& [company, account] = *at;
    if (!account.is_busy && std::ranges::any_of(account.credits, [&](const Credit& credit) {
          return is_stale(credit, day, now) || is_low(credit);
        })) {
      return company;
    }
  }
  return std::nullopt;
}

Result<> Budget::State::give_back(CompanyId company, const Credits& credits) {
  const auto is_used_up = [](const Credit& credit) { return credit.free == Spend{}; };
  if (std::ranges::all_of(credits, is_used_up)) return {};
  Order order;
  order.company = company;
  order.day = budget_day(clock_.wall_now());
  order.credits = credits;
  auto held = hold(order);
  if (held) return {};
  add_credits(company, credits, nullptr);
  return std::unexpected(std::move(held).error().during("give back a budget"));
}

// What there is stays where it is and is used meanwhile.
Result<> Budget::State::top_up(CompanyId company, Credits credits) {
  Order order;
  order.company = company;
  order.day = budget_day(clock_.wall_now());
  order.limits.company = policy_.of_company(company);
  for (const auto& credit : credits) {
    order.limits.analyzers.emplace(credit.analyzer, policy_.of_analyzer(company, credit.analyzer));
    order.need[credit.analyzer] = credit.free;
    order.wish[credit.analyzer] = order.limits.block(credit.analyzer, credit.request);
  }
  order.credits = credits;
  const auto held = hold(order);
  if (!held) return std::unexpected(Error(held.error()).during("hold a budget"));
  if (held->excess) {  // Limits were lowered, or something cost more than was reserved.
    return give_back(company, take_credits(company));
  }
  for (auto& credit : credits) {
    const auto& amount = held->amounts.at(credit.analyzer);
    const auto& wish = order.wish.at(credit.analyzer);
    credit.low = covers(amount, wish) ? half(wish) : Spend{};
    credit.limits = order.limits.analyzers.at(credit.analyzer);
    credit.free = minus(amount, credit.free);
  }
  add_credits(company, credits, &order.limits.company);
  return {};
}

Result<> Budget::State::keep_up(CompanyId company) {
  Credits stale;
  Credits low;
  {
    const auto day = budget_day_text(clock_.wall_now());
    const auto now = clock_.now();
    const std::lock_guard lock(accounts_mutex_);
    const auto found = accounts_.find(company);
    if (found == accounts_.end() || found->second.is_busy) return {};
    found->second.is_busy = true;
    auto& credits = found->second.credits;
    const auto fresh = std::ranges::stable_partition(
        credits, [&](const Credit& credit) { return is_stale(credit, day, now); });
    stale.assign(credits.begin(), fresh.begin());
    credits.erase(credits.begin(), fresh.begin());
    if (std::ranges::any_of(credits, is_low)) low = credits;
  }
  auto done = give_back(company, stale);
  if (done && !low.empty()) done = top_up(company, std::move(low));
  end_being_busy(company);
  return done;
}

Credits Budget::State::take_credits(CompanyId company) {
  const std::lock_guard lock(accounts_mutex_);
  return std::exchange(accounts_[company].credits, {});
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
    // What cannot be given back now counts until its day is over.
    [[maybe_unused]] const auto given = give_back(company, std::exchange(account.credits, {}));
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
  std::vector<SpendChange> result;
  result.reserve(actual.size());
  const auto change_of = [&](const std::string& analyzer) -> SpendChange& {
    const auto found = std::ranges::find(result, analyzer, &SpendChange::analyzer);
    if (found != result.end()) return *found;
    return result.emplace_back(
        SpendChange{.analyzer = analyzer, .day = reservation.day, .spent = {}, .held = {}});
  };
  for (const auto& booking : actual) {
    auto& change = change_of(booking.analyzer);
    change.spent = plus(change.spent, booking.amount);
  }
  for (const auto& booking : reservation.bookings) {
    auto& change = change_of(booking.analyzer);
    if (reservation.is_held) change.held = minus(change.held, booking.amount);
  }
  // On one of them, so that the requests of all analyzers add up.
  if (!result.empty()) result.front().requests = requests;
  return result;
}

Result<std::size_t> Budget::step() { return state_->step(); }

}  // namespace samtale

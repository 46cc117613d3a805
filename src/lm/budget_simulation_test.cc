// Goal: whatever is reserved, cancelled, settled and lost in crashes, by two nodes over one store,
// nothing is reserved that a limit does not allow, and one node alone is refused nothing that it
// does.
// Method: the real Budget over the real SqliteStore on a simulated disk, by seed, beside a model
// that only adds up. Either all nodes die with the machine, or one: that is set aside and never
// asked again, so that what it held stays in the store.
#include <gtest/gtest.h>

#include <chrono>
#include <list>

#include "lm/testing/budget_fixture.h"
#include "sim/sim_files.h"
#include "sim/sim_vfs.h"

namespace samtale {
namespace {

const std::vector<std::string> kAnalyzers = {"summary", "topics", "intent"};

class BudgetSimulation : protected BudgetWorld {
 public:
  explicit BudgetSimulation(std::uint64_t seed) : chance_(seed) {
    SAMTALE_CHECK(files_.make_folder("/data") && files_.sync_folder("/"),
                  "an empty disk takes a folder");
    store = open_store("/data", vfs_.name());
    policy.company = {.tokens_per_day = between(2000, 20'000),
                      .tokens_per_month = between(10'000, 60'000),
                      .micro_usd_per_day = between(1000, 10'000)};
    policy.analyzers["summary"] = {.tokens_per_day = between(500, 8000)};
    policy.analyzers["topics"] = {.tokens_per_month = between(500, 20'000)};
    node_count_ = chance_.one_in(2) ? 1 : 2;
    for (std::size_t i = 0; i < node_count_; ++i) nodes_.push_back(open());
  }

  ~BudgetSimulation() { end_all(); }
  BudgetSimulation(const BudgetSimulation&) = delete;
  BudgetSimulation& operator=(const BudgetSimulation&) = delete;

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      const auto what = chance_.below(20);
      if (what < 9) {
        reserve();
      } else if (what < 13) {
        settle();
      } else if (what < 16) {
        cancel();
      } else if (what < 18) {
        ASSERT_TRUE(node()->step());
      } else if (what == 18) {
        pass_time();
      } else if (chance_.one_in(4)) {
        crash();
      }
    }
    EXPECT_GT(reserved_, 0);
  }

 private:
  struct Open {
    Budget::Reservation reservation;
    std::size_t node = 0;
  };
  // What counts against limits: spent, under way, or lost in a crash.
  struct Entry {
    std::string day;
    std::string analyzer;
    Spend amount;
  };

  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least +
           static_cast<std::int64_t>(chance_.below(static_cast<std::uint64_t>(most - least + 1)));
  }
  std::unique_ptr<Budget>& node() { return nodes_[at_ = chance_.below(nodes_.size())]; }
  [[nodiscard]] std::string today() const {
    const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(clock.wall_now()));
    const auto two = [](unsigned number) {
      return (number < 10 ? "0" : "") + std::to_string(number);
    };
    return "2026-" + two(static_cast<unsigned>(date.month())) + "-" +
           two(static_cast<unsigned>(date.day()));
  }

  // Of the days that begin with `period`.
  [[nodiscard]] Spend counted(const std::string& period, const std::string& analyzer) const {
    Spend sum;
    const auto add = [&](const Entry& entry) {
      if (!entry.day.starts_with(period)) return;
      if (!analyzer.empty() && entry.analyzer != analyzer) return;
      sum.tokens += entry.amount.tokens;
      sum.micro_usd += entry.amount.micro_usd;
    };
    for (const auto& entry : spent_) add(entry);
    for (const auto& entry : lost_) {
      if (entry.day == today()) add(entry);
    }
    for (const auto& open : open_) {
      for (const auto& booking : open.reservation.bookings) {
        // Older ones count no longer; that they are settled late is the overshoot of a reservation.
        if (open.reservation.day == today()) {
          add({open.reservation.day, booking.analyzer, booking.amount});
        }
      }
    }
    return sum;
  }

  // Whether the limits allow `more`, of an analyzer or (empty) of the company.
  [[nodiscard]] bool is_allowed(const BudgetLimits& limits, const std::string& analyzer,
                                const Spend& more) const {
    const auto day = counted(today(), analyzer);
    const auto month = counted(today().substr(0, 7), analyzer);
    const auto fits = [](std::int64_t used, std::int64_t amount,
                         std::optional<std::int64_t> limit) {
      return !limit || amount == 0 || used + amount <= *limit;
    };
    return fits(day.tokens, more.tokens, limits.tokens_per_day) &&
           fits(month.tokens, more.tokens, limits.tokens_per_month) &&
           fits(day.micro_usd, more.micro_usd, limits.micro_usd_per_day) &&
           fits(month.micro_usd, more.micro_usd, limits.micro_usd_per_month);
  }

  void reserve() {
    std::vector<Booking> bookings;
    Spend all;
    bool allowed = true;
    for (const auto& analyzer : kAnalyzers) {
      if (!chance_.one_in(2)) continue;
      const Spend amount{.tokens = between(1, 600), .micro_usd = between(0, 300)};
      bookings.push_back({analyzer, amount});
      all = {all.tokens + amount.tokens, all.micro_usd + amount.micro_usd};
      allowed = allowed && is_allowed(policy.of_analyzer(kCompany, analyzer), analyzer, amount);
    }
    allowed = allowed && is_allowed(policy.company, "", all);

    const auto reservation = node()->reserve(kCompany, bookings);

    if (reservation) {
      ASSERT_TRUE(allowed) << "past a limit";
      ASSERT_EQ(reservation->day, today());
      open_.push_back({*reservation, at_});
      ++reserved_;
    } else {
      ASSERT_EQ(reservation.error().code, ErrorCode::resource_exhausted);
      // In the hour after midnight what was under way at its strike still counts for the month.
      const bool is_just_past_midnight =
          clock.wall_now() - std::chrono::floor<std::chrono::days>(clock.wall_now()) <
          std::chrono::hours(1);
      if (node_count_ == 1 && crashes_ == 0 && !is_just_past_midnight) {
        ASSERT_FALSE(allowed) << "refused what is allowed: " << reservation.error().message;
      }
    }
  }

  std::optional<Open> take_open() {
    if (open_.empty()) return std::nullopt;
    auto at = open_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(chance_.below(open_.size())));
    auto open = *at;
    open_.erase(at);
    return open;
  }

  void settle() {
    const auto open = take_open();
    if (!open) return;
    std::vector<Booking> actual;
    for (const auto& [analyzer, amount] : open->reservation.bookings) {
      // Now and then it costs more than was thought.
      const auto most = amount.tokens + (chance_.one_in(5) ? 50 : 0);
      actual.push_back({analyzer, {.tokens = between(0, most), .micro_usd = amount.micro_usd}});
      spent_.push_back({open->reservation.day, analyzer, actual.back().amount});
    }
    book(nodes_[open->node]->settle(open->reservation, actual, 1));
  }

  void cancel() {
    const auto open = take_open();
    if (open) nodes_[open->node]->cancel(open->reservation);
  }

  void pass_time() {
    clock.advance(std::chrono::seconds(between(1, 120)));
    if (chance_.one_in(6)) clock.advance(std::chrono::hours(between(1, 30)));
  }

  void crash() {
    ++crashes_;
    if (chance_.one_in(2)) {
      crash_all();
      return;
    }
    auto& victim = node();
    dead_.push_back(std::exchange(victim, open()));
    lose([this](const Open& open) { return open.node == at_; });
  }

  void crash_all() {
    if (chance_.one_in(2)) {
      files_.kill();
    } else {
      files_.crash();
    }
    end_all();  // They may try to tidy up, and reach nothing.
    files_.start();
    store = open_store("/data", vfs_.name());
    for (std::size_t i = 0; i < node_count_; ++i) nodes_.push_back(open());
    lose([](const Open&) { return true; });
  }

  void end_all() {
    nodes_.clear();
    dead_.clear();
    store.reset();
  }

  template <class Which>
  void lose(Which which) {
    std::erase_if(open_, [&](const Open& open) {
      if (!which(open)) return false;
      for (const auto& booking : open.reservation.bookings) {
        lost_.push_back({open.reservation.day, booking.analyzer, booking.amount});
      }
      return true;
    });
  }

  SimRandom chance_;
  SimFiles files_{chance_};
  SimVfs vfs_{"budget", files_, chance_, clock};
  std::size_t node_count_ = 1;
  std::vector<std::unique_ptr<Budget>> nodes_;
  std::vector<std::unique_ptr<Budget>> dead_;
  std::size_t at_ = 0;
  std::list<Open> open_;
  std::vector<Entry> spent_;
  std::vector<Entry> lost_;
  int crashes_ = 0;
  int reserved_ = 0;
};

class BudgetSeedTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(BudgetSeedTest, keeps_its_limits_whatever_comes) { BudgetSimulation(GetParam()).run(400); }

INSTANTIATE_TEST_SUITE_P(seeds, BudgetSeedTest, testing::Range<std::uint64_t>(1, 151));

}  // namespace
}  // namespace samtale

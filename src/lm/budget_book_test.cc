#include "lm/budget_book.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

using std::chrono::hours;

const WallTime kNoon = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + hours(12);

SpendRow row(const std::string& analyzer, const std::string& day, Spend spent, Spend held = {}) {
  return {.analyzer = analyzer, .day = day, .spent = spent, .held = held};
}

TEST(CostTest, is_rounded_up_to_whole_millionths_of_a_dollar) {
  const TokenPrices prices{.input = 0.15, .cached_input = 0.075, .output = 0.6};

  EXPECT_EQ(cost_micro_usd(prices, 0, 0, 0), 0);
  EXPECT_EQ(cost_micro_usd(prices, 1, 0, 0), 1);
  EXPECT_EQ(cost_micro_usd(prices, 20, 0, 0), 3);
  EXPECT_EQ(cost_micro_usd(prices, 21, 0, 0), 4);
  EXPECT_EQ(cost_micro_usd(prices, 1'000'000, 0, 0), 150'000);
  EXPECT_EQ(cost_micro_usd(prices, 1'000'000, 400'000, 1'000'000), 90'000 + 30'000 + 600'000);
}

TEST(CostTest, is_not_one_too_many_for_what_a_double_cannot_hold) {
  for (std::int64_t cents = 1; cents < 1000; ++cents) {
    const TokenPrices prices{.input = static_cast<double>(cents) / 100};
    for (const std::int64_t hundreds : {1, 3, 7, 12'345, 1'000'000'000}) {
      ASSERT_EQ(cost_micro_usd(prices, hundreds * 100, 0, 0), hundreds * cents);
    }
  }
}

TEST(CostTest, bears_a_provider_that_miscounts) {
  const TokenPrices prices{.input = 2, .cached_input = 1, .output = 4};

  EXPECT_EQ(cost_micro_usd(prices, 10, 50, 0), 10);
  EXPECT_EQ(cost_micro_usd(prices, -10, -5, -3), 0);
}

TEST(BudgetDayTest, names_the_periods_of_an_instant_in_utc) {
  const auto day = budget_day(kNoon);

  EXPECT_EQ(day.day, "2026-11-28");
  EXPECT_EQ(day.month_first, "2026-11-01");
  EXPECT_EQ(day.month_last, "2026-11-31");
  EXPECT_EQ(day.next_day, "2026-11-29");
  EXPECT_EQ(day.next_month, "2026-12-01");
}

TEST(BudgetDayTest, begins_anew_at_midnight_and_counts_yesterdays_promises_an_hour_longer) {
  const WallTime new_year = std::chrono::sys_days(std::chrono::year(2027) / 1 / 1);

  const auto before = budget_day(new_year - std::chrono::microseconds(1));
  EXPECT_EQ(before.day, "2026-12-31");
  EXPECT_EQ(before.next_day, "2027-01-01");
  EXPECT_EQ(before.next_month, "2027-01-01");
  EXPECT_EQ(budget_day(new_year).day, "2027-01-01");
  EXPECT_EQ(budget_day(new_year).held_from, "2026-12-31");
  EXPECT_EQ(budget_day(new_year + hours(1)).held_from, "2027-01-01");
}

TEST(CompanyLimitsTest, holds_256_requests_or_a_fiftieth_of_the_tightest_limit_ahead) {
  CompanyLimits limits;
  limits.company = {.tokens_per_day = 100'000, .tokens_per_month = 1'000'000};
  limits.analyzers["tight"] = {.tokens_per_month = 50'000};

  EXPECT_EQ(limits.block("any", {.tokens = 5, .micro_usd = 7}), (Spend{5 * 256, 7 * 256}));
  EXPECT_EQ(limits.block("any", {.tokens = 500}).tokens, 2000);
  EXPECT_EQ(limits.block("tight", {.tokens = 500}).tokens, 1000);
  EXPECT_EQ(limits.block("tight", {.tokens = 5000}).tokens, 5000) << "one request at least";
}

class BudgetBookTest : public testing::Test {
 protected:
  [[nodiscard]] std::optional<Excess> excess(const Amounts& more) const {
    return BudgetBook(rows, budget_day(now)).find_excess(limits, more);
  }

  WallTime now = kNoon;
  std::vector<SpendRow> rows;
  CompanyLimits limits;
};

TEST_F(BudgetBookTest, adds_up_all_analyzers_for_the_company) {
  limits.company.tokens_per_day = 100;
  rows = {row("a", "2026-11-28", {40, 0}), row("b", "2026-11-28", {30, 0}, {10, 0})};

  EXPECT_FALSE(excess({{"a", {10, 0}}, {"c", {10, 0}}}));
  const auto found = excess({{"a", {10, 0}}, {"c", {11, 0}}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->analyzer, "");
}

TEST_F(BudgetBookTest, counts_a_day_for_the_day_and_all_of_them_for_the_month) {
  limits.company = {.tokens_per_day = 100, .tokens_per_month = 200};
  rows = {row("a", "2026-11-01", {150, 0}), row("a", "2026-11-28", {20, 0})};

  EXPECT_FALSE(excess({{"a", {30, 0}}}));
  const auto found = excess({{"a", {31, 0}}});
  ASSERT_TRUE(found);
  EXPECT_NE(found->message.find("200 tokens a month"), std::string::npos) << found->message;
  EXPECT_NE(found->message.find("2026-12-01"), std::string::npos) << found->message;
}

TEST_F(BudgetBookTest, no_longer_counts_what_was_held_and_not_spent_on_earlier_days) {
  limits.company.tokens_per_month = 100;
  rows = {row("a", "2026-11-27", {10, 0}, {90, 0})};

  EXPECT_FALSE(excess({{"a", {90, 0}}}));
  EXPECT_TRUE(excess({{"a", {91, 0}}}));
  now = kNoon - hours(12);  // Half a second past midnight they may still be under way.
  EXPECT_TRUE(excess({{"a", {1, 0}}}));
}

TEST_F(BudgetBookTest, says_whose_limit_it_is_what_is_spent_and_when_it_begins_anew) {
  limits.analyzers["summary"].micro_usd_per_day = 2'500'000;
  rows = {row("summary", "2026-11-28", {0, 2'000'000}, {0, 400'000})};

  const auto found = excess({{"summary", {10, 100'001}}});

  ASSERT_TRUE(found);
  EXPECT_EQ(found->analyzer, "summary");
  EXPECT_EQ(
      found->message,
      "the budget of analyzer \"summary\" of 2.50 USD a day does not allow 0.100001 USD more: "
      "2.00 USD are spent and 0.40 USD promised to requests under way; it begins anew on "
      "2026-11-29 at 00:00 UTC, or raise the limit");
  EXPECT_FALSE(excess({{"topics", {10, 100'001}}}));
}

TEST_F(BudgetBookTest, lets_pass_what_costs_nothing_of_what_is_used_up) {
  limits.company.micro_usd_per_day = 0;

  EXPECT_FALSE(excess({{"a", {1000, 0}}}));
  EXPECT_TRUE(excess({{"a", {1000, 1}}}));
}

}  // namespace
}  // namespace samtale

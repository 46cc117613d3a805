#include "lm/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "embed/testing/temporary_folder.h"
#include "lm/testing/budget_fixture.h"

namespace samtale {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

class BudgetTest : public testing::Test, protected BudgetWorld {
 protected:
  BudgetTest() { store = open_store(folder_named("data"), ""); }
  ~BudgetTest() override { store.reset(); }  // Before its folder.

  [[nodiscard]] std::string folder_named(const std::string& name) const {
    std::filesystem::create_directory(folder / name);
    return folder / name;
  }
  static std::vector<Booking> tokens(std::int64_t count, const std::string& analyzer = "summary") {
    return {{analyzer, {.tokens = count, .micro_usd = 0}}};
  }

  TemporaryFolder folder;
};

TEST_F(BudgetTest, holds_nothing_where_there_are_no_limits_and_books_all_the_same) {
  const auto budget = open();

  const auto reservation = budget->reserve(kCompany, tokens(1000));
  ASSERT_TRUE(reservation);
  EXPECT_FALSE(reservation->is_held);
  EXPECT_EQ(held(), Spend{});
  book(budget->settle(*reservation, tokens(700), 2));

  EXPECT_EQ(spent().tokens, 700);
  EXPECT_EQ(held(), Spend{});
  EXPECT_EQ(rows().at(0).requests, 2);
  EXPECT_EQ(rows().at(0).day, "2026-01-01");
}

TEST_F(BudgetTest, lets_nothing_pass_a_limit) {
  policy.company.tokens_per_day = 1000;
  const auto budget = open();

  const auto first = budget->reserve(kCompany, tokens(600));
  ASSERT_TRUE(first);
  std::string over = "not told";
  const auto refused = budget->reserve(kCompany, tokens(401), &over);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(over, "");
  EXPECT_TRUE(budget->reserve(kCompany, tokens(400)));
  EXPECT_EQ(held().tokens, 1000);
}

TEST_F(BudgetTest, puts_the_true_cost_in_the_place_of_the_reserved_one) {
  policy.company.tokens_per_day = 1000;
  const auto budget = open();
  const auto reservation = budget->reserve(kCompany, tokens(1000));

  book(budget->settle(*reservation, tokens(300), 1));

  EXPECT_EQ(spent().tokens, 300);
  EXPECT_EQ(held(), Spend{});
  EXPECT_TRUE(budget->reserve(kCompany, tokens(700)));
}

TEST_F(BudgetTest, has_what_is_cancelled_again) {
  policy.company.tokens_per_day = 1000;
  const auto budget = open();
  const auto reservation = budget->reserve(kCompany, tokens(1000));

  budget->cancel(*reservation);

  EXPECT_TRUE(budget->reserve(kCompany, tokens(1000, "topics")));
}

TEST_F(BudgetTest, keeps_an_analyzer_and_the_company_each_within_its_own_limit) {
  policy.company.tokens_per_day = 1000;
  policy.analyzers["summary"].tokens_per_day = 500;
  const auto budget = open();
  ASSERT_TRUE(budget->reserve(kCompany, tokens(500, "summary")));

  std::string over;
  EXPECT_FALSE(budget->reserve(kCompany, tokens(1, "summary"), &over));
  EXPECT_EQ(over, "summary");
  // Both or neither.
  EXPECT_FALSE(budget->reserve(kCompany, {{"topics", {100, 0}}, {"summary", {1, 0}}}));

  ASSERT_TRUE(budget->reserve(kCompany, tokens(500, "topics")));
  EXPECT_FALSE(budget->reserve(kCompany, tokens(1, "topics"), &over));
  EXPECT_EQ(over, "");
}

TEST_F(BudgetTest, tells_why_it_refuses_until_it_allows_again_or_the_day_has_ended) {
  policy.company.tokens_per_day = 1000;
  policy.analyzers["summary"].tokens_per_day = 10;
  const auto budget = open();
  ASSERT_TRUE(budget->reserve(kCompany, tokens(900, "topics")));
  EXPECT_THAT(budget->refusals(kCompany), testing::IsEmpty());

  ASSERT_FALSE(budget->reserve(kCompany, tokens(200, "topics")));
  ASSERT_FALSE(budget->reserve(kCompany, tokens(11, "summary")));
  EXPECT_THAT(budget->refusals(kCompany),
              testing::ElementsAre(testing::HasSubstr("the company's budget"),
                                   testing::HasSubstr("analyzer \"summary\"")));
  EXPECT_THAT(budget->refusals(CompanyId{2}), testing::IsEmpty());

  ASSERT_TRUE(budget->reserve(kCompany, tokens(50, "topics")));
  EXPECT_THAT(budget->refusals(kCompany),
              testing::ElementsAre(testing::HasSubstr("analyzer \"summary\"")));
  clock.advance(hours(24));
  EXPECT_THAT(budget->refusals(kCompany), testing::IsEmpty());
}

TEST_F(BudgetTest, keeps_money_within_its_limit_as_it_does_tokens) {
  policy.company.micro_usd_per_month = 100;
  const auto budget = open();

  ASSERT_TRUE(budget->reserve(kCompany, {{"summary", {.tokens = 1'000'000, .micro_usd = 99}}}));
  EXPECT_FALSE(budget->reserve(kCompany, {{"summary", {.tokens = 1, .micro_usd = 2}}}));
  EXPECT_TRUE(budget->reserve(kCompany, {{"summary", {.tokens = 1, .micro_usd = 1}}}));
}

TEST_F(BudgetTest, begins_anew_with_the_day_and_the_month) {
  policy.company = {.tokens_per_day = 1000, .tokens_per_month = 1500};
  const auto budget = open();
  const auto use = [&](std::int64_t count) {
    const auto reservation = budget->reserve(kCompany, tokens(count));
    if (reservation) book(budget->settle(*reservation, tokens(count), 1));
    return reservation.has_value();
  };
  ASSERT_TRUE(use(1000));
  ASSERT_FALSE(use(1));

  clock.advance(hours(24));
  EXPECT_FALSE(use(501)) << "the month";
  EXPECT_TRUE(use(500));

  clock.advance(hours(24) * 30);
  EXPECT_TRUE(use(1000));
  EXPECT_EQ(spent().tokens, 2500);
}

TEST_F(BudgetTest, books_on_the_day_of_the_reservation) {
  policy.company.tokens_per_day = 1000;
  const auto budget = open();
  clock.advance(hours(24) - minutes(1));
  const auto reservation = budget->reserve(kCompany, tokens(1000));

  clock.advance(minutes(2));
  book(budget->settle(*reservation, tokens(900), 1));

  EXPECT_EQ(rows().at(0).day, "2026-01-01");
  EXPECT_TRUE(budget->reserve(kCompany, tokens(1000)));
}

TEST_F(BudgetTest, goes_to_the_store_once_for_256_requests) {
  policy.company.tokens_per_day = 10'000'000;
  const auto budget = open();

  ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));
  EXPECT_EQ(held().tokens, 25'600);
  for (int i = 0; i < 255; ++i) ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));
  EXPECT_EQ(held().tokens, 25'600);

  ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));
  EXPECT_EQ(held().tokens, 51'200);
}

TEST_F(BudgetTest, takes_the_next_block_ahead_of_time_and_once) {
  policy.company.tokens_per_day = 10'000'000;
  const auto budget = open();
  for (int i = 0; i < 129; ++i) ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));

  EXPECT_EQ(budget->step(), 1U);
  EXPECT_EQ(held().tokens, 12'900 + 25'600);
  EXPECT_EQ(budget->step(), 0U);
}

TEST_F(BudgetTest, gives_back_what_nobody_used_for_a_minute) {
  policy.company.tokens_per_day = 1'000'000;
  const auto budget = open();
  const auto reservation = budget->reserve(kCompany, tokens(100));
  clock.advance(minutes(1));

  EXPECT_EQ(budget->step(), 1U);
  EXPECT_EQ(held().tokens, 100) << "the reservation is still there";
  EXPECT_EQ(budget->step(), 0U);

  budget->cancel(*reservation);
  EXPECT_EQ(budget->step(), 1U);
  EXPECT_EQ(held(), Spend{});
}

TEST_F(BudgetTest, gives_back_the_block_of_yesterday) {
  policy.company.tokens_per_day = 1'000'000;
  const auto budget = open();
  clock.advance(hours(24) - std::chrono::seconds(1));
  ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));

  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(budget->step(), 1U);

  EXPECT_EQ(held().tokens, 100);
}

TEST_F(BudgetTest, gives_back_what_is_held_at_its_end) {
  policy.company.tokens_per_day = 1'000'000;
  auto budget = open();
  ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));

  budget.reset();

  EXPECT_EQ(held().tokens, 100);
}

TEST_F(BudgetTest, uses_its_own_blocks_up_before_it_says_no) {
  policy.company.tokens_per_day = 5000;
  const auto budget = open();
  // Blocks of 100 of two analyzers; the last 4,000 fit only without them.
  ASSERT_TRUE(budget->reserve(kCompany, tokens(10, "summary")));
  ASSERT_TRUE(budget->reserve(kCompany, tokens(10, "topics")));
  EXPECT_EQ(held().tokens, 200);

  EXPECT_TRUE(budget->reserve(kCompany, tokens(4980, "intent")));
  EXPECT_EQ(held().tokens, 5000);
}

TEST_F(BudgetTest, counts_what_a_process_that_died_held_until_the_day_has_ended) {
  policy.company.tokens_per_day = 1000;
  auto died = open();
  ASSERT_TRUE(died->reserve(kCompany, tokens(900)));
  // As after kill -9: what it left in the store, and nothing of the process.
  const auto copy = folder_named("after");
  std::filesystem::copy(folder / "data", copy, std::filesystem::copy_options::recursive);
  const auto after = open_store(copy, "");
  Budget budget(*after, policy, clock);

  EXPECT_FALSE(budget.reserve(kCompany, tokens(101)));
  EXPECT_TRUE(budget.reserve(kCompany, tokens(100)));
  clock.advance(hours(24));
  EXPECT_TRUE(budget.reserve(kCompany, tokens(1000)));
}

TEST_F(BudgetTest, keeps_two_nodes_together_within_the_limit) {
  policy.company.tokens_per_day = 1000;
  const auto one = open();
  const auto two = open();
  std::int64_t reserved = 0;

  for (int i = 0; i < 40; ++i) {
    if ((i % 2 == 0 ? one : two)->reserve(kCompany, tokens(60))) reserved += 60;
  }

  EXPECT_LE(reserved, 1000);
  EXPECT_GE(reserved, 1000 - 60 - 60)
      << "at most what the other holds ahead, and what does not fit";
}

TEST_F(BudgetTest, goes_by_a_changed_limit_from_the_next_reservation_on) {
  policy.company.tokens_per_day = 1'000'000;
  const auto budget = open();
  ASSERT_TRUE(budget->reserve(kCompany, tokens(100)));

  policy.company.tokens_per_day = 150;

  EXPECT_FALSE(budget->reserve(kCompany, tokens(51)));
  EXPECT_TRUE(budget->reserve(kCompany, tokens(50)));
}

TEST_F(BudgetTest, keeps_the_limit_among_many_threads) {
  policy.company.tokens_per_day = 40'000;
  const auto budget = open();
  std::atomic<std::int64_t> reserved = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 100; ++i) {
          const auto analyzer = thread % 2 == 0 ? "summary" : "topics";
          const auto reservation = budget->reserve(kCompany, tokens(100, analyzer));
          if (!reservation) continue;
          if (i % 3 == 0) {
            budget->cancel(*reservation);
          } else {
            reserved += 100;
          }
          if (i % 10 == 0) {
            EXPECT_TRUE(budget->step());
          }
        }
      });
    }
  }

  EXPECT_LE(reserved, 40'000);
  EXPECT_LE(held().tokens, 40'000);
  while (budget->reserve(kCompany, tokens(100))) reserved += 100;
  EXPECT_EQ(reserved, 40'000) << "nothing was lost";
}

}  // namespace
}  // namespace samtale

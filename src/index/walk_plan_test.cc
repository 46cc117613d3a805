#include "index/walk_plan.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

constexpr WalkSettings kSettings{
    .effort = 0.1F, .is_compact = false, .recall = 1, .recall_target = 0.95};

TEST(WalkPlanTest, ends_by_the_last_of_those_wanted) {
  const auto plan = plan_walk(10, 1, 100'000, 0, kSettings);

  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->reach.wanted, 10U);
  EXPECT_EQ(plan->reach.slack, kSettings.effort);
  EXPECT_EQ(plan->least, 10U);
  EXPECT_GE(plan->reach.width, walk_candidates(10)) << "or a few of them would never be kept";
}

TEST(WalkPlanTest, wants_more_where_some_were_removed) {
  const auto plan = plan_walk(10, 1, 100'000, 20'000, kSettings);

  ASSERT_TRUE(plan);
  EXPECT_GE(plan->reach.wanted * 80'000 / 100'000, 10U + 5U);
  EXPECT_EQ(plan->least, 10U);
}

TEST(WalkPlanTest, wants_little_more_where_few_were_removed) {
  const auto plan = plan_walk(10, 1, 100'000, 1'000, kSettings);

  ASSERT_TRUE(plan);
  EXPECT_GT(plan->reach.wanted, 11U);
  EXPECT_LT(plan->reach.wanted, 14U);
}

TEST(WalkPlanTest, goes_on_to_its_end_behind_a_filter) {
  const auto plan = plan_walk(10, 0.5, 100'000, 0, kSettings);

  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->reach.wanted, 0U);
  EXPECT_EQ(plan->least * 4, plan->reach.width) << "half of half of it";
}

TEST(WalkPlanTest, leaves_to_a_scan_what_it_does_faster) {
  EXPECT_FALSE(plan_walk(10, 0.2, 100'000, 0, kSettings)) << "few are allowed";
  EXPECT_FALSE(plan_walk(10, 1, 400, 0, kSettings)) << "few are there";
  EXPECT_FALSE(plan_walk(1'000, 1, 10'000, 0, kSettings)) << "many are wanted";
  EXPECT_TRUE(plan_walk(10, 1, 600, 0, kSettings));
}

TEST(WalkPlanTest, walks_farther_over_codes_that_are_read_in_half_the_time) {
  auto compact = kSettings;
  compact.is_compact = true;

  EXPECT_FALSE(plan_walk(100, 1, 2'000, 0, kSettings));
  EXPECT_TRUE(plan_walk(100, 1, 2'000, 0, compact));
}

}  // namespace
}  // namespace samtale

#include "accept/group_pacer.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;

TEST(GroupPacerTest, a_caller_who_is_alone_never_waits) {
  GroupPacer pacer(256, 5ms, 1);
  EXPECT_EQ(pacer.target(), 1U);

  pacer.note(1, 0, 4ms);

  EXPECT_EQ(pacer.target(), 1U);
}

TEST(GroupPacerTest, brings_two_halves_that_take_turns_together) {
  GroupPacer pacer(256, 5ms, 1);

  pacer.note(32, 32, 4ms);

  EXPECT_EQ(pacer.target(), 64U);
}

TEST(GroupPacerTest, spreads_callers_over_the_syncs_that_may_be_under_way) {
  GroupPacer pacer(256, 5ms, 4);

  pacer.note(16, 46, 4ms);
  EXPECT_EQ(pacer.target(), 16U);
  pacer.note(1, 3, 4ms);
  EXPECT_EQ(pacer.target(), 1U) << "each has a sync of its own";
}

TEST(GroupPacerTest, waits_no_longer_than_half_a_sync_nor_than_allowed) {
  GroupPacer pacer(256, 5ms, 1);

  pacer.note(8, 0, 4ms);
  EXPECT_EQ(pacer.patience(), 2ms);
  pacer.note(8, 0, 40ms);
  EXPECT_EQ(pacer.patience(), 5ms);
}

TEST(GroupPacerTest, never_waits_for_more_than_a_group_holds) {
  GroupPacer pacer(16, 5ms, 1);

  pacer.note(16, 100, 4ms);

  EXPECT_EQ(pacer.target(), 16U);
}

}  // namespace
}  // namespace samtale

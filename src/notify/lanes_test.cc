#include "notify/lanes.h"

#include <gmock/gmock.h>

#include <chrono>

namespace samtale {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Instant kNow{};

HeldDelivery of(const std::string& subscription, std::int64_t number = 1) {
  HeldDelivery held;
  held.job.id = JobId{number};
  held.delivery.subscription = subscription;
  return held;
}

std::string name(const std::optional<HeldDelivery>& held) {
  return held ? held->delivery.subscription : "nobody";
}

TEST(LanesTest, serve_a_subscription_one_at_a_time_in_order) {
  Lanes lanes({});
  EXPECT_FALSE(lanes.offer(of("a", 1), kNow));
  EXPECT_FALSE(lanes.offer(of("a", 2), kNow));

  EXPECT_EQ(lanes.next(kNow)->job.id, JobId{1});
  EXPECT_EQ(name(lanes.next(kNow)), "nobody");
  lanes.succeeded("a", 1ms, kNow);
  EXPECT_EQ(lanes.next(kNow)->job.id, JobId{2});
}

TEST(LanesTest, a_subscription_with_much_to_send_does_not_go_before_others) {
  Lanes lanes({});
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(lanes.offer(of("a", i), kNow));
  EXPECT_EQ(name(lanes.next(kNow)), "a");
  EXPECT_FALSE(lanes.offer(of("b"), kNow));
  lanes.succeeded("a", 1ms, kNow);

  EXPECT_EQ(name(lanes.next(kNow)), "b");
}

TEST(LanesTest, one_that_failed_is_left_alone_and_holds_nothing) {
  Lanes lanes({});
  EXPECT_FALSE(lanes.offer(of("a", 1), kNow));
  EXPECT_FALSE(lanes.offer(of("a", 2), kNow));
  EXPECT_EQ(name(lanes.next(kNow)), "a");

  EXPECT_THAT(lanes.failed("a", 5s, kNow), SizeIs(1));

  EXPECT_EQ(lanes.room(), 512U);
  EXPECT_EQ(lanes.offer(of("a", 3), kNow + 1s), 4s);
  EXPECT_FALSE(lanes.offer(of("a", 3), kNow + 5s));
  EXPECT_EQ(name(lanes.next(kNow + 5s)), "a");
  EXPECT_EQ(lanes.failures("a"), 1U);
}

TEST(LanesTest, those_that_failed_last_time_do_not_take_all_threads) {
  Lanes lanes({.failing_max = 1});
  for (const auto* name : {"a", "b"}) {
    EXPECT_FALSE(lanes.offer(of(name), kNow));
    EXPECT_TRUE(lanes.next(kNow));
    EXPECT_THAT(lanes.failed(name, 0s, kNow), IsEmpty());
    EXPECT_FALSE(lanes.offer(of(name), kNow));
  }
  EXPECT_EQ(name(lanes.next(kNow)), "a");

  EXPECT_EQ(name(lanes.next(kNow)), "nobody");
  EXPECT_FALSE(lanes.offer(of("well"), kNow));
  EXPECT_EQ(name(lanes.next(kNow)), "well");
  lanes.succeeded("a", 1ms, kNow);
  EXPECT_EQ(name(lanes.next(kNow)), "b");
}

TEST(LanesTest, a_burst_comes_again_as_fast_as_it_can_be_sent) {
  Lanes lanes({.lane_max = 2});
  EXPECT_FALSE(lanes.offer(of("a"), kNow));
  EXPECT_TRUE(lanes.next(kNow));
  EXPECT_FALSE(lanes.offer(of("a"), kNow));
  lanes.succeeded("a", 2s, kNow);
  EXPECT_TRUE(lanes.next(kNow));
  EXPECT_FALSE(lanes.offer(of("a"), kNow));
  EXPECT_FALSE(lanes.offer(of("a"), kNow));

  const auto first = lanes.offer(of("a"), kNow).value();
  Duration last = first;
  for (int i = 1; i < 100; ++i) last = lanes.offer(of("a"), kNow).value();

  EXPECT_LT(first, 5s);
  EXPECT_GT(last, 90s);  // 100 of 2 s each, from half of that on.
  EXPECT_LT(last, 200s);
}

TEST(LanesTest, what_was_not_tried_leaves_no_trace) {
  Lanes lanes({});
  EXPECT_FALSE(lanes.offer(of("a", 1), kNow));
  EXPECT_FALSE(lanes.offer(of("a", 2), kNow));
  EXPECT_TRUE(lanes.next(kNow));
  lanes.untried("a");

  EXPECT_EQ(lanes.failures("a"), 0U);
  EXPECT_EQ(lanes.next(kNow)->job.id, JobId{2});
}

TEST(LanesTest, one_that_is_gone_is_forgotten) {
  Lanes lanes({});
  EXPECT_FALSE(lanes.offer(of("a"), kNow));
  EXPECT_TRUE(lanes.next(kNow));
  EXPECT_THAT(lanes.failed("a", 0s, kNow), IsEmpty());
  EXPECT_FALSE(lanes.offer(of("a"), kNow));
  EXPECT_TRUE(lanes.next(kNow));

  lanes.gone("a");

  EXPECT_EQ(lanes.failures("a"), 0U);
}

TEST(LanesTest, hold_no_more_than_they_may) {
  Lanes lanes({.held_max = 2});
  EXPECT_FALSE(lanes.offer(of("a"), kNow));
  EXPECT_FALSE(lanes.offer(of("b"), kNow));

  EXPECT_EQ(lanes.room(), 0U);
  EXPECT_THAT(lanes.clear(), SizeIs(2));
  EXPECT_EQ(lanes.room(), 2U);
}

}  // namespace
}  // namespace samtale

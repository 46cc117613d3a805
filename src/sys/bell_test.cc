#include "sys/bell.h"

#include <gtest/gtest.h>

#include <thread>

namespace samtale {
namespace {

constexpr auto kLong = std::chrono::hours(1);

TEST(BellTest, does_not_wait_for_what_has_rung_since) {
  Bell bell;
  const auto heard = bell.rings();
  bell.ring();

  EXPECT_TRUE(bell.wait(heard, kLong, {}));
}

TEST(BellTest, wakes_all_who_wait) {
  Bell bell;
  const auto heard = bell.rings();
  const auto wait = [&] { EXPECT_TRUE(bell.wait(heard, kLong, {})); };
  const std::jthread one(wait);
  const std::jthread other(wait);

  bell.ring();
}

TEST(BellTest, waits_no_longer_than_it_is_told) {
  Bell bell;
  bell.ring();

  EXPECT_FALSE(bell.wait(bell.rings(), std::chrono::milliseconds(1), {}));
}

TEST(BellTest, stops_waiting_when_it_is_asked_to) {
  Bell bell;
  std::stop_source stop;
  stop.request_stop();

  EXPECT_FALSE(bell.wait(bell.rings(), kLong, stop.get_token()));
}

}  // namespace
}  // namespace samtale

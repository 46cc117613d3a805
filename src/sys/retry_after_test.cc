#include "sys/retry_after.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year{1994} / 11 / 6) +
                          std::chrono::hours(8) + std::chrono::minutes(49);

TEST(RetryAfterTest, reads_seconds_milliseconds_and_dates) {
  EXPECT_EQ(read_retry_after({{"retry-after", "120"}}, kNow), 120s);
  EXPECT_EQ(read_retry_after({{"retry-after", "2"}, {"retry-after-ms", "1500"}}, kNow), 1500ms);
  EXPECT_EQ(read_retry_after({{"retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"}}, kNow), 37s);
}

TEST(RetryAfterTest, takes_a_date_in_the_past_as_now) {
  EXPECT_EQ(read_retry_after({{"retry-after", "Fri, 31 Dec 1993 23:59:59 GMT"}}, kNow), 0s);
}

TEST(RetryAfterTest, waits_at_most_a_day) {
  for (const auto* value : {"99999999999999999999", "864000", "Fri, 31 Dec 9999 23:59:59 GMT"}) {
    EXPECT_EQ(read_retry_after({{"retry-after", value}}, kNow), 86'400s) << value;
  }
}

TEST(RetryAfterTest, has_nothing_for_what_it_cannot_read) {
  EXPECT_EQ(read_retry_after({}, kNow), std::nullopt);
  for (const auto* value : {"", "-1", "soon", "1.5", "Sun, 06 Nov 1994 08:49:37 CET",
                            "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT"}) {
    EXPECT_EQ(read_retry_after({{"retry-after", value}}, kNow), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace samtale

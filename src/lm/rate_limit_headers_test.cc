#include "lm/rate_limit_headers.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""h;

std::optional<Duration> reset_of(const std::string& text) {
  return read_rate_limit_headers({{"x-ratelimit-reset-tokens", text}}).tokens_reset;
}

TEST(RateLimitHeadersTest, are_read_as_openai_sends_them) {
  const auto hints = read_rate_limit_headers({{"content-type", "application/json"},
                                              {"x-ratelimit-limit-requests", "60"},
                                              {"x-ratelimit-limit-tokens", "150000"},
                                              {"x-ratelimit-remaining-requests", "59"},
                                              {"x-ratelimit-remaining-tokens", "149984"},
                                              {"x-ratelimit-reset-requests", "1s"},
                                              {"x-ratelimit-reset-tokens", "6m0s"}});

  EXPECT_EQ(hints.requests_per_minute, 60);
  EXPECT_EQ(hints.tokens_per_minute, 150'000);
  EXPECT_EQ(hints.requests_left, 59);
  EXPECT_EQ(hints.tokens_left, 149'984);
  EXPECT_EQ(hints.requests_reset, 1s);
  EXPECT_EQ(hints.tokens_reset, 360s);
}

TEST(RateLimitHeadersTest, have_durations_of_many_forms) {
  EXPECT_EQ(reset_of("20ms"), 20ms);
  EXPECT_EQ(reset_of("2m59.5s"), 179'500ms);
  EXPECT_EQ(reset_of("1h0m1s"), 3601s);
  EXPECT_EQ(reset_of("7.5"), 7500ms);
  EXPECT_EQ(reset_of("0s"), 0s);
  EXPECT_EQ(reset_of("99999999999h"), 24h);
}

TEST(RateLimitHeadersTest, say_nothing_where_they_cannot_be_read) {
  for (const auto* text : {"", "soon", "-1s", "1x", "s", "1s-1s", "nan", "inf", "1e9s"}) {
    EXPECT_EQ(reset_of(text), std::nullopt) << text;
  }
  for (const auto* text : {"", "-1", "1.5", "many", "99999999999999999999"}) {
    EXPECT_EQ(read_rate_limit_headers({{"x-ratelimit-limit-tokens", text}}).tokens_per_minute,
              std::nullopt)
        << text;
  }
}

}  // namespace
}  // namespace samtale

#include "lm/rate_limit_headers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <string_view>

namespace samtale {
namespace {

constexpr std::string_view kPrefix = "x-ratelimit-";

std::optional<std::int64_t> read_count(std::string_view text) {
  std::int64_t value = 0;
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc{} || read.ptr != end || value < 0) return std::nullopt;
  return value;
}

// Takes the unit off the front; 0 if there is none.
double take_unit_seconds(std::string_view& text) {
  constexpr std::array<std::pair<std::string_view, double>, 7> kUnits = {
      {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}, {"d", 86'400}}};
  for (const auto& [unit, seconds] : kUnits) {  // "ms" before "m".
    if (text.starts_with(unit)) {
      text.remove_prefix(unit.size());
      return seconds;
    }
  }
  return 0;
}

// "1h2m3.5s"; a number alone is in seconds.
std::optional<Duration> read_duration(std::string_view text) {
  constexpr double kLongestSeconds = 86'400;
  double seconds = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double number = 0;
    const auto read =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (read.ec != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    const double unit = text.empty() ? 1 : take_unit_seconds(text);
    if (unit == 0) return std::nullopt;
    seconds += number * unit;
  }
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds, kLongestSeconds)));
}

}  // namespace

RateLimitHints read_rate_limit_headers(const HttpHeaders& headers) {
  RateLimitHints hints;
  for (const auto& [name, value] : headers) {
    if (!name.starts_with(kPrefix)) continue;
    const auto what = std::string_view(name).substr(kPrefix.size());
    if (what == "limit-requests") hints.requests_per_minute = read_count(value);
    if (what == "remaining-requests") hints.requests_left = read_count(value);
    if (what == "reset-requests") hints.requests_reset = read_duration(value);
    if (what == "limit-tokens") hints.tokens_per_minute = read_count(value);
    if (what == "remaining-tokens") hints.tokens_left = read_count(value);
    if (what == "reset-tokens") hints.tokens_reset = read_duration(value);
  }
  return hints;
}

}  // namespace samtale

#include "sys/retry_after.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string_view>

namespace samtale {
namespace {

constexpr Duration kLongest = std::chrono::hours(24);

std::optional<int> read_number(std::string_view digits) {
  int value = 0;
  const auto* end = digits.data() + digits.size();
  if (digits.empty() || digits.front() == '-') return std::nullopt;
  const auto read = std::from_chars(digits.data(), end, value);
  if (read.ec == std::errc::result_out_of_range) return 1'000'000'000;
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return value;
}

// "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<WallTime> read_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  const auto day = read_number(text.substr(5, 2));
  const auto year = read_number(text.substr(12, 4));
  const auto hour = read_number(text.substr(17, 2));
  const auto minute = read_number(text.substr(20, 2));
  const auto second = read_number(text.substr(23, 2));
  if (month == kMonths.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(*year),
      std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

const std::string* find(const HttpHeaders& headers, std::string_view name) {
  const auto at = std::ranges::find(headers, name, &HttpHeaders::value_type::first);
  return at == headers.end() ? nullptr : &at->second;
}

}  // namespace

std::optional<Duration> read_retry_after(const HttpHeaders& headers, WallTime now) {
  if (const auto* text = find(headers, "retry-after-ms"); text != nullptr) {
    if (const auto ms = read_number(*text)) {
      return std::min(kLongest, Duration(std::chrono::milliseconds(*ms)));
    }
  }
  const auto* text = find(headers, "retry-after");
  if (text == nullptr) return std::nullopt;
  if (const auto seconds = read_number(*text)) {
    return std::min(kLongest, Duration(std::chrono::seconds(*seconds)));
  }
  const auto date = read_date(*text);
  if (!date) return std::nullopt;
  // Compared in microseconds: a year of four digits in nanoseconds would overflow.
  const auto wait = std::clamp(*date - now, WallTime::duration::zero(),
                               std::chrono::duration_cast<WallTime::duration>(kLongest));
  return Duration(wait);
}

}  // namespace samtale

#include <charconv>

#include "model/conversation.h"

namespace samtale {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Takes exactly `count` digits off the front; -1 if they are not all digits.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

// The decimals of a second, in microseconds; finer ones are cut off.
std::optional<microseconds> take_fraction(std::string_view& text) {
  if (!take(text, '.')) return microseconds(0);
  int value = 0;
  int places = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    if (places < 6) value = value * 10 + (text.front() - '0');
    ++places;
  }
  if (places == 0 || places > 12) return std::nullopt;
  for (; places < 6; ++places) value *= 10;
  return microseconds(value);
}

// The last `count` digits of a number that is not negative.
void append_digits(std::string& text, std::int64_t number, std::size_t count) {
  text.append(count, '0');
  for (auto place = text.rbegin(); count > 0; --count, number /= 10) {
    *place++ = static_cast<char>('0' + number % 10);
  }
}

std::optional<minutes> take_offset(std::string_view& text) {
  if (text.empty() || take(text, 'Z') || take(text, 'z')) return minutes(0);
  const bool is_west = text.front() == '-';
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const int hour = take_digits(text, 2);
  take(text, ':');
  const int minute = take_digits(text, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return std::nullopt;
  const auto offset = hours(hour) + minutes(minute);
  return is_west ? -offset : offset;
}

}  // namespace

std::string format_time(WallTime time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  auto rest = time - day;
  const auto hour = std::chrono::floor<hours>(rest);
  rest -= hour;
  const auto minute = std::chrono::floor<minutes>(rest);
  rest -= minute;
  const auto second = std::chrono::floor<seconds>(rest);
  const auto us = (rest - second).count();
  std::string text;
  append_digits(text, static_cast<int>(date.year()), 4);
  append_digits(text += '-', static_cast<unsigned>(date.month()), 2);
  append_digits(text += '-', static_cast<unsigned>(date.day()), 2);
  append_digits(text += 'T', hour.count(), 2);
  append_digits(text += ':', minute.count(), 2);
  append_digits(text += ':', second.count(), 2);
  if (us != 0) {
    append_digits(text += '.', us, 6);
    while (text.back() == '0') text.pop_back();
  }
  text += 'Z';
  return text;
}

std::optional<WallTime> parse_time(std::string_view text) {
  const int year = take_digits(text, 4);
  if (!take(text, '-')) return std::nullopt;
  const int month = take_digits(text, 2);
  if (!take(text, '-')) return std::nullopt;
  const int day = take_digits(text, 2);
  if (year < 1900 || year > 2199 || month < 0 || day < 0) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return std::nullopt;
  WallTime time = std::chrono::sys_days(date);
  if (text.empty()) return time;

  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const int hour = take_digits(text, 2);
  if (!take(text, ':')) return std::nullopt;
  const int minute = take_digits(text, 2);
  int second = 0;
  if (take(text, ':')) second = take_digits(text, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  time += hours(hour) + minutes(minute) + seconds(second == 60 ? 59 : second) + *fraction;
  time -= *offset;
  // The offset may have moved it past a border, beyond what format_time's text reads back.
  const std::chrono::year_month_day moved(std::chrono::floor<days>(time));
  const int moved_year = static_cast<int>(moved.year());
  if (moved_year < 1900 || moved_year > 2199) return std::nullopt;
  return time;
}

}  // namespace samtale

#include "pii/digit_groups.h"

#include <algorithm>
#include <chrono>

#include "pii/code_points.h"

namespace samtale {
namespace {

constexpr std::size_t kGapCodePointsMax = 3;  // " - ", or ") " and the like.
constexpr std::size_t kContextBytesBefore = 40;
constexpr std::size_t kContextBytesAfter = 20;

Gap gap_of(std::int32_t code_point) {
  if (is_blank(code_point)) return Gap::blank;
  if (is_dash(code_point)) return Gap::dash;
  switch (code_point) {
    case '.':
      return Gap::dot;
    case '/':
      return Gap::slash;
    case '(':
    case ')':
      return Gap::bracket;
    default:
      return Gap::none;
  }
}

// White space beside something else says nothing; brackets may have a dash behind them.
Gap both(Gap a, Gap b) {
  if (a == Gap::none || a == Gap::blank) return b;
  if (b == Gap::blank) return a;
  if (a == Gap::bracket && (b == Gap::bracket || b == Gap::dash)) return a;
  return Gap::mixed;
}

struct GapRead {
  Gap gap = Gap::none;
  std::size_t length = 0;
  std::size_t end = 0;
};

GapRead read_gap(std::string_view text, std::size_t at) {
  GapRead read{.end = at};
  while (read.length < kGapCodePointsMax) {
    const auto [value, bytes] = decode(text, read.end);
    const auto gap = gap_of(value);
    if (gap == Gap::none) break;
    read = {.gap = both(read.gap, gap), .length = read.length + 1, .end = read.end + bytes};
  }
  return read;
}

bool is_digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && is_digit(text[at]);
}

// ",50" of a price; not ",12345678", where a list was written without spaces.
bool is_price_tail(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != ',' || !is_digit_at(text, at + 1)) return false;
  return !is_digit_at(text, at + 2) || !is_digit_at(text, at + 3);
}

}  // namespace

DigitGroups::DigitGroups(std::string_view text, std::size_t begin) {
  GapRead gap{.end = begin};
  std::size_t digits = 0;
  while (digits <= kDigitsMax && count_ < groups_.size() && is_digit_at(text, gap.end)) {
    auto& group = groups_[count_++];
    group = {.begin = gap.end, .end = gap.end, .gap = gap.gap, .gap_length = gap.length};
    while (is_digit_at(text, group.end) && group.size() <= kDigitsMax) ++group.end;
    digits += group.size();
    gap = read_gap(text, group.end);
    if (gap.length == 0) break;
  }
}

std::size_t end_of_digits(std::string_view text, std::size_t at) {
  while (is_digit_at(text, at)) ++at;
  return at;
}

bool may_begin_number(std::string_view text, std::size_t at) {
  const auto [value, bytes] = decode_before(text, at);
  if (is_word(value) || value == '_') return false;
  const auto further = decode_before(text, at - bytes).value;
  if (value == '.' || value == ':') return further < '0' || further > '9';
  return !is_dash(value) || !is_word(further);
}

bool may_end_number(std::string_view text, std::size_t at) {
  const auto [value, bytes] = decode(text, at);
  if (is_word(value) || value == '_') return false;
  if (value == ',') return !is_price_tail(text, at);
  if (value == '.' || value == ':' || is_dash(value)) return !is_digit_at(text, at + bytes);
  return true;
}

bool is_word_near(std::string_view text, std::size_t begin, std::size_t end,
                  std::initializer_list<std::string_view> beginnings) {
  const auto from = begin - std::min(begin, kContextBytesBefore);
  const auto to = std::min(text.size(), end + kContextBytesAfter);
  for (auto at = from; at < to; ++at) {
    if (!is_ascii_letter(text[at]) || (at > 0 && is_ascii_letter(text[at - 1]))) continue;
    for (const auto beginning : beginnings) {
      if (std::ranges::equal(text.substr(at, beginning.size()), beginning, {}, ascii_lower)) {
        return true;
      }
    }
  }
  return false;
}

int two_digits(std::string_view digits, std::size_t at) {
  return (digits[at] - '0') * 10 + (digits[at + 1] - '0');
}

int four_digits(std::string_view digits, std::size_t at) {
  return two_digits(digits, at) * 100 + two_digits(digits, at + 2);
}

bool is_date(int year, int month, int day) {
  return std::chrono::year_month_day(std::chrono::year(year),
                                     std::chrono::month(static_cast<unsigned>(month)),
                                     std::chrono::day(static_cast<unsigned>(day)))
      .ok();
}

}  // namespace samtale

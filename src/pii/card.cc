// Source: ISO/IEC 7812-1 (numbers of 13 to 19 digits here; annex B is Luhn's check).
#include <string>

#include "pii/code_points.h"
#include "pii/digit_groups.h"
#include "pii/finders.h"

namespace samtale {
namespace {

constexpr std::size_t kDigitsMin = 13;

bool has_luhn_check(std::string_view digits) {
  int sum = 0;
  bool doubled = false;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, doubled = !doubled) {
    const int value = *digit - '0';
    sum += doubled ? value * 2 - (value > 4 ? 9 : 0) : value;
  }
  return sum % 10 == 0;
}

// In fours or more (4-4-4-4, 4-6-5, 6-13), or digit by digit or in pairs, as they are read aloud.
// The last group may be of any length.
bool may_follow(const DigitGroup& group, std::span<const DigitGroup> before) {
  const auto first = before.front().size();
  const auto last = before.back().size();
  if (first >= 4 ? last < 4 : last != first || first > 2) return false;
  const bool is_same = before.size() == 1 || group.gap == before.back().gap;
  return is_same && (group.gap == Gap::blank || group.gap == Gap::dash);
}

// A digit before or after a point or a comma is of a fraction.
bool is_fraction(std::string_view text, std::size_t begin, std::size_t end) {
  const auto is_point = [&](std::size_t at) { return text[at] == '.' || text[at] == ','; };
  if (begin >= 2 && is_point(begin - 1) && is_digit(text[begin - 2])) return true;
  return end + 1 < text.size() && is_point(end) && is_digit(text[end + 1]);
}

// Those of banks begin with 2 to 6; others (fuel, loyalty) only count where a card is spoken of, or
// every tenth long number would be one.
bool is_of_a_bank(char first) { return first >= '2' && first <= '6'; }

// The end of the card that begins at `begin`, or `begin`.
std::size_t end_of_card(std::string_view text, std::size_t begin) {
  const DigitGroups read(text, begin);
  const auto groups = read.groups();
  std::string digits;
  std::size_t end = begin;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto& group = groups[i];
    if (i > 0 && !may_follow(group, groups.first(i))) break;
    digits += text.substr(group.begin, group.size());
    if (digits.size() > DigitGroups::kDigitsMax) break;
    if (digits.size() >= kDigitsMin && has_luhn_check(digits) &&
        !is_fraction(text, begin, group.end)) {
      end = group.end;
    }
  }
  if (end == begin || is_of_a_bank(text[begin])) return end;
  return is_word_near(text, begin, end, {"card", "kort", "credit"}) ? end : begin;
}

}  // namespace

void find_cards(std::string_view text, std::vector<PiiSpan>& found) {
  for (std::size_t at = 0; at < text.size();) {
    if (!is_digit(text[at])) {
      ++at;
      continue;
    }
    const auto end = end_of_card(text, at);
    if (end > at) found.push_back({PiiKind::card, at, end});
    at = end > at ? end : end_of_digits(text, at);
  }
}

}  // namespace samtale

// Source: Det Centrale Personregister, "Personnummeret i CPR" (the seventh digit says the century;
// since 2007 numbers are given out that do not keep modulus 11).
#include <string>

#include "pii/code_points.h"
#include "pii/digit_groups.h"
#include "pii/finders.h"

namespace samtale {
namespace {

constexpr std::size_t kDateDigits = 6;
constexpr std::size_t kDigits = 10;

int year_of(std::string_view digits) {
  const int year = two_digits(digits, 4);
  const int seventh = digits[kDateDigits] - '0';
  if (seventh <= 3) return 1900 + year;
  if (seventh == 4 || seventh == 9) return (year <= 36 ? 2000 : 1900) + year;
  return (year <= 57 ? 2000 : 1800) + year;
}

// The end of the number that begins at `begin`, or `begin`.
std::size_t end_of_cpr(std::string_view text, std::size_t begin) {
  const auto first = end_of_digits(text, begin) - begin;
  if (first != kDigits && first != kDateDigits) return begin;
  const DigitGroups read(text, begin);
  const auto groups = read.groups();
  const bool is_whole = first == kDigits;
  const bool is_parted = !is_whole && groups.size() > 1 &&
                         groups[1].size() == kDigits - kDateDigits &&
                         (groups[1].gap == Gap::dash || groups[1].gap == Gap::blank);
  if (!is_whole && !is_parted) return begin;

  std::string digits(text.substr(begin, first));
  if (is_parted) digits += text.substr(groups[1].begin, groups[1].size());
  if (!is_date(year_of(digits), two_digits(digits, 2), two_digits(digits, 0))) return begin;

  const auto end = is_whole ? groups[0].end : groups[1].end;
  const bool has_context = is_word_near(text, begin, end, {"cpr", "personn"});
  if (!has_context && (is_whole || groups[1].gap != Gap::dash)) return begin;
  // "cpr010190-1234": with the word, what stands on to the number does no harm.
  const bool is_alone = may_begin_number(text, begin) && may_end_number(text, end);
  return has_context || is_alone ? end : begin;
}

}  // namespace

void find_cprs(std::string_view text, std::vector<PiiSpan>& found) {
  for (std::size_t at = 0; at < text.size();) {
    if (!is_digit(text[at])) {
      ++at;
      continue;
    }
    const auto end = end_of_cpr(text, at);
    if (end > at) found.push_back({PiiKind::cpr, at, end});
    at = end > at ? end : end_of_digits(text, at);
  }
}

}  // namespace samtale

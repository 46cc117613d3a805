// Source: ITU-T E.164 (15 digits at most, country codes); Danish numbering plan (8 digits); NANP.
#include <array>
#include <optional>
#include <string>

#include "pii/code_points.h"
#include "pii/digit_groups.h"
#include "pii/finders.h"

namespace samtale {
namespace {

constexpr std::size_t kInternationalDigitsMin = 9;
constexpr std::size_t kInternationalDigitsMax = 15;

// Plans with one length of number: so a number ends where it ends, whatever digits follow.
struct Plan {
  std::string_view country;
  std::size_t digits;  // The country's code too.
};
constexpr Plan kPlans[] = {{"1", 11},  {"33", 11}, {"34", 11}, {"45", 10},
                           {"47", 10}, {"48", 11}, {"298", 9}, {"299", 9}};

// A way to write a national number.
struct Form {
  std::array<std::uint8_t, 4> sizes;  // Of the groups; 0 for none.
  std::uint8_t gaps;                  // Which may stand between them; a bit each.
  char first_min;                     // Of the first digit.
  char first_max;
};
constexpr std::uint8_t bit(Gap gap) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(gap));
}
constexpr std::uint8_t kBlank = bit(Gap::blank);
constexpr std::uint8_t kDash = bit(Gap::dash);
constexpr std::uint8_t kDot = bit(Gap::dot);
constexpr std::uint8_t kBracket = bit(Gap::bracket);
constexpr std::uint8_t kAmerican = kBlank | kDash | kDot | kBracket;

// The longer of two that begin alike comes first.
constexpr Form kForms[] = {
    {{2, 2, 2, 2}, kBlank | kDash | kDot, '1', '9'},  // Danish from here …
    {{2, 2, 4}, kBlank, '1', '9'},
    {{2, 6}, kBlank, '1', '9'},
    {{3, 2, 3}, kBlank, '1', '9'},
    {{3, 3, 2}, kBlank, '1', '9'},
    {{4, 2, 2}, kBlank, '1', '9'},
    {{4, 4}, kBlank | kDash, '1', '9'},
    {{8}, 0, '1', '9'},
    {{1, 3, 3, 4}, kAmerican, '1', '1'},  // … and American from here.
    {{1, 3, 7}, kAmerican, '1', '1'},
    {{1, 10}, kBlank | kDash, '1', '1'},
    {{11}, 0, '1', '1'},
    {{3, 3, 4}, kAmerican, '1', '9'},
    {{3, 7}, kAmerican, '1', '9'},
    {{5, 5}, kBlank | kDash, '1', '9'},
    {{10}, 0, '0', '9'},
};

std::string digits_of(std::string_view text, std::span<const DigitGroup> groups) {
  std::string digits;
  for (const auto& group : groups) digits += text.substr(group.begin, group.size());
  return digits;
}

std::optional<std::size_t> length_by_plan(std::string_view digits) {
  for (const auto& plan : kPlans) {
    if (digits.starts_with(plan.country)) return plan.digits;
  }
  return std::nullopt;
}

// The end of the number whose country code begins after `skip` digits of the first groups (the
// "00"); or empty.
std::optional<std::size_t> end_of_international(std::string_view text,
                                                std::span<const DigitGroup> groups,
                                                std::size_t skip) {
  const auto digits = digits_of(text, groups).substr(skip);
  if (digits.empty() || digits.front() == '0') return std::nullopt;
  const auto by_plan = length_by_plan(digits);
  std::optional<std::size_t> end;
  std::size_t count = 0;
  for (const auto& group : groups) {
    if (group.gap == Gap::mixed || group.gap_length > 2) break;
    count += group.size();
    if (count <= skip || !may_end_number(text, group.end)) continue;
    const auto length = count - skip;
    if (by_plan == length) return group.end;
    if (length >= kInternationalDigitsMin && length <= kInternationalDigitsMax) end = group.end;
  }
  return end;
}

bool is_year(int number) { return number >= 1900 && number <= 2099; }

bool reads_as_date(std::string_view digits) {
  const int head = two_digits(digits, 0);
  const int neck = two_digits(digits, 2);
  const int last = four_digits(digits, 4);
  if (is_year(last) && (is_date(last, neck, head) || is_date(last, head, neck))) return true;
  const int first = four_digits(digits, 0);
  return is_year(first) && is_date(first, two_digits(digits, 4), two_digits(digits, 6));
}

// "pubmed/12345678", "?t=12345678".
bool is_in_address_of_page(std::string_view text, std::size_t begin) {
  if (begin == 0 || (text[begin - 1] != '/' && text[begin - 1] != '=')) return false;
  const auto before = decode_before(text, begin - 1).value;
  return is_word(before) && (before < '0' || before > '9');
}

// What looks the same and is something else, unless a phone is spoken of.
bool is_doubtful(std::string_view text, std::span<const DigitGroup> groups) {
  if (is_in_address_of_page(text, groups.front().begin)) return true;
  const auto digits = digits_of(text, groups);
  // Seconds since 1970, an order; no number of an American's.
  if (digits.size() == 10 && groups.size() == 1) return digits.front() < '2';
  if (digits.size() != 8) return false;
  const auto gap = groups.back().gap;
  if (groups.size() == 4) return gap == Gap::dot;  // An address of the Internet.
  if (groups.size() == 2 && groups[0].size() == 4) {
    return gap == Gap::dash && four_digits(digits, 0) <= four_digits(digits, 4);  // A range.
  }
  const bool has_parts_of_date =
      groups.size() == 1 || groups[0].size() == 4 || groups.back().size() == 4;
  return has_parts_of_date && reads_as_date(digits);
}

bool has_form(std::string_view text, std::span<const DigitGroup> groups, const Form& form) {
  const char first = text[groups.front().begin];
  if (first < form.first_min || first > form.first_max) return false;
  for (std::size_t i = 0; i < form.sizes.size() && form.sizes[i] != 0; ++i) {
    if (i >= groups.size() || groups[i].size() != form.sizes[i]) return false;
    if (i > 0 && (form.gaps & bit(groups[i].gap)) == 0) return false;
    // Americans mix them: "(555) 123-4567". Danes do not.
    if (i > 1 && form.gaps != kAmerican && groups[i].gap != groups[i - 1].gap) return false;
  }
  return true;
}

// Four digits, and four, and four again: of a card or an account that has no right check.
bool goes_on_in_fours(std::span<const DigitGroup> groups) {
  return groups.size() > 2 && groups[1].size() == 4 && groups[2].size() == 4 &&
         groups[2].gap == groups[1].gap;
}

std::optional<std::size_t> end_of_national(std::string_view text,
                                           std::span<const DigitGroup> groups) {
  for (const auto& form : kForms) {
    if (!has_form(text, groups, form)) continue;
    std::size_t count = 0;
    while (count < form.sizes.size() && form.sizes[count] != 0) ++count;
    const auto number = groups.first(count);
    const auto end = number.back().end;
    if (!may_end_number(text, end)) continue;
    const bool is_spoken_of =
        !is_doubtful(text, number) || is_word_near(text, number.front().begin, end,
                                                   {"tlf", "telef", "teleph", "mobil", "phone",
                                                    "cell", "ring", "call", "contact"});
    if (is_spoken_of) return end;
  }
  return std::nullopt;
}

// "#12345678" is a ticket, "$12345678" a price.
bool may_begin_phone(std::string_view text, std::size_t at) {
  const auto before = decode_before(text, at).value;
  return before != '#' && before != '$' && before != 0x20AC && before != 0xA3 &&
         may_begin_number(text, at);
}

struct Tried {
  std::optional<std::size_t> end;  // Of the number that was found.
  std::size_t next = 0;            // Where else to look if there is none.
};

Tried try_digits(std::string_view text, std::size_t at) {
  const DigitGroups read(text, at);
  const auto groups = read.groups();
  const auto after_group = end_of_digits(text, at);
  if (!may_begin_phone(text, at)) return {.next = after_group};
  if (text.substr(at).starts_with("00")) {
    return {.end = end_of_international(text, groups, 2), .next = after_group};
  }
  if (groups[0].size() == 4 && goes_on_in_fours(groups)) {
    std::size_t last = 2;
    while (last + 1 < groups.size() && groups[last + 1].size() == 4) ++last;
    return {.next = groups[last].end};
  }
  return {.end = end_of_national(text, groups), .next = after_group};
}

// After a "+".
Tried try_plus(std::string_view text, std::size_t at) {
  const auto before = decode_before(text, at).value;
  auto digit = at + 1;
  if (digit < text.size() && text[digit] == '(') ++digit;
  if (digit >= text.size() || !is_digit(text[digit]) || is_word(before) || before == '+') {
    return {.next = at + 1};
  }
  return {.end = end_of_international(text, DigitGroups(text, digit).groups(), 0), .next = at + 1};
}

// "(555) 123-4567". Other numbers in brackets are found without them.
Tried try_bracket(std::string_view text, std::size_t at) {
  const auto digit = at + 1;
  if (digit >= text.size() || !is_digit(text[digit]) || !may_begin_number(text, at)) {
    return {.next = digit};
  }
  const DigitGroups read(text, digit);
  const auto groups = read.groups();
  if (groups.size() < 2 || groups[1].gap != Gap::bracket) return {.next = digit};
  return {.end = end_of_national(text, groups), .next = digit};
}

Tried try_at(std::string_view text, std::size_t at) {
  if (is_digit(text[at])) return try_digits(text, at);
  if (text[at] == '+') return try_plus(text, at);
  if (text[at] == '(') return try_bracket(text, at);
  return {.next = at + 1};
}

}  // namespace

void find_phones(std::string_view text, std::vector<PiiSpan>& found) {
  for (std::size_t at = 0; at < text.size();) {
    const auto tried = try_at(text, at);
    if (tried.end) found.push_back({PiiKind::phone, at, *tried.end});
    at = tried.end.value_or(tried.next);
  }
}

}  // namespace samtale

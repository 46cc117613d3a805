// Source: ISO 13616-1; lengths from the SWIFT IBAN Registry.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "pii/code_points.h"
#include "pii/finders.h"

namespace samtale {
namespace {

struct Country {
  std::string_view code;
  std::size_t length;
};

// In the order of the alphabet.
constexpr Country kCountries[] = {
    {"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22},
    {"BH", 22}, {"BI", 27}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24},
    {"DE", 22}, {"DJ", 27}, {"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18},
    {"FK", 18}, {"FO", 18}, {"FR", 27}, {"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27},
    {"GT", 28}, {"HN", 28}, {"HR", 21}, {"HU", 28}, {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26},
    {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28}, {"LC", 32}, {"LI", 21}, {"LT", 20},
    {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22}, {"MK", 19}, {"MN", 20},
    {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NI", 28}, {"NL", 18}, {"NO", 15}, {"OM", 23}, {"PK", 24},
    {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"RU", 33}, {"SA", 24},
    {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"SO", 23}, {"ST", 25},
    {"SV", 28}, {"TL", 23}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"VG", 24}, {"XK", 20},
    {"YE", 30},
};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::size_t length_of(std::string_view text, std::size_t at) {
  const char letters[] = {upper(text[at]), upper(text[at + 1])};
  const std::string_view code(letters, 2);
  const auto* country = std::ranges::lower_bound(kCountries, code, {}, &Country::code);
  return country != std::end(kCountries) && country->code == code ? country->length : 0;
}

// The remainder of mod 97 after `rest`, with one more letter or digit.
unsigned add_to_remainder(unsigned rest, char c) {
  const auto value = is_digit(c) ? c - '0' : upper(c) - 'A' + 10;
  return (rest * (value > 9 ? 100U : 10U) + static_cast<unsigned>(value)) % 97;
}

// The end of the IBAN that begins at `begin`, or `begin`. One space or dash may stand between any
// two characters, as not everybody groups by four; but then it has no letters, or every sentence
// with a number would be tried.
std::size_t end_of_iban(std::string_view text, std::size_t begin) {
  constexpr std::size_t kHeadLength = 4;  // Country and check digits: last in the sum.
  const auto length = length_of(text, begin);
  if (length == 0) return begin;
  char head[kHeadLength];
  unsigned rest = 0;
  bool is_by_four = true;
  auto at = begin;
  for (std::size_t read = 0; read < length; ++read) {
    const auto [value, bytes] = decode(text, at);
    if (read > 0 && (is_blank(value) || is_dash(value))) {
      at += bytes;
      is_by_four = is_by_four && read % 4 == 0;
    }
    const bool may_be_letter = read < 2 || (read >= kHeadLength && is_by_four);
    if (at >= text.size()) return begin;
    if (!is_digit(text[at]) && !(may_be_letter && is_ascii_letter(text[at]))) return begin;
    if (read < kHeadLength) {
      head[read] = text[at];
    } else {
      rest = add_to_remainder(rest, text[at]);
    }
    ++at;
  }
  for (const char c : head) rest = add_to_remainder(rest, c);
  return rest == 1 && is_word_boundary(text, at) ? at : begin;
}

}  // namespace

void find_ibans(std::string_view text, std::vector<PiiSpan>& found) {
  for (std::size_t at = 0; at + 1 < text.size();) {
    const bool may_begin =
        is_ascii_letter(text[at]) && is_ascii_letter(text[at + 1]) && is_word_boundary(text, at);
    const auto end = may_begin ? end_of_iban(text, at) : at;
    if (end > at) found.push_back({PiiKind::iban, at, end});
    at = std::max(at + 1, end);
  }
}

}  // namespace samtale

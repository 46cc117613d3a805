#include "text/word_scanner.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <array>
#include <cstdint>

#include "text/break_iterator.h"
#include "text/code_points.h"

namespace samtale {
namespace {

// A token of more parts than this is no code anybody searches for; also bounds the scanner's
// memory.
constexpr std::size_t kPartsMax = 16;
// Dictionary scripts are cut in slices, so that ICU's working memory stays small.
constexpr std::size_t kDictionarySliceBytes = 4096;

enum class Kind : std::uint8_t { other, letter, digit, extend, apostrophe, connector };

constexpr std::array<Kind, 128> kAscii = [] {
  std::array<Kind, 128> kinds{};
  for (unsigned c = 'a'; c <= 'z'; ++c) kinds[c] = kinds[c - 'a' + 'A'] = Kind::letter;
  for (unsigned c = '0'; c <= '9'; ++c) kinds[c] = Kind::digit;
  for (const char c : {'-', '_', '.', '@', '/', ':', '+', ','}) {
    kinds[static_cast<unsigned char>(c)] = Kind::connector;
  }
  kinds['\''] = Kind::apostrophe;
  return kinds;
}();

struct Read {
  Kind kind = Kind::other;
  std::size_t bytes = 1;
  bool needs_dictionary = false;  // Of a script that writes no spaces between words.
};

Kind kind_of(UChar32 c) {
  if (c == 0x2019) return Kind::apostrophe;
  if (c == 0x2010 || c == 0x2011) return Kind::connector;
  const auto mask = U_GET_GC_MASK(c);
  if ((mask & U_GC_ND_MASK) != 0) return Kind::digit;
  if ((mask & U_GC_M_MASK) != 0) return Kind::extend;
  // Invisible characters belong to the word around them; a zero-width space parts it.
  if ((mask & U_GC_CF_MASK) != 0 && c != 0x200B) return Kind::extend;
  return u_isUAlphabetic(c) != 0 ? Kind::letter : Kind::other;
}

bool is_dictionary_script(UChar32 c) {
  if (c < 0x0E00) return false;  // Thai is the first.
  if (u_getIntPropertyValue(c, UCHAR_LINE_BREAK) == U_LB_COMPLEX_CONTEXT) return true;
  UErrorCode status = U_ZERO_ERROR;
  const auto script = uscript_getScript(c, &status);
  return script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ||
         script == USCRIPT_HANGUL;  // Has spaces, but ICU parts it from letters of other scripts.
}

Read read(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {.bytes = 0};
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {.kind = kAscii[first]};
  // U+00C0 to U+00FF, the letters of Danish among them, without asking ICU.
  if (first == 0xC3 && at + 1 < text.size() && (text[at + 1] & 0xC0) == 0x80) {
    const bool sign = text[at + 1] == '\x97' || text[at + 1] == '\xB7';  // × and ÷
    return {.kind = sign ? Kind::other : Kind::letter, .bytes = 2};
  }
  const auto c = decode(text, at);
  if (c.value < 0) return {.bytes = c.bytes};
  return {.kind = kind_of(c.value),
          .bytes = c.bytes,
          .needs_dictionary = is_dictionary_script(c.value)};
}

bool has_letters(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto found = read(text, at);
    if (found.kind == Kind::letter || found.kind == Kind::digit) return true;
    at += found.bytes;
  }
  return false;
}

bool is_digit(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

}  // namespace

bool is_hyphen(std::string_view connector) { return connector == "-" || connector.size() > 1; }

bool WordScanner::next() {
  parts_.clear();
  joined_ = false;
  code_ = false;
  hyphen_ = false;
  while (parts_.empty()) {
    if (at_ >= text_.size()) return false;
    if (!read_part()) at_ += read(text_, at_).bytes;
  }
  while (parts_.size() < kPartsMax) {
    const auto bytes = connector_bytes(at_);
    if (bytes == 0) break;
    const auto connector = at_;
    at_ += bytes;
    if (!read_part()) {
      at_ = connector;
      break;
    }
    joined_ = true;
    hyphen_ |= is_hyphen(text_.substr(connector, bytes));
    code_ |= text_[connector] == '@' || text_[connector] == '.' || text_[connector] == '_';
  }
  return true;
}

// The length of a connector at `at`, or 0. A comma connects digits only ("1,000").
std::size_t WordScanner::connector_bytes(std::size_t at) const {
  const auto found = read(text_, at);
  if (found.kind != Kind::connector) return 0;
  if (text_[at] == ',' && (at == 0 || !is_digit(text_, at - 1) || !is_digit(text_, at + 1))) {
    return 0;
  }
  return found.bytes;
}

// Reads one run of letters and digits at at_; false, and nothing read, if there is none.
bool WordScanner::read_part() {
  const auto begin = at_;
  auto found = read(text_, at_);
  if (found.kind != Kind::letter && found.kind != Kind::digit) return false;
  bool needs_dictionary = false;
  bool digits = false;
  while (found.bytes != 0) {
    if (found.kind == Kind::apostrophe) {
      // Inside a word only: "don't", not 'quoted'.
      if (read(text_, at_ + found.bytes).kind != Kind::letter) break;
    } else if (found.kind == Kind::other || found.kind == Kind::connector) {
      break;
    }
    digits |= found.kind == Kind::digit;
    needs_dictionary |= found.needs_dictionary;
    at_ += found.bytes;
    found = read(text_, at_);
  }
  code_ |= digits;
  add_parts(begin, at_, needs_dictionary);
  return true;
}

void WordScanner::add_parts(std::size_t begin, std::size_t end, bool needs_dictionary) {
  if (!needs_dictionary) {
    parts_.push_back({begin, end});
    return;
  }
  auto& breaks = BreakIterator::words();
  while (begin < end) {
    const auto slice =
        begin + whole_code_points(text_.substr(begin, end - begin), kDictionarySliceBytes);
    breaks.start(text_.substr(begin, slice - begin));
    std::size_t from = 0;
    while (const auto to = breaks.next()) {
      // Not ICU's word status, which misses a syllable with an invisible character after it.
      if (has_letters(text_.substr(begin + from, *to - from))) {
        parts_.push_back({begin + from, begin + *to});
      }
      from = *to;
    }
    begin = slice;
  }
}

}  // namespace samtale

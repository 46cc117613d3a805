#include "pii/code_points.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>

namespace samtale {

// ICU's macros narrow silently.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"

CodePoint decode_long(std::string_view text, std::size_t at) {
  std::size_t next = at;
  UChar32 value = 0;
  U8_NEXT(text.data(), next, text.size(), value);
  return {.value = value, .bytes = next - at};
}

CodePoint decode_long_before(std::string_view text, std::size_t at) {
  constexpr std::size_t kCodePointBytesMax = 4;
  const auto tail = text.substr(0, at).substr(at - std::min(at, kCodePointBytesMax));
  auto begin = static_cast<std::int32_t>(tail.size());
  UChar32 value = 0;
  U8_PREV(tail.data(), 0, begin, value);
  return {.value = value, .bytes = tail.size() - static_cast<std::size_t>(begin)};
}

#pragma GCC diagnostic pop

bool is_long_word(std::int32_t code_point) {
  return u_isalnum(code_point) != 0 || (U_GET_GC_MASK(code_point) & U_GC_M_MASK) != 0;
}

bool is_unspaced(std::int32_t code_point) {
  if (code_point < 0x0E00) return false;  // Thai is the first.
  UErrorCode error = U_ZERO_ERROR;
  const auto script = uscript_getScript(code_point, &error);
  // Korean has spaces, but its particles are written on to the word.
  return U_SUCCESS(error) != 0 &&
         (uscript_breaksBetweenLetters(script) != 0 || script == USCRIPT_HANGUL);
}

bool is_dash(std::int32_t code_point) {
  return code_point == '-' || (code_point >= 0x2010 && code_point <= 0x2015) ||
         code_point == 0x2212;
}

bool is_blank(std::int32_t code_point) {
  return code_point == ' ' || code_point == 0xA0 || code_point == 0x2007 || code_point == 0x2009 ||
         code_point == 0x202F;
}

bool is_word_boundary(std::string_view text, std::size_t at) {
  const auto before = decode_before(text, at).value;
  const auto after = decode(text, at).value;
  if (!is_word(before) || !is_word(after)) return true;
  return is_unspaced(before) || is_unspaced(after);
}

}  // namespace samtale

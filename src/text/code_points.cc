#include "text/code_points.h"

#include <unicode/utf8.h>

namespace samtale {

// ICU's macros narrow silently.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"

CodePoint decode(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  std::size_t next = at;
  UChar32 value = 0;
  U8_NEXT(text.data(), next, text.size(), value);
  return {.value = value, .bytes = next - at};
}

#pragma GCC diagnostic pop

std::size_t whole_code_points(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text.size();
  // No further back than a code point is long: bytes that are no text are cut anywhere.
  for (std::size_t back = 0; back < 4 && back <= bytes; ++back) {
    if (!U8_IS_TRAIL(text[bytes - back])) return bytes - back;
  }
  return bytes;
}

}  // namespace samtale

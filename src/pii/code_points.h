// Code points of a UTF-8 text, and what they are to a finder. Private to pii/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace samtale {

struct CodePoint {
  std::int32_t value = -1;  // Negative for bytes that are not UTF-8, and beyond the text.
  std::size_t bytes = 0;    // 0 beyond the text.
};

// Of what is not ASCII.
[[nodiscard]] CodePoint decode_long(std::string_view text, std::size_t at);
[[nodiscard]] CodePoint decode_long_before(std::string_view text, std::size_t at);
[[nodiscard]] bool is_long_word(std::int32_t code_point);

// The code point at `at`, and the one that ends before `at`.
[[nodiscard]] inline CodePoint decode(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  const auto byte = static_cast<unsigned char>(text[at]);
  return byte < 0x80 ? CodePoint{.value = byte, .bytes = 1} : decode_long(text, at);
}
[[nodiscard]] inline CodePoint decode_before(std::string_view text, std::size_t at) {
  if (at == 0 || at > text.size()) return {};
  const auto byte = static_cast<unsigned char>(text[at - 1]);
  return byte < 0x80 ? CodePoint{.value = byte, .bytes = 1} : decode_long_before(text, at);
}

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Of a word: a letter, a mark or a digit of any script.
[[nodiscard]] inline bool is_word(std::int32_t code_point) {
  if (code_point >= 0x80) return is_long_word(code_point);
  const auto c = static_cast<char>(code_point);
  return code_point >= 0 && (is_digit(c) || is_ascii_letter(c));
}
// Of a script that puts no spaces between words, or none between a word and what is added to it.
[[nodiscard]] bool is_unspaced(std::int32_t code_point);
[[nodiscard]] bool is_dash(std::int32_t code_point);
// White space within a line, as stands between the groups of a number.
[[nodiscard]] bool is_blank(std::int32_t code_point);

// No word goes on over the place `at`.
[[nodiscard]] bool is_word_boundary(std::string_view text, std::size_t at);

}  // namespace samtale

#include "analyze/unseen.h"

namespace samtale {

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  const auto lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const auto tail = [&](std::size_t at) { return static_cast<char32_t>(byte(at) & 0x3FU); };
  if (lead < 0xE0) return {((lead & 0x1FU) << 6) | tail(1), 2};
  if (lead < 0xF0) return {((lead & 0x0FU) << 12) | (tail(1) << 6) | tail(2), 3};
  return {((lead & 0x07U) << 18) | (tail(1) << 12) | (tail(2) << 6) | tail(3), 4};
}

bool is_space(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_unseen(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || c == 0x180E ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
         (c >= 0xE0000 && c <= 0xE0FFF);
}

}  // namespace samtale

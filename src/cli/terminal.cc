#include <algorithm>
#include <array>
#include <ostream>

#include "base/bytes.h"
#include "cli/context.h"

namespace samtale::cli {
namespace {

// The length of the well-formed UTF-8 character at the start, or 0.
std::size_t character_bytes(std::string_view text) {
  for (std::size_t size = 1; size <= std::min<std::size_t>(4, text.size()); ++size) {
    if (is_utf8(text.substr(0, size))) return size;
  }
  return 0;
}

std::uint32_t code_point(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  std::uint32_t value = byte(0) & (0xFFU >> (character.size() + 1));
  for (std::size_t i = 1; i < character.size(); ++i) value = (value << 6U) | (byte(i) & 0x3FU);
  return value;
}

bool is_harmless(std::uint32_t c) {
  const bool is_control = c < 0x20 || (c >= 0x7F && c < 0xA0);
  const bool turns_direction = c == 0x061C || c == 0x200E || c == 0x200F ||
                               (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  const bool is_line_end = c == 0x2028 || c == 0x2029;
  return !is_control && !turns_direction && !is_line_end;
}

std::string clean(std::string_view text, bool keep_lines) {
  std::string out;
  while (!text.empty()) {
    const auto size = character_bytes(text);
    const auto character = text.substr(0, std::max<std::size_t>(1, size));
    text.remove_prefix(character.size());
    if (size != 0 && is_harmless(code_point(character))) {
      out += character;
    } else if (character == "\n" && keep_lines) {
      out += '\n';
    } else {
      out += character == "\n" || character == "\r" || character == "\t" ? ' ' : '?';
    }
  }
  return out;
}

}  // namespace

std::string plain(std::string_view text) { return clean(text, false); }
std::string plain_lines(std::string_view text) { return clean(text, true); }

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string Table::text() const {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    rows.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      rows.back().push_back(plain(row[i]));
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width(rows.back().back()));
    }
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace samtale::cli

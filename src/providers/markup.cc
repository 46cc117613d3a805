#include "providers/markup.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace samtale {
namespace {

constexpr std::size_t kReferenceBytesMax = 10;  // "&#x10FFFF;"

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | (code >> 6));
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3F));
    byte(0x80 | ((code >> 6) & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

// What stands between "&" and ";", as a code point.
std::optional<std::uint32_t> code_point(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::uint32_t>, 7> kNames{{{"amp", '&'},
                                                                              {"lt", '<'},
                                                                              {"gt", '>'},
                                                                              {"quot", '"'},
                                                                              {"apos", '\''},
                                                                              {"nbsp", ' '},
                                                                              {"hellip", 0x2026}}};
  for (const auto& [known, code] : kNames) {
    if (name == known) return code;
  }
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool is_hex = name.starts_with('x') || name.starts_with('X');
  if (is_hex) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, code, is_hex ? 16 : 10);
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (error != std::errc() || stop != end || code == 0 || code > 0x10FFFF || is_surrogate) {
    return std::nullopt;
  }
  return code;
}

// Takes "&…;" off the front and appends what it stands for; just the "&" if it is no reference.
void take_reference(std::string_view& rest, std::string& out) {
  const auto end = rest.substr(0, kReferenceBytesMax).find(';');
  const auto code =
      end == std::string_view::npos ? std::nullopt : code_point(rest.substr(1, end - 1));
  if (code) {
    append_utf8(out, *code);
    rest.remove_prefix(end + 1);
  } else {
    out.push_back('&');
    rest.remove_prefix(1);
  }
}

// Where the tag at the front of `rest` ends; npos if there is none. `has_tags` turns false at the
// first "<" that nothing closes, so that a megabyte of them is searched once and not each time.
std::size_t tag_end(std::string_view rest, bool& has_tags) {
  if (rest.front() != '<' || !has_tags) return std::string_view::npos;
  const auto end = rest.find('>');
  has_tags = end != std::string_view::npos;
  return end;
}

bool ends_a_line(std::string_view tag) {
  std::string name;
  for (const char c : tag) {
    if (c == ' ' || c == '>' || (c == '/' && !name.empty())) break;
    name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  constexpr std::array<std::string_view, 8> kNames{"br",  "/p",  "/div", "/li",
                                                   "/h1", "/h2", "/tr",  "/blockquote"};
  return std::ranges::find(kNames, name) != kNames.end();
}

// No white space at the ends, no more than one empty line.
std::string tidied(std::string_view text) {
  std::string out;
  std::size_t newlines = 0;
  for (const char c : text) {
    if (c == '\r') continue;
    if (c == '\n') {
      ++newlines;
      continue;
    }
    if (c == ' ' && (newlines > 0 || out.empty())) continue;
    if (!out.empty()) out.append(std::min<std::size_t>(newlines, 2), '\n');
    newlines = 0;
    out.push_back(c);
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

// "<@U1|ann>", "<https://a.b|label>", "<!here>": the label, else the target.
std::string_view shown(std::string_view link) {
  if (const auto bar = link.find('|'); bar != std::string_view::npos) return link.substr(bar + 1);
  return link.starts_with('!') ? link.substr(1) : link;
}

}  // namespace

std::string text_of_html(std::string_view html) {
  std::string out;
  bool has_tags = true;
  for (auto rest = html; !rest.empty();) {
    if (rest.front() == '&') {
      take_reference(rest, out);
      continue;
    }
    const auto end = tag_end(rest, has_tags);
    if (end == std::string_view::npos) {
      out.push_back(rest.front());
      rest.remove_prefix(1);
      continue;
    }
    if (ends_a_line(rest.substr(1, end - 1))) out.push_back('\n');
    rest.remove_prefix(end + 1);
  }
  return tidied(out);
}

std::string text_of_mrkdwn(std::string_view mrkdwn) {
  std::string out;
  bool has_tags = true;
  for (auto rest = mrkdwn; !rest.empty();) {
    if (rest.front() == '&') {
      take_reference(rest, out);
      continue;
    }
    const auto end = tag_end(rest, has_tags);
    if (end == std::string_view::npos) {
      out.push_back(rest.front());
      rest.remove_prefix(1);
      continue;
    }
    for (auto label = shown(rest.substr(1, end - 1)); !label.empty();) {
      if (label.front() == '&') {
        take_reference(label, out);
      } else {
        out.push_back(label.front());
        label.remove_prefix(1);
      }
    }
    rest.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace samtale

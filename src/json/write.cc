#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "json/json.h"

namespace samtale::json {
namespace {

enum class Style : std::uint8_t { compact, pretty, sorted };

void write_number(double number, std::string& out) {
  SAMTALE_CHECK(std::isfinite(number), "JSON has no NaN and no infinity");
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  const std::string_view digits(text, static_cast<std::size_t>(end - text));
  out.append(digits);
  // Keeps a double a double when it is read again.
  if (digits.find_first_of(".e") == std::string_view::npos) out.append(".0");
}

void write_integer(std::int64_t number, std::string& out) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

void new_line(Style style, std::size_t depth, std::string& out) {
  if (style != Style::pretty) return;
  out.push_back('\n');
  out.append(depth * 2, ' ');
}

void write_value(const Value& value, Style style, std::size_t depth, std::string& out);

void write_object(const Object& object, Style style, std::size_t depth, std::string& out) {
  out.push_back('{');
  bool first = true;
  const auto write_member = [&](const Object::value_type& member) {
    if (!std::exchange(first, false)) out.push_back(',');
    new_line(style, depth + 1, out);
    write_string(member.first, out);
    out.append(style == Style::pretty ? ": " : ":");
    write_value(member.second, style, depth + 1, out);
  };
  if (style == Style::sorted) {
    std::vector<const Object::value_type*> members;
    for (const auto& member : object) members.push_back(&member);
    std::ranges::sort(
        members, {}, [](const auto* member) -> const auto& { return member->first; });
    for (const auto* member : members) write_member(*member);
  } else {
    for (const auto& member : object) write_member(member);
  }
  if (!first) new_line(style, depth, out);
  out.push_back('}');
}

void write_array(const Array& array, Style style, std::size_t depth, std::string& out) {
  out.push_back('[');
  bool first = true;
  for (const auto& item : array) {
    if (!std::exchange(first, false)) out.push_back(',');
    new_line(style, depth + 1, out);
    write_value(item, style, depth + 1, out);
  }
  if (!first) new_line(style, depth, out);
  out.push_back(']');
}

void write_value(const Value& value, Style style, std::size_t depth, std::string& out) {
  if (const auto* text = value.as_string()) return write_string(*text, out);
  if (const auto* object = value.as_object()) return write_object(*object, style, depth, out);
  if (const auto* array = value.as_array()) return write_array(*array, style, depth, out);
  if (const auto* flag = value.as_bool()) {
    out.append(*flag ? "true" : "false");
  } else if (const auto* whole = value.as_int()) {
    write_integer(*whole, out);
  } else if (const auto number = value.as_number()) {
    write_number(*number, out);
  } else {
    out.append("null");
  }
}

}  // namespace

void write_string(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  std::size_t clean = 0;  // Everything before this has been written.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+2028 and U+2029 end a line in older JavaScript: E2 80 A8 and E2 80 A9.
    const bool separator = byte == 0xE2 && i + 2 < text.size() && text[i + 1] == '\x80' &&
                           (text[i + 2] == '\xA8' || text[i + 2] == '\xA9');
    if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != '<' && byte != 0x7F && !separator) {
      continue;
    }
    out.append(text.substr(clean, i - clean));
    clean = i + 1;
    switch (byte) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\t':
        out.append("\\t");
        break;
      case 0xE2:
        out.append(text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029");
        i += 2;
        clean = i + 1;
        break;
      default:
        out.append("\\u00");
        out.push_back(kHex[byte >> 4]);
        out.push_back(kHex[byte & 15]);
    }
  }
  out.append(text.substr(clean));
  out.push_back('"');
}

void Writer::key(std::string_view key) {
  separate();
  write_string(key, out_);
  out_.push_back(':');
  is_first_ = true;
}

void Writer::value(std::string_view text) {
  separate();
  write_string(text, out_);
}

void Writer::value(double number) {
  separate();
  write_number(number, out_);
}

void Writer::value(std::int64_t number) {
  separate();
  write_integer(number, out_);
}

void Writer::value(bool flag) {
  separate();
  out_.append(flag ? "true" : "false");
}

void Writer::value(std::nullptr_t) {
  separate();
  out_.append("null");
}

void write(const Value& value, std::string& out) { write_value(value, Style::compact, 0, out); }

std::string dump(const Value& value) {
  std::string out;
  write_value(value, Style::compact, 0, out);
  return out;
}

std::string dump_pretty(const Value& value) {
  std::string out;
  write_value(value, Style::pretty, 0, out);
  return out;
}

std::string dump_sorted(const Value& value) {
  std::string out;
  write_value(value, Style::sorted, 0, out);
  return out;
}

std::string pointer_token(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out.append("~0");
    } else if (c == '/') {
      out.append("~1");
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace samtale::json

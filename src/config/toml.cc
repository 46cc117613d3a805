// The only file that knows toml++.
//
// Version 3.3 asserts what it should check ("[=]" breaks one assertion), and in a release build
// turns assertions into assumptions. Here they are exceptions in every build, and so mistakes of
// the text.
#include <stdexcept>

namespace samtale {
constexpr void require_toml(bool holds) {
  if (!holds) throw std::logic_error("this is no TOML; look for a stray character after a '['");
}
}  // namespace samtale

#undef NDEBUG
#define TOML_EXCEPTIONS 1
#define TOML_ASSERT(condition) ::samtale::require_toml(static_cast<bool>(condition))
#include <toml++/toml.h>

#include <algorithm>

#include "base/bytes.h"
#include "config/keys.h"

namespace samtale {
namespace {

std::string type_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::array:
      return "a list that holds more than texts";
    default:
      return "an unknown type";
  }
}

std::variant<std::monostate, RawValue> value_of(const toml::node& node) {
  if (const auto* b = node.as_boolean()) return RawValue(b->get());
  if (const auto* i = node.as_integer()) return RawValue(i->get());
  if (const auto* f = node.as_floating_point()) return RawValue(f->get());
  if (const auto* s = node.as_string()) return RawValue(s->get());
  const auto* const array = node.as_array();
  if (array == nullptr) return {};
  std::vector<std::string> texts;
  for (const auto& item : *array) {
    const auto* const text = item.as_string();
    if (text == nullptr) return {};
    texts.push_back(text->get());
  }
  return RawValue(std::move(texts));
}

void walk(const toml::table& table, const std::string& prefix, std::vector<TomlEntry>& entries) {
  for (const auto& [key, node] : table) {
    TomlEntry entry;
    entry.name = prefix + std::string(key.str());
    entry.line = node.source().begin.line;
    if (const auto* const inner = node.as_table()) {
      entry.is_table = true;
      entries.push_back(entry);
      // No key lies deeper than section.key.
      if (prefix.empty()) walk(*inner, entry.name + ".", entries);
      continue;
    }
    entry.value = value_of(node);
    entry.type = type_name(node.type());
    entries.push_back(std::move(entry));
  }
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\t' && c != '\r') || byte == 0x7F;
}

// The line of the first character that may not stand where it does: a control character anywhere,
// or one that is not ASCII outside of quotes and comments. 0 if there is none. Version 3.3 of the
// parser is undefined on some of them.
std::size_t line_of_stray_character(std::string_view text) {
  constexpr std::string_view kBeforeString = "\n=[,{.";
  std::size_t line = 1;
  std::string_view quotes;  // What ends the string we are in.
  bool is_comment = false;
  char before = '\n';  // The last character that was no blank.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_control(c)) return line;
    if (c == '\n') {
      ++line;
      is_comment = false;
      if (quotes.size() < 3) quotes = {};
    } else if (is_comment) {
      continue;
    } else if (!quotes.empty()) {
      if (c == '\\' && quotes.front() == '"') {
        if (i + 1 < text.size() && text[i + 1] != '\n') ++i;
      } else if (text.substr(i).starts_with(quotes)) {
        i += quotes.size() - 1;
        quotes = {};
      }
    } else if ((c == '"' || c == '\'') && kBeforeString.find(before) != std::string_view::npos) {
      quotes = text.substr(i, text.substr(i, 3) == std::string(3, c) ? 3 : 1);
      i += quotes.size() - 1;
    } else if (c == '#') {
      is_comment = true;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return line;
    }
    if (c != ' ' && c != '\t' && c != '\r') before = c;
  }
  return 0;
}

}  // namespace

Result<std::vector<TomlEntry>> read_toml(std::string_view text) {
  if (!is_utf8(text)) return fail(ErrorCode::invalid_argument, "1: is not in UTF-8; save it so");
  if (const auto line = line_of_stray_character(text); line != 0) {
    return fail(ErrorCode::invalid_argument,
                std::to_string(line) +
                    ": a control character, or outside of quotes one that is not ASCII "
                    "(a pasted space or curly quote?); type it anew");
  }
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument, std::to_string(error.source().begin.line) + ": " +
                                                 std::string(error.description()));
  } catch (const std::logic_error& error) {
    return fail(ErrorCode::invalid_argument, "1: " + std::string(error.what()));
  }
  std::vector<TomlEntry> entries;
  walk(table, "", entries);
  std::ranges::stable_sort(entries, {}, &TomlEntry::line);
  return entries;
}

}  // namespace samtale

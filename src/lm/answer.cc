#include "lm/answer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr json::ReadLimits kLimits;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}
bool is_in_name(char c) { return starts_name(c) || is_digit(c) || c == '-'; }

// A quotation mark, and those that end what it begins.
struct Quote {
  std::string_view mark;
  std::array<std::string_view, 2> ends;
};
constexpr std::array<Quote, 7> kQuotes = {{{"\"", {"\"", "\""}},
                                           {"'", {"'", "'"}},
                                           {"“", {"”", "“"}},
                                           {"”", {"”", "“"}},
                                           {"„", {"“", "”"}},
                                           {"‘", {"’", "‘"}},
                                           {"’", {"’", "‘"}}}};

// Reads one value, forgiving what cannot mean two things. Never goes back by more than a few bytes.
class ForgivingReader {
 public:
  ForgivingReader(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  Result<json::Value> read() { return read_value(1); }
  [[nodiscard]] std::size_t at() const { return at_; }
  // True if what comes next can begin an object's first member, or end the object.
  [[nodiscard]] bool looks_like_object() {
    ++at_;
    if (!skip_space()) return false;
    if (at_ >= text_.size()) return true;  // Cut off right here: to be told as that.
    if (text_[at_] == '}' || quote() != nullptr) return true;
    if (!starts_name(text_[at_])) return false;
    while (at_ < text_.size() && is_in_name(text_[at_])) ++at_;
    return skip_space() && at_ < text_.size() && text_[at_] == ':';
  }

 private:
  [[nodiscard]] std::unexpected<Error> wrong(std::string_view what) const {
    return fail(ErrorCode::invalid_argument,
                "byte " + std::to_string(at_) + ": " + std::string(what));
  }
  [[nodiscard]] std::unexpected<Error> cut_off(std::string_view in) const {
    return wrong("the text ends within " + std::string(in));
  }

  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  // White space and comments. False if a comment does not end.
  bool skip_space() {
    while (at_ < text_.size()) {
      if (is_space(text_[at_])) {
        ++at_;
      } else if (take("//")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (take("/*")) {
        const auto end = text_.find("*/", at_);
        if (end == std::string_view::npos) {
          at_ = text_.size();
          return false;
        }
        at_ = end + 2;
      } else {
        return true;
      }
    }
    return true;
  }

  [[nodiscard]] const Quote* quote() const {
    const auto rest = text_.substr(at_);
    const auto* found =
        std::ranges::find_if(kQuotes, [&](const auto& q) { return rest.starts_with(q.mark); });
    return found == kQuotes.end() ? nullptr : found;
  }

  Result<json::Value> read_value(std::size_t depth) {
    if (depth > kLimits.depth_max) return wrong("nested too deeply");
    if (!skip_space()) return cut_off("a comment");
    if (at_ >= text_.size()) return cut_off("a value");
    if (text_[at_] == '{') return read_object(depth);
    if (text_[at_] == '[') return read_array(depth);
    if (quote() != nullptr) {
      SAMTALE_TRY(auto text, read_string());
      return json::Value(std::move(text));
    }
    if (text_[at_] == '-' || is_digit(text_[at_])) return read_number();
    return read_word();
  }

  Result<json::Value> read_object(std::size_t depth) {
    ++at_;
    json::Object members;
    for (;;) {
      if (!skip_space()) return cut_off("a comment");
      if (take("}")) break;
      if (at_ >= text_.size()) return cut_off("an object");
      if (members.size() == kLimits.members_max) return wrong("too many members");
      SAMTALE_TRY(auto key, read_key());
      if (!skip_space()) return cut_off("a comment");
      if (at_ >= text_.size()) return cut_off("an object");
      if (!take(":")) return wrong("a colon belongs here");
      SAMTALE_TRY(auto value, read_value(depth + 1));
      members.emplace_back(std::move(key), std::move(value));
      SAMTALE_TRY_VOID(read_separator('}', "an object"));
    }
    SAMTALE_TRY_VOID(check_keys(members));
    return json::Value(std::move(members));
  }

  Result<json::Value> read_array(std::size_t depth) {
    ++at_;
    json::Array items;
    for (;;) {
      if (!skip_space()) return cut_off("a comment");
      if (take("]")) return json::Value(std::move(items));
      if (at_ >= text_.size()) return cut_off("an array");
      SAMTALE_TRY(auto value, read_value(depth + 1));
      items.push_back(std::move(value));
      SAMTALE_TRY_VOID(read_separator(']', "an array"));
    }
  }

  // A comma, or nothing where `end` follows.
  Result<> read_separator(char end, std::string_view in) {
    if (!skip_space()) return cut_off("a comment");
    if (at_ >= text_.size()) return cut_off(in);
    if (text_[at_] == end || take(",")) return {};
    return wrong("a comma or the end of " + std::string(in) + " belongs here");
  }

  Result<std::string> read_key() {
    if (quote() != nullptr) return read_string();
    const auto begin = at_;
    if (starts_name(text_[at_])) {
      while (at_ < text_.size() && is_in_name(text_[at_])) ++at_;
    }
    if (at_ == begin) return wrong("a key belongs here");
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<> check_keys(const json::Object& members) const {
    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const auto& member : members) keys.push_back(member.first);
    std::ranges::sort(keys);
    if (std::ranges::adjacent_find(keys) == keys.end()) return {};
    return wrong("a key stands twice in the object that ends here");
  }

  Result<std::string> read_string() {
    const auto& opened = *quote();
    at_ += opened.mark.size();
    std::string out;
    while (at_ < text_.size()) {
      if (take(opened.ends[0]) || take(opened.ends[1])) return out;
      if (text_[at_] != '\\') {
        out.push_back(text_[at_++]);
        continue;
      }
      ++at_;
      SAMTALE_TRY_VOID(read_escape(out));
    }
    return cut_off("a string");
  }

  Result<> read_escape(std::string& out) {
    if (at_ >= text_.size()) return cut_off("a string");
    constexpr std::string_view kLetters = "\"'\\/bfnrt";
    constexpr std::string_view kMeant = "\"'\\/\b\f\n\r\t";
    if (const auto found = kLetters.find(text_[at_]); found != std::string_view::npos) {
      ++at_;
      out.push_back(kMeant[found]);
      return {};
    }
    if (text_[at_] == '\n') {  // JavaScript's way to go on in the next line.
      ++at_;
      return {};
    }
    if (text_[at_] != 'u') return wrong("no such escape");
    ++at_;
    SAMTALE_TRY(auto code, read_hex());
    constexpr std::uint32_t kHigh = 0xD800;
    constexpr std::uint32_t kLow = 0xDC00;
    constexpr std::uint32_t kAfter = 0xE000;
    if (code >= kLow && code < kAfter) return wrong("half of a surrogate pair");
    if (code >= kHigh && code < kLow) {
      if (!take("\\u")) return wrong("half of a surrogate pair");
      SAMTALE_TRY(const auto low, read_hex());
      if (low < kLow || low >= kAfter) return wrong("half of a surrogate pair");
      code = 0x10000 + ((code - kHigh) << 10U) + (low - kLow);
    }
    append_utf8(code, out);
    return {};
  }

  Result<std::uint32_t> read_hex() {
    constexpr std::size_t kDigits = 4;
    if (text_.size() - at_ < kDigits) return cut_off("a string");
    const auto bytes = unhex(text_.substr(at_, kDigits));
    if (!bytes) return wrong("four hexadecimal digits belong here");
    at_ += kDigits;
    return static_cast<std::uint32_t>(static_cast<unsigned char>((*bytes)[0])) << 8U |
           static_cast<unsigned char>((*bytes)[1]);
  }

  static void append_utf8(std::uint32_t code, std::string& out) {
    const auto add = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    const auto more = [&](std::uint32_t shift) { add(0x80U | (code >> shift & 0x3FU)); };
    if (code < 0x80) return add(code);
    if (code < 0x800) {
      add(0xC0U | code >> 6U);
      return more(0);
    }
    if (code < 0x10000) {
      add(0xE0U | code >> 12U);
      more(6);
      return more(0);
    }
    add(0xF0U | code >> 18U);
    more(12);
    more(6);
    more(0);
  }

  Result<json::Value> read_number() {
    const auto begin = at_;
    while (at_ < text_.size() &&
           (is_digit(text_[at_]) || std::string_view("+-.eE").contains(text_[at_]))) {
      ++at_;
    }
    // It may go on: 12 is what is left of 125 as well.
    if (at_ == text_.size()) return cut_off("a number");
    auto number = json::parse(text_.substr(begin, at_ - begin));
    if (!number) at_ = begin;
    if (!number) return wrong("no number of JSON");
    return std::move(*number);
  }

  Result<json::Value> read_word() {
    const auto begin = at_;
    while (at_ < text_.size() && is_in_name(text_[at_])) ++at_;
    const auto word = text_.substr(begin, at_ - begin);
    if (word == "true" || word == "True") return json::Value(true);
    if (word == "false" || word == "False") return json::Value(false);
    if (word == "null" || word == "None") return json::Value();
    if (at_ == text_.size()) return cut_off("a value");
    at_ = begin;
    return wrong("a value belongs here");
  }

  const std::string_view text_;
  std::size_t at_;
};

// Where the first object begins that is not only a brace in prose.
std::optional<std::size_t> find_object(std::string_view text, std::size_t from) {
  for (auto at = text.find('{', from); at != std::string_view::npos; at = text.find('{', at + 1)) {
    ForgivingReader reader(text, at);
    if (!reader.looks_like_object()) {
      at = std::max(at, reader.at() - 1);  // Not twice over the same comment or name.
      continue;
    }
    return at;
  }
  return std::nullopt;
}

// The first object, with the arrays around it; where there is none, the first array.
std::optional<std::size_t> find_begin(std::string_view text, std::size_t from) {
  const auto object = find_object(text, from);
  if (!object) {
    const auto array = text.find('[', from);
    return array == std::string_view::npos ? std::nullopt : std::optional(array);
  }
  auto begin = *object;
  for (auto back = begin; back > from; --back) {
    if (text[back - 1] == '[') begin = back - 1;
    if (text[back - 1] != '[' && !is_space(text[back - 1])) break;
  }
  return begin;
}

// What reasoning models without a channel of their own for it put first.
std::size_t after_thoughts(std::string_view text) {
  constexpr std::string_view kEnd = "</think>";
  if (!text.starts_with("<think>")) return 0;
  const auto end = text.find(kEnd);
  return end == std::string_view::npos ? text.size() : end + kEnd.size();
}

std::string_view trim(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<json::Value> read_model_json(std::string_view text) {
  text = trim(text);
  auto strict = json::parse(text, kLimits);
  if (strict) return strict;
  if (text.size() > kLimits.bytes_max || !is_utf8(text)) return strict;

  const auto begin = find_begin(text, after_thoughts(text));
  if (!begin) return fail(ErrorCode::invalid_argument, "no JSON object and no array is in it");
  ForgivingReader reader(text, *begin);
  SAMTALE_TRY(auto value, reader.read());
  const auto after = trim(text.substr(reader.at()));
  if (after.starts_with(',') || after.starts_with(']') || after.starts_with('}') ||
      find_object(text, reader.at())) {
    return fail(ErrorCode::invalid_argument,
                "byte " + std::to_string(reader.at()) +
                    ": there is more JSON than one value; which one is meant is not said");
  }
  return value;
}

}  // namespace samtale

// JSON as Samtale reads and writes it: strict in, compact out.
//
// Reading refuses what programs disagree about (RFC 8259 section 4 and 8): duplicate keys, invalid
// UTF-8, lone surrogates, a byte order mark, numbers that a double or a 64-bit integer cannot hold,
// trailing bytes, and nesting deeper than the limit.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace samtale::json {

class Value;
using Array = std::vector<Value>;
// In the order of the document; no key twice.
using Object = std::vector<std::pair<std::string, Value>>;

// A JSON value. Copies are deep.
class Value {
 public:
  Value() = default;  // null
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(int value) : data_(std::int64_t{value}) {}
  Value(std::size_t value) : data_(static_cast<std::int64_t>(value)) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}

  [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  [[nodiscard]] const bool* as_bool() const { return std::get_if<bool>(&data_); }
  [[nodiscard]] const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&data_); }
  // Integers too.
  [[nodiscard]] std::optional<double> as_number() const;
  [[nodiscard]] const std::string* as_string() const { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const Array* as_array() const { return std::get_if<Array>(&data_); }
  [[nodiscard]] const Object* as_object() const { return std::get_if<Object>(&data_); }
  [[nodiscard]] Array* as_array() { return std::get_if<Array>(&data_); }
  [[nodiscard]] Object* as_object() { return std::get_if<Object>(&data_); }

  // The member, or null if this is no object or has no such key.
  [[nodiscard]] const Value* find(std::string_view key) const;
  // The value a JSON pointer (RFC 6901) names, or null.
  [[nodiscard]] const Value* at_pointer(std::string_view pointer) const;
  // Adds or replaces a member; this becomes an object if it was null.
  void set(std::string_view key, Value value);

  // "null", "boolean", "integer", "number", "string", "array" or "object".
  [[nodiscard]] std::string_view type() const;

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

struct ReadLimits {
  std::size_t bytes_max = std::size_t{16} << 20;
  std::size_t depth_max = 64;
  std::size_t members_max = 10'000;  // Of one object.
};

// Errors: invalid_argument, saying what is wrong and at which byte or pointer.
[[nodiscard]] Result<Value> parse(std::string_view text, ReadLimits limits = {});

// Compact, members in their order. Strings are escaped as RFC 8259 asks and no further, so UTF-8
// stays readable; U+2028/2029 and '<' are escaped too, so that the text may stand in a script.
void write(const Value& value, std::string& out);
[[nodiscard]] std::string dump(const Value& value);
[[nodiscard]] std::string dump_pretty(const Value& value);  // Two spaces, for people.
// The same for one string, with its quotes.
void write_string(std::string_view text, std::string& out);

// The same bytes as write() for what is not worth a tree of values, written as it is said:
//   out.object([&] { out.member("id", id); out.key("tags"); out.array([&] { … }); });
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  // The members or items are what `say` writes meanwhile.
  void object(std::invocable auto&& say) { enclose('{', say, '}'); }
  void array(std::invocable auto&& say) { enclose('[', say, ']'); }
  // Precedes its value.
  void key(std::string_view key);
  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(double number);  // Finite.
  void value(std::int64_t number);
  void value(bool flag);
  void value(std::nullptr_t);
  void member(std::string_view name, const auto& its) {
    key(name);
    value(its);
  }

 private:
  void enclose(char open, std::invocable auto&& say, char close) {
    separate();
    out_.push_back(open);
    is_first_ = true;
    say();
    out_.push_back(close);
    is_first_ = false;
  }
  void separate() {
    if (!std::exchange(is_first_, false)) out_.push_back(',');
  }

  std::string& out_;
  bool is_first_ = true;  // Nothing that a comma parts from the next.
};

// Canonical: object members sorted by key bytes (for hashes and byte equality).
[[nodiscard]] std::string dump_sorted(const Value& value);

// Escapes one reference token of a JSON pointer (RFC 6901 section 3): "~" and "/".
[[nodiscard]] std::string pointer_token(std::string_view key);

}  // namespace samtale::json

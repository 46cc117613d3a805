#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "json/json.h"

namespace samtale::json {
namespace {

namespace dom = simdjson::dom;

// Copies the parsed document into values of ours and finds what simdjson lets pass: duplicate keys.
class Reader {
 public:
  explicit Reader(std::size_t members_max) : members_max_(members_max) {}

  Result<Value> read(const dom::element& element) {
    switch (element.type()) {
      case dom::element_type::OBJECT:
        return read_object(element.get_object());
      case dom::element_type::ARRAY:
        return read_array(element.get_array());
      case dom::element_type::STRING:
        return Value(std::string_view(element.get_string()));
      case dom::element_type::INT64:
        return Value(std::int64_t{element.get_int64()});
      case dom::element_type::DOUBLE:
        return Value(double{element.get_double()});
      case dom::element_type::BOOL:
        return Value(bool{element.get_bool()});
      case dom::element_type::NULL_VALUE:
        return Value();
      case dom::element_type::UINT64:
        return fail(ErrorCode::invalid_argument,
                    "number at " + where() + " is above 9223372036854775807; send it as a string");
    }
    return fail(ErrorCode::invalid_argument, "unknown kind of value at " + where());
  }

 private:
  Result<Value> read_object(const dom::object& members) {
    // simdjson counts up to 2^24 - 1; the count is there before anything is copied.
    if (members.size() > members_max_) {
      return fail(ErrorCode::invalid_argument,
                  "object at " + where() + " of " + std::to_string(members.size()) +
                      " members; the limit is " + std::to_string(members_max_));
    }
    Object object;
    object.reserve(members.size());
    for (const auto member : members) {
      steps_.push_back({.key = member.key, .index = {}});
      SAMTALE_TRY(auto value, read(member.value));
      object.emplace_back(member.key, std::move(value));
      steps_.pop_back();
    }
    std::vector<std::string_view> keys;
    keys.reserve(object.size());
    for (const auto& [key, value] : object) keys.push_back(key);
    std::ranges::sort(keys);
    if (const auto twice = std::ranges::adjacent_find(keys); twice != keys.end()) {
      return fail(ErrorCode::invalid_argument,
                  "duplicate key at " + where() + ": " + dump(Value(twice->substr(0, 80))));
    }
    return Value(std::move(object));
  }

  Result<Value> read_array(const dom::array& items) {
    Array array;
    array.reserve(items.size());
    for (const auto item : items) {
      // Vectors are long, and nothing can be wrong with one of its numbers.
      if (item.type() == dom::element_type::DOUBLE) {
        array.emplace_back(double{item.get_double()});
        continue;
      }
      steps_.push_back({.key = {}, .index = array.size()});
      SAMTALE_TRY(auto value, read(item));
      array.push_back(std::move(value));
      steps_.pop_back();
    }
    return Value(std::move(array));
  }

  // From the top level to what is being read: a pointer (RFC 6901) is made of it only to be told.
  struct Step {
    std::string_view key;
    std::optional<std::size_t> index;
  };

  [[nodiscard]] std::string where() const {
    if (steps_.empty()) return "the top level";
    std::string pointer;
    for (const auto& [key, index] : steps_) {
      pointer += "/" + (index ? std::to_string(*index) : pointer_token(key));
    }
    return pointer.substr(0, 200);
  }

  const std::size_t members_max_;
  std::vector<Step> steps_;
};

std::string explain(simdjson::error_code error, const ReadLimits& limits) {
  switch (error) {
    case simdjson::EMPTY:
      return "empty where JSON was expected";
    case simdjson::UTF8_ERROR:
      return "invalid UTF-8";
    case simdjson::DEPTH_ERROR:
      return "nested deeper than " + std::to_string(limits.depth_max) + " levels";
    case simdjson::NUMBER_ERROR:
      return "a number that is malformed or out of range; send large ids as strings";
    case simdjson::STRING_ERROR:
      return "a string with a bad escape or a lone surrogate";
    case simdjson::UNCLOSED_STRING:
      return "a string that is not closed";
    default:
      return "not valid JSON";
  }
}

}  // namespace

Result<Value> parse(std::string_view text, ReadLimits limits) {
  if (text.size() > limits.bytes_max) {
    return fail(ErrorCode::invalid_argument, "JSON of " + std::to_string(text.size()) +
                                                 " bytes; the limit is " +
                                                 std::to_string(limits.bytes_max));
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    return fail(ErrorCode::invalid_argument, "JSON begins with a byte order mark; remove it");
  }
  // One parser a thread keeps its buffers for the next document, up to a size worth keeping.
  constexpr std::size_t kKeepBytes = std::size_t{1} << 20;
  thread_local dom::parser parser;
  dom::parser large;
  auto& used = text.size() <= kKeepBytes ? parser : large;
  if (used.capacity() < text.size() || used.max_depth() != limits.depth_max) {
    if (used.allocate(std::max<std::size_t>(text.size(), 4096), limits.depth_max)) {
      return fail(ErrorCode::unavailable, "no memory to parse JSON");
    }
  }
  dom::element root;
  const auto error = used.parse(text.data(), text.size()).get(root);
  if (error) return fail(ErrorCode::invalid_argument, explain(error, limits));
  return Reader(limits.members_max).read(root);
}

}  // namespace samtale::json

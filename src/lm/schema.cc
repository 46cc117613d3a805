// Checking a value against a schema. The compiler has bounded what one step can lead to; the steps
// are counted here, because schemas of anyOf in anyOf would else take exponential time.
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lm/answer.h"
#include "lm/schema_compiler.h"

namespace samtale {
namespace {

constexpr std::size_t kMistakesMax = 5;
constexpr std::size_t kStepsMax = 20'000'000;  // A tenth of a second or so.
constexpr std::size_t kPointerBytesMax = 200;  // A model chooses the names in it.

// 1 and 1.0 are the same number to a schema, and members have no order.
bool same(const json::Value& a, const json::Value& b) {
  if (const auto number = a.as_number()) {
    // As integers where both are: a double does not tell large ones apart.
    if (a.as_int() != nullptr && b.as_int() != nullptr) return *a.as_int() == *b.as_int();
    return number == b.as_number();
  }
  if (const auto* array = a.as_array()) {
    const auto* other = b.as_array();
    return other != nullptr && std::ranges::equal(*array, *other, same);
  }
  if (const auto* object = a.as_object()) {
    const auto* other = b.as_object();
    if (other == nullptr || other->size() != object->size()) return false;
    return std::ranges::all_of(*object, [&](const auto& member) {
      const auto* found = b.find(member.first);
      return found != nullptr && same(member.second, *found);
    });
  }
  return a == b;
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string short_number(double number) {
  return json::dump(number == std::floor(number) && std::abs(number) < 1e15
                        ? json::Value(static_cast<std::int64_t>(number))
                        : json::Value(number));
}

class Checker {
 public:
  bool check(const SchemaNode& node, const json::Value& value) {
    if (!spend(1)) return false;
    if (node.is_never) return wrong("is not allowed");
    if (node.target != nullptr) return check(*node.target, value);
    if (node.types != 0 && !has_type(node.types, value)) {
      return wrong("must be " + type_names(node.types) + ", is " + std::string(value.type()));
    }
    bool good = true;
    if (node.has_allowed) good = check_allowed(node, value) && good;
    if (const auto number = value.as_number()) good = check_number(node, *number) && good;
    if (const auto* text = value.as_string()) good = check_string(node, *text) && good;
    if (const auto* array = value.as_array()) good = check_array(node, *array) && good;
    if (const auto* object = value.as_object()) good = check_object(node, value, *object) && good;
    if (!node.any_of.empty()) good = check_any_of(node, value) && good;
    return good;
  }

  [[nodiscard]] std::string mistakes() const {
    std::string out;
    for (const auto& mistake : mistakes_) out += (out.empty() ? "" : "; ") + mistake;
    return out;
  }

 private:
  // False if there are none left: then nothing more is looked at.
  bool spend(std::size_t steps) {
    if (steps_left_ == 0) return false;
    steps_left_ -= std::min(steps, steps_left_);
    if (steps_left_ > 0) return true;
    mistakes_.assign({"too large to be checked against this schema"});
    return false;
  }

  bool wrong(std::string_view what) {
    if (is_quiet_ || mistakes_.size() >= kMistakesMax) return false;
    auto at = std::string(shown(pointer_));
    if (at.size() > kPointerBytesMax) {
      auto end = kPointerBytesMax;
      while ((static_cast<unsigned char>(at[end]) & 0xC0U) == 0x80U) --end;
      at = at.substr(0, end) + "…";
    }
    mistakes_.push_back(at + ": " + std::string(what));
    return false;
  }

  static bool has_type(std::uint8_t types, const json::Value& value) {
    if ((types & type_bit(value.type())) != 0) return true;
    const auto number = value.as_number();
    if (!number) return false;
    if ((types & type_bit("number")) != 0) return true;
    return (types & type_bit("integer")) != 0 && *number == std::floor(*number);
  }

  bool check_allowed(const SchemaNode& node, const json::Value& value) {
    if (!spend(node.allowed.size())) return false;
    if (std::ranges::any_of(node.allowed, [&](const auto& one) { return same(one, value); })) {
      return true;
    }
    constexpr std::size_t kListed = 20;
    std::string list;
    for (std::size_t i = 0; i < std::min(kListed, node.allowed.size()); ++i) {
      list += (i == 0 ? "" : ", ") + json::dump(node.allowed[i]);
    }
    if (node.allowed.size() > kListed) list += ", …";
    return wrong("must be one of " + list);
  }

  bool check_number(const SchemaNode& node, double number) {
    if (number < node.minimum) return wrong("must be at least " + short_number(node.minimum));
    if (number > node.maximum) return wrong("must be at most " + short_number(node.maximum));
    if (number <= node.above) return wrong("must be more than " + short_number(node.above));
    if (number >= node.below) return wrong("must be less than " + short_number(node.below));
    return true;
  }

  bool check_string(const SchemaNode& node, const std::string& text) {
    const auto length = code_points(text);
    if (length < node.length_min) {
      return wrong("must have at least " + std::to_string(node.length_min) + " characters");
    }
    if (length > node.length_max) {
      return wrong("must have at most " + std::to_string(node.length_max) + " characters");
    }
    if (node.pattern == nullptr) return true;
    if (!spend(text.size())) return false;
    if (re2::RE2::PartialMatch(text, *node.pattern)) return true;
    return wrong("must match " + node.pattern->pattern());
  }

  bool check_array(const SchemaNode& node, const json::Array& array) {
    bool good = true;
    if (array.size() < node.items_min) {
      good = wrong("must have at least " + std::to_string(node.items_min) + " items");
    }
    if (array.size() > node.items_max) {
      good = wrong("must have at most " + std::to_string(node.items_max) + " items");
    }
    if (node.items == nullptr) return good;
    for (std::size_t i = 0; i < array.size(); ++i) {
      good = check_part(std::to_string(i), *node.items, array[i]) && good;
      if (is_done(good)) return false;
    }
    return good;
  }

  bool check_object(const SchemaNode& node, const json::Value& value, const json::Object& object) {
    if (!spend(node.required.size() * object.size())) return false;
    bool good = true;
    for (const auto& name : node.required) {
      if (value.find(name) == nullptr) {
        good = wrong("\"" + name + "\" is missing");
        if (is_done(good)) return false;
      }
    }
    for (const auto& [name, member] : object) {
      const auto found = node.properties.find(name);
      const auto* schema = found == node.properties.end() ? node.additional : found->second;
      if (schema == nullptr) continue;
      good = check_part(json::pointer_token(name), *schema, member) && good;
      if (is_done(good)) return false;
    }
    return good;
  }

  bool check_part(const std::string& token, const SchemaNode& node, const json::Value& value) {
    const auto length = pointer_.size();
    pointer_ += "/" + token;
    const bool good = check(node, value);
    pointer_.resize(length);
    return good;
  }

  bool check_any_of(const SchemaNode& node, const json::Value& value) {
    const SchemaNode* fitting = nullptr;  // The only one of the value's type.
    std::size_t fitting_count = 0;
    const bool was_quiet = std::exchange(is_quiet_, true);
    bool good = false;
    for (const auto* one : node.any_of) {
      good = check(*one, value);
      if (good || steps_left_ == 0) break;
      const auto* schema = one;
      while (schema->target != nullptr) schema = schema->target;
      if (schema->is_never || (schema->types != 0 && !has_type(schema->types, value))) continue;
      fitting = one;
      ++fitting_count;
    }
    is_quiet_ = was_quiet;
    if (good || steps_left_ == 0 || is_quiet_) return good;
    // Once more, to say what is wrong with it.
    if (fitting_count == 1) return check(*fitting, value);
    return wrong("is none of the " + std::to_string(node.any_of.size()) + " that anyOf allows");
  }

  // Nothing more can be learnt.
  [[nodiscard]] bool is_done(bool good) const {
    return !good && (is_quiet_ || mistakes_.size() >= kMistakesMax || steps_left_ == 0);
  }

  std::string pointer_;
  std::vector<std::string> mistakes_;
  std::size_t steps_left_ = kStepsMax;
  bool is_quiet_ = false;
};

}  // namespace

class JsonSchema::Compiled {
 public:
  SchemaTree tree;
};

JsonSchema::JsonSchema(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

Result<JsonSchema> JsonSchema::compile(const json::Value& schema) {
  SAMTALE_TRY(auto tree, compile_schema(schema));
  return JsonSchema(std::make_unique<Compiled>(std::move(tree)));
}

Result<> JsonSchema::validate(const json::Value& value) const {
  Checker checker;
  if (checker.check(*compiled_->tree.root, value)) return {};
  return fail(ErrorCode::invalid_argument, checker.mistakes());
}

}  // namespace samtale

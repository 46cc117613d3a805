#include "lm/schema_compiler.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

namespace samtale {
namespace {

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kNodesMax = 2000;
constexpr std::size_t kPatternBytesMax = 200;
// Of a compiled expression and its automaton; RE2 falls back to slower matching in less memory.
constexpr std::int64_t kPatternMemory = std::int64_t{1} << 20;
// Schemas that one value has to pass one after the other ($ref and anyOf), so that checking needs a
// bounded stack.
constexpr std::size_t kChainMax = 32;

constexpr std::array<std::string_view, 7> kTypes = {"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};

// Say something of a schema and forbid nothing; "format" is one of them in draft 7.
constexpr std::array<std::string_view, 10> kAnnotations = {
    "$schema",  "$comment", "title",    "description", "default",
    "examples", "format",   "readOnly", "writeOnly",   "deprecated"};

bool is_annotation(std::string_view keyword) {
  return std::ranges::find(kAnnotations, keyword) != kAnnotations.end();
}

class SchemaCompiler {
 public:
  Result<SchemaTree> compile(const json::Value& schema) {
    SAMTALE_TRY(tree_.root, add(schema, "", 1));
    for (const auto& [node, pointer] : references_) {
      const auto found = by_pointer_.find(pointer.second);
      if (found == by_pointer_.end()) {
        return wrong(pointer.first, "there is no schema at #" + pointer.second);
      }
      node->target = found->second;
    }
    for (const auto& node : tree_.nodes) SAMTALE_TRY_VOID(chain_from(*node));
    return std::move(tree_);
  }

 private:
  using Made = Result<const SchemaNode*>;

  static std::unexpected<Error> wrong(std::string_view pointer, std::string_view what) {
    return fail(ErrorCode::invalid_argument,
                "schema: " + std::string(shown(pointer)) + ": " + std::string(what));
  }

  Result<> count(std::size_t nodes, const std::string& pointer) {
    count_ += nodes;
    if (count_ <= kNodesMax) return {};
    return wrong(pointer, "more than " + std::to_string(kNodesMax) + " nodes");
  }

  Made add(const json::Value& schema, const std::string& pointer, std::size_t depth) {
    if (depth > kDepthMax) {
      return wrong(pointer, "deeper than " + std::to_string(kDepthMax) + " schemas");
    }
    SAMTALE_TRY_VOID(count(1, pointer));
    auto& node = *tree_.nodes.emplace_back(std::make_unique<SchemaNode>());
    by_pointer_.emplace(pointer, &node);
    if (const auto* allowed = schema.as_bool()) {
      node.is_never = !*allowed;
      return &node;
    }
    const auto* object = schema.as_object();
    if (object == nullptr) return wrong(pointer, "a schema is an object, true or false");
    const auto* reference = schema.find("$ref");
    if (reference != nullptr) SAMTALE_TRY_VOID(refer(node, *reference, pointer));
    for (const auto& [keyword, value] : *object) {
      const auto at = pointer + "/" + json::pointer_token(keyword);
      // "$id" changes what other pointers mean, unless it names the whole.
      if (is_annotation(keyword) || keyword == "$ref" || (keyword == "$id" && depth == 1)) continue;
      if (keyword == "$defs" || keyword == "definitions") {
        SAMTALE_TRY_VOID(take_schemas(nullptr, value, at, depth));
        continue;
      }
      if (reference != nullptr) return wrong(at, "stands beside a $ref, where draft 7 ignores it");
      SAMTALE_TRY_VOID(take(node, keyword, value, at, depth));
    }
    return &node;
  }

  Result<> refer(SchemaNode& node, const json::Value& reference, const std::string& pointer) {
    const auto* text = reference.as_string();
    if (text == nullptr || !text->starts_with('#') || text->contains('%')) {
      return wrong(pointer + "/$ref", "must be # or #/ and the way to a schema of this document");
    }
    references_.push_back({&node, {pointer + "/$ref", text->substr(1)}});
    return {};
  }

  Result<> take(SchemaNode& node, std::string_view keyword, const json::Value& value,
                const std::string& at, std::size_t depth) {
    if (keyword == "type") return take_type(node, value, at);
    if (keyword == "enum" || keyword == "const") return take_allowed(node, keyword, value, at);
    if (keyword == "properties") return take_schemas(&node, value, at, depth);
    if (keyword == "required") return take_required(node, value, at);
    if (keyword == "additionalProperties") return take_schema(node.additional, value, at, depth);
    if (keyword == "items") return take_schema(node.items, value, at, depth);
    if (keyword == "anyOf") return take_any_of(node, value, at, depth);
    if (keyword == "pattern") return take_pattern(node, value, at);
    if (keyword == "minimum") return take_number(node.minimum, value, at);
    if (keyword == "maximum") return take_number(node.maximum, value, at);
    if (keyword == "exclusiveMinimum") return take_number(node.above, value, at);
    if (keyword == "exclusiveMaximum") return take_number(node.below, value, at);
    if (keyword == "minLength") return take_count(node.length_min, value, at);
    if (keyword == "maxLength") return take_count(node.length_max, value, at);
    if (keyword == "minItems") return take_count(node.items_min, value, at);
    if (keyword == "maxItems") return take_count(node.items_max, value, at);
    return wrong(at, "is no keyword that is checked here; say it otherwise or leave it out");
  }

  Result<> take_schema(const SchemaNode*& place, const json::Value& value, const std::string& at,
                       std::size_t depth) {
    SAMTALE_TRY(place, add(value, at, depth + 1));
    return {};
  }

  // Of "properties", or only to be referred to if `node` is null.
  Result<> take_schemas(SchemaNode* node, const json::Value& value, const std::string& at,
                        std::size_t depth) {
    const auto* object = value.as_object();
    if (object == nullptr) return wrong(at, "must be an object of schemas");
    for (const auto& [name, schema] : *object) {
      SAMTALE_TRY(const auto* made, add(schema, at + "/" + json::pointer_token(name), depth + 1));
      if (node != nullptr) node->properties.emplace(name, made);
    }
    return {};
  }

  Result<> take_any_of(SchemaNode& node, const json::Value& value, const std::string& at,
                       std::size_t depth) {
    const auto* array = value.as_array();
    if (array == nullptr || array->empty()) return wrong(at, "must be an array of schemas");
    for (std::size_t i = 0; i < array->size(); ++i) {
      SAMTALE_TRY(const auto* made, add((*array)[i], at + "/" + std::to_string(i), depth + 1));
      node.any_of.push_back(made);
    }
    return {};
  }

  Result<> take_type(SchemaNode& node, const json::Value& value, const std::string& at) {
    const auto add_type = [&](const json::Value& name) -> Result<> {
      const auto bit = name.as_string() == nullptr ? std::uint8_t{0} : type_bit(*name.as_string());
      if (bit == 0) return wrong(at, "must be a type of JSON, or an array of them");
      node.types = static_cast<std::uint8_t>(node.types | bit);
      return {};
    };
    const auto* names = value.as_array();
    if (names == nullptr) return add_type(value);
    if (names->empty()) return wrong(at, "names no type");
    for (const auto& name : *names) SAMTALE_TRY_VOID(add_type(name));
    return {};
  }

  Result<> take_allowed(SchemaNode& node, std::string_view keyword, const json::Value& value,
                        const std::string& at) {
    if (node.has_allowed) return wrong(at, "stands beside the other of enum and const");
    node.has_allowed = true;
    if (keyword == "const") {
      node.allowed.push_back(value);
    } else {
      const auto* values = value.as_array();
      if (values == nullptr || values->empty()) return wrong(at, "must be an array of values");
      node.allowed = *values;
    }
    for (const auto& one : node.allowed) SAMTALE_TRY_VOID(count(parts(one), at));
    return {};
  }

  // A value and all that lies in it. As deep as the reader of JSON lets it be.
  static std::size_t parts(const json::Value& value) {
    std::size_t sum = 1;
    if (const auto* array = value.as_array()) {
      for (const auto& item : *array) sum += parts(item);
    } else if (const auto* object = value.as_object()) {
      for (const auto& [name, member] : *object) sum += parts(member);
    }
    return sum;
  }

  Result<> take_required(SchemaNode& node, const json::Value& value, const std::string& at) {
    const auto* names = value.as_array();
    if (names == nullptr) return wrong(at, "must be an array of names");
    SAMTALE_TRY_VOID(count(names->size(), at));
    for (const auto& name : *names) {
      if (name.as_string() == nullptr) return wrong(at, "must be an array of names");
      node.required.push_back(*name.as_string());
    }
    return {};
  }

  static Result<> take_pattern(SchemaNode& node, const json::Value& value, const std::string& at) {
    const auto* text = value.as_string();
    if (text == nullptr) return wrong(at, "must be a string");
    if (text->size() > kPatternBytesMax) {
      return wrong(at, "is longer than " + std::to_string(kPatternBytesMax) + " bytes");
    }
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_max_mem(kPatternMemory);
    auto pattern = std::make_unique<re2::RE2>(*text, options);
    // Look-around and back references are what RE2 leaves out to match in linear time.
    if (!pattern->ok()) return wrong(at, "is no regular expression of RE2: " + pattern->error());
    node.pattern = std::move(pattern);
    return {};
  }

  static Result<> take_number(double& place, const json::Value& value, const std::string& at) {
    const auto number = value.as_number();
    if (!number) return wrong(at, "must be a number");
    place = *number;
    return {};
  }

  static Result<> take_count(std::size_t& place, const json::Value& value, const std::string& at) {
    constexpr double kMost = 1e15;  // A double counts so far.
    const auto number = value.as_number();
    if (!number || *number < 0 || *number > kMost ||
        *number != static_cast<double>(static_cast<std::size_t>(*number))) {
      return wrong(at, "must be a whole number, and not negative");
    }
    place = static_cast<std::size_t>(*number);
    return {};
  }

  // How many schemas the same value meets from here on. Errors: round and round, or too many.
  Result<std::size_t> chain_from(const SchemaNode& node) {
    constexpr std::size_t kUnderWay = 0;
    if (const auto [known, is_new] = chains_.try_emplace(&node, kUnderWay); !is_new) {
      if (known->second == kUnderWay) return wrong("", "a $ref leads back to itself");
      return known->second;
    }
    std::size_t longest = 1;
    const auto follow = [&](const SchemaNode& next) -> Result<> {
      SAMTALE_TRY(const auto length, chain_from(next));
      longest = std::max(longest, length + 1);
      if (longest <= kChainMax) return {};
      return wrong("", "more than " + std::to_string(kChainMax) + " of $ref and anyOf in a chain");
    };
    if (node.target != nullptr) SAMTALE_TRY_VOID(follow(*node.target));
    for (const auto* one : node.any_of) SAMTALE_TRY_VOID(follow(*one));
    chains_[&node] = longest;
    return longest;
  }

  SchemaTree tree_;
  std::size_t count_ = 0;
  std::unordered_map<std::string, const SchemaNode*> by_pointer_;
  // Whose they are, where they stand and where they lead.
  std::vector<std::pair<SchemaNode*, std::pair<std::string, std::string>>> references_;
  std::unordered_map<const SchemaNode*, std::size_t> chains_;
};

}  // namespace

std::uint8_t type_bit(std::string_view name) {
  const auto* found = std::ranges::find(kTypes, name);
  if (found == kTypes.end()) return 0;
  return static_cast<std::uint8_t>(1U << (found - kTypes.begin()));
}

std::string type_names(std::uint8_t types) {
  std::string out;
  for (const auto name : kTypes) {
    if ((types & type_bit(name)) == 0) continue;
    if (!out.empty()) out += " or ";
    out += name;
  }
  return out;
}

std::string_view shown(std::string_view pointer) { return pointer.empty() ? "(whole)" : pointer; }

Result<SchemaTree> compile_schema(const json::Value& schema) {
  return SchemaCompiler().compile(schema);
}

}  // namespace samtale

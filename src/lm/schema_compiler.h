// SchemaNode: a JSON Schema taken apart once, so that checking a value looks nothing up by name.
#pragma once

#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace samtale {

struct SchemaNode {
  bool is_never = false;     // The schema `false`.
  std::uint8_t types = 0;    // Bits of type_bit(); 0: any.
  bool has_allowed = false;  // "enum" or "const" was there: only these.
  std::vector<json::Value> allowed;

  std::map<std::string, const SchemaNode*, std::less<>> properties;
  std::vector<std::string> required;
  const SchemaNode* additional = nullptr;  // Null: any value.
  const SchemaNode* items = nullptr;

  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  double above = -std::numeric_limits<double>::infinity();  // exclusiveMinimum
  double below = std::numeric_limits<double>::infinity();
  std::size_t length_min = 0;  // In code points.
  std::size_t length_max = std::numeric_limits<std::size_t>::max();
  std::size_t items_min = 0;
  std::size_t items_max = std::numeric_limits<std::size_t>::max();
  std::unique_ptr<re2::RE2> pattern;

  std::vector<const SchemaNode*> any_of;
  const SchemaNode* target = nullptr;  // Of $ref; then nothing else is set.
};

struct SchemaTree {
  std::vector<std::unique_ptr<SchemaNode>> nodes;
  const SchemaNode* root = nullptr;
};

// 0 if there is no such type.
[[nodiscard]] std::uint8_t type_bit(std::string_view name);
// "string or null".
[[nodiscard]] std::string type_names(std::uint8_t types);
// A JSON pointer as people read it: the whole document's is empty.
[[nodiscard]] std::string_view shown(std::string_view pointer);

// What is not understood is refused, so that nobody relies on a keyword that nobody checks. Errors:
// see JsonSchema::compile.
[[nodiscard]] Result<SchemaTree> compile_schema(const json::Value& schema);

}  // namespace samtale

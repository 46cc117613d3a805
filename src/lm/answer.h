// From the text a model wrote to a value that can be trusted in its shape.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"

namespace samtale {

// A compiled JSON Schema (draft 7, the part that OpenAI's structured outputs take: type, enum,
// const, properties, required, additionalProperties, items, min/max of numbers, lengths and items,
// pattern, anyOf, $ref to a schema of the same document). Nothing is ever fetched: a $ref elsewhere
// is an error, and so is a keyword that would not be checked. "format" is an annotation. 1.0 is an
// integer, so read one with as_number(). Patterns are RE2's: no look-around, and time linear in the
// text. Threads: any.
class JsonSchema {
 public:
  // Errors: invalid_argument, by JSON pointer: not a schema, or one that may not be had (depth over
  // 16, more than 2,000 nodes, a regular expression longer than 200, a $ref that leads to itself).
  [[nodiscard]] static Result<JsonSchema> compile(const json::Value& schema);
  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;
  ~JsonSchema();

  // invalid_argument, with up to five mistakes by JSON pointer.
  [[nodiscard]] Result<> validate(const json::Value& value) const;

 private:
  class Compiled;
  explicit JsonSchema(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

// Reads JSON out of what a model wrote: as it stands; out of a fence or the prose around it; with
// trailing commas, comments, single quotes, unquoted keys, Python's True/None, raw line ends in
// strings or smart quotes put right, and after a model's <think>. Never closes what was cut off (a
// truncated answer is no answer), never guesses a value, nor which of two objects is meant. Linear
// in the text. Errors: invalid_argument, saying where it stops being JSON.
[[nodiscard]] Result<json::Value> read_model_json(std::string_view text);

}  // namespace samtale

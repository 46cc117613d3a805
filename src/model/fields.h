// Fields: reads a JSON request and collects everything that is wrong with it, by JSON pointer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/conversation.h"

namespace samtale {

// Reads the members of one object; what is not asked for is an unknown field, and a mistake.
class Fields {
 public:
  // `object` must outlive this. `pointer` is where it stands in the document.
  explicit Fields(const json::Value& object, std::string pointer = "");

  [[nodiscard]] std::optional<std::string> string(std::string_view key);
  [[nodiscard]] std::optional<double> number(std::string_view key);
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t least,
                                                    std::int64_t most);
  [[nodiscard]] std::optional<bool> boolean(std::string_view key);
  [[nodiscard]] std::optional<WallTime> time(std::string_view key);
  [[nodiscard]] std::vector<std::string> strings(std::string_view key);
  // One string, or {"in": […]}.
  [[nodiscard]] std::vector<std::string> any_of(std::string_view key);
  [[nodiscard]] std::vector<float> floats(std::string_view key);
  [[nodiscard]] const json::Value* object(std::string_view key);
  [[nodiscard]] const json::Array* array(std::string_view key);

  void mistake(std::string_view key, std::string_view rule, const json::Value* got = nullptr);
  void add_mistakes(const Fields& other);

  // All mistakes in one invalid_argument, unknown fields among them; call last.
  [[nodiscard]] Result<> done();

  // The rule for one value of any_of, usable for members of a nested object.
  [[nodiscard]] std::vector<std::string> values_of(const json::Value& value, std::string_view key);

 private:
  const json::Value* take(std::string_view key);

  const json::Value& object_;
  const std::string pointer_;
  std::vector<std::string> known_;
  std::vector<std::string> mistakes_;
};

}  // namespace samtale

#include "model/fields.h"

#include <algorithm>
#include <cmath>

namespace samtale {

Fields::Fields(const json::Value& object, std::string pointer)
    : object_(object), pointer_(std::move(pointer)) {
  if (object_.as_object() == nullptr) {
    mistakes_.push_back((pointer_.empty() ? std::string("the body") : pointer_) +
                        ": must be an object; got " + std::string(object_.type()));
  }
}

const json::Value* Fields::take(std::string_view key) {
  known_.emplace_back(key);
  const auto* value = object_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void Fields::mistake(std::string_view key, std::string_view rule, const json::Value* got) {
  auto text = pointer_ + "/" + json::pointer_token(key) + ": " + std::string(rule);
  if (got != nullptr) {
    auto value = json::dump(*got);
    constexpr std::size_t kShown = 80;
    if (value.size() > kShown) value = std::string(got->type());
    text += "; got " + value;
  }
  mistakes_.push_back(std::move(text));
}

std::optional<std::string> Fields::string(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = value->as_string()) return *text;
  mistake(key, "must be a string", value);
  return std::nullopt;
}

std::optional<double> Fields::number(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr) return std::nullopt;
  const auto number = value->as_number();
  if (!number) mistake(key, "must be a number", value);
  return number;
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t least,
                                            std::int64_t most) {
  const auto* value = take(key);
  if (value == nullptr) return std::nullopt;
  const auto* number = value->as_int();
  if (number != nullptr && *number >= least && *number <= most) return *number;
  mistake(key, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most),
          value);
  return std::nullopt;
}

std::optional<bool> Fields::boolean(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = value->as_bool()) return *flag;
  mistake(key, "must be true or false", value);
  return std::nullopt;
}

std::optional<WallTime> Fields::time(std::string_view key) {
  const auto text = string(key);
  if (!text) return std::nullopt;
  const auto parsed = parse_time(*text);
  if (!parsed) {
    const json::Value got(*text);
    mistake(key, "must be a time as in RFC 3339, like \"2026-11-23T08:00:00Z\"", &got);
  }
  return parsed;
}

std::vector<std::string> Fields::strings(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr) return {};
  std::vector<std::string> texts;
  const auto* array = value->as_array();
  const bool fits = array != nullptr && std::ranges::all_of(*array, [&](const json::Value& item) {
                      if (item.as_string() != nullptr) texts.push_back(*item.as_string());
                      return item.as_string() != nullptr;
                    });
  if (!fits) mistake(key, "must be an array of strings", value);
  return texts;
}

std::vector<std::string> Fields::values_of(const json::Value& value, std::string_view key) {
  const auto as_text = [](const json::Value& item) -> std::optional<std::string> {
    if (const auto* text = item.as_string()) return *text;
    if (item.as_bool() != nullptr || item.as_number()) return json::dump(item);
    return std::nullopt;
  };
  if (const auto text = as_text(value)) return {*text};
  const auto* list = value.find("in");
  const auto* array = list == nullptr ? nullptr : list->as_array();
  std::vector<std::string> texts;
  if (array != nullptr && value.as_object()->size() == 1) {
    for (const auto& item : *array) {
      if (const auto text = as_text(item)) texts.push_back(*text);
    }
    if (!texts.empty() && texts.size() == array->size()) return texts;
  }
  mistake(key, "must be a string, or {\"in\":[…]} with at least one", &value);
  return {};
}

std::vector<std::string> Fields::any_of(std::string_view key) {
  const auto* value = take(key);
  return value == nullptr ? std::vector<std::string>{} : values_of(*value, key);
}

std::vector<float> Fields::floats(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr) return {};
  std::vector<float> numbers;
  const auto* array = value->as_array();
  const bool fits = array != nullptr && std::ranges::all_of(*array, [&](const json::Value& item) {
                      const auto number = item.as_number();
                      if (number) numbers.push_back(static_cast<float>(*number));
                      return number && std::isfinite(numbers.back());
                    });
  if (!fits) mistake(key, "must be an array of finite numbers", value);
  return numbers;
}

const json::Value* Fields::object(std::string_view key) {
  const auto* value = take(key);
  if (value != nullptr && value->as_object() == nullptr) {
    mistake(key, "must be an object", value);
    return nullptr;
  }
  return value;
}

const json::Array* Fields::array(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr) return nullptr;
  if (value->as_array() == nullptr) mistake(key, "must be an array", value);
  return value->as_array();
}

void Fields::add_mistakes(const Fields& other) {
  mistakes_.insert(mistakes_.end(), other.mistakes_.begin(), other.mistakes_.end());
}

Result<> Fields::done() {
  if (const auto* members = object_.as_object()) {
    for (const auto& [key, value] : *members) {
      if (std::ranges::find(known_, key) != known_.end()) continue;
      std::string names;
      for (const auto& name : known_) names += (names.empty() ? "" : ", ") + name;
      mistake(key, "is not known here; known are " + names);
    }
  }
  if (mistakes_.empty()) return {};
  constexpr std::size_t kShown = 20;
  std::string all;
  for (std::size_t i = 0; i < std::min(kShown, mistakes_.size()); ++i) {
    all += (i == 0 ? "" : " | ") + mistakes_[i];
  }
  if (mistakes_.size() > kShown) {
    all += " | and " + std::to_string(mistakes_.size() - kShown) + " more";
  }
  return fail(ErrorCode::invalid_argument, std::move(all));
}

}  // namespace samtale

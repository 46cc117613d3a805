#include <algorithm>
#include <charconv>

#include "json/json.h"

namespace samtale::json {

std::optional<double> Value::as_number() const {
  if (const auto* number = std::get_if<double>(&data_)) return *number;
  if (const auto* number = as_int()) return static_cast<double>(*number);
  return std::nullopt;
}

const Value* Value::find(std::string_view key) const {
  const auto* object = as_object();
  if (object == nullptr) return nullptr;
  const auto found = std::ranges::find_if(*object, [&](const auto& m) { return m.first == key; });
  return found == object->end() ? nullptr : &found->second;
}

const Value* Value::at_pointer(std::string_view pointer) const {
  const Value* value = this;
  while (value != nullptr && !pointer.empty()) {
    if (pointer.front() != '/') return nullptr;
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string token;
    for (std::size_t i = 0; i < end; ++i) {
      const bool escaped = pointer[i] == '~' && i + 1 < end;
      token.push_back(!escaped ? pointer[i] : pointer[++i] == '1' ? '/' : '~');
    }
    pointer.remove_prefix(end);
    if (const auto* array = value->as_array()) {
      std::size_t index = 0;
      const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      const bool is_index = error == std::errc() && stop == token.data() + token.size();
      value = is_index && index < array->size() ? &(*array)[index] : nullptr;
    } else {
      value = value->find(token);
    }
  }
  return value;
}

void Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Object{};
  auto& object = std::get<Object>(data_);
  const auto found = std::ranges::find_if(object, [&](const auto& m) { return m.first == key; });
  if (found != object.end()) {
    found->second = std::move(value);
  } else {
    object.emplace_back(key, std::move(value));
  }
}

std::string_view Value::type() const {
  constexpr std::string_view kNames[] = {"null",   "boolean", "integer", "number",
                                         "string", "array",   "object"};
  return kNames[data_.index()];
}

}  // namespace samtale::json

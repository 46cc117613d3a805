// The recorded payloads of testdata/, and small readers for tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "json/json.h"

namespace samtale {

// The bytes of a file of testdata/; empty if there is none, which no test can pass with.
[[nodiscard]] inline std::string payload(std::string_view name) {
  const auto folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "testdata";
  std::ifstream file(folder / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

[[nodiscard]] inline std::string text_of_member(const json::Value& value, std::string_view key) {
  const auto* member = value.find(key);
  return member != nullptr && member->as_string() ? *member->as_string() : std::string();
}

}  // namespace samtale

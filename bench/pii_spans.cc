// Rooms: json pii
// What find_pii finds, for programs that measure it (bench/pii_quality.py): reads a line
// {"text", "names"} a text, and writes a line [[kind, begin, end], …], in bytes.
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "json/json.h"
#include "pii/pii.h"

namespace {

using samtale::json::Array;
using samtale::json::Value;

Value spans_of(const Value& line) {
  const auto* text = line.find("text");
  const auto* list = line.find("names");
  if (text == nullptr || text->as_string() == nullptr) return {};
  std::vector<std::string> names;
  if (list != nullptr && list->as_array() != nullptr) {
    for (const auto& one : *list->as_array()) {
      if (one.as_string() != nullptr) names.push_back(*one.as_string());
    }
  }
  Array spans;
  for (const auto& span : samtale::find_pii(*text->as_string(), names)) {
    spans.push_back(Array{samtale::name(span.kind), span.begin, span.end});
  }
  return spans;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto value = samtale::json::parse(line);
    if (!value) {
      std::fprintf(stderr, "a line is no JSON: %s\n", value.error().message.c_str());
      return 1;
    }
    std::cout << samtale::json::dump(spans_of(*value)) << '\n';
  }
  return 0;
}

// Rooms: analyze json
// What find_manipulation finds, for programs that measure it (bench/manipulation_quality.py): reads
// a line {"text"} a text, and writes a line [[family, begin, end], …], in bytes.
#include <cstdio>
#include <iostream>
#include <string>

#include "analyze/manipulation.h"
#include "json/json.h"

int main() {
  using namespace samtale;
  for (std::string line; std::getline(std::cin, line);) {
    const auto value = json::parse(line);
    const auto* text = value ? value->find("text") : nullptr;
    if (text == nullptr || text->as_string() == nullptr) {
      std::fprintf(stderr, "a line is no JSON object with a \"text\"\n");
      return 1;
    }
    json::Array spans;
    for (const auto& [family, begin, end] : find_manipulation(*text->as_string())) {
      spans.push_back(json::Array{name(family), begin, end});
    }
    std::cout << json::dump(spans) << '\n';
  }
  return 0;
}

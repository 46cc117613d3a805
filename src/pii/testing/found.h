// What was found in a text, as text: for tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pii/pii.h"

namespace samtale {

// "EMAIL jane@example.com", in order.
inline std::vector<std::string> found(std::string_view text,
                                      const std::vector<std::string>& names = {}) {
  std::vector<std::string> all;
  for (const auto& span : find_pii(text, names)) {
    all.push_back(std::string(name(span.kind)) + " " +
                  std::string(text.substr(span.begin, span.end - span.begin)));
  }
  return all;
}

// `text`, over and over, of at least `bytes`.
inline std::string repeated(std::string_view text, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += text;
  return all;
}

}  // namespace samtale

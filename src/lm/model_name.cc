#include "lm/model_name.h"

#include <algorithm>
#include <string>

namespace samtale {
namespace {

// In lower case, without its owner and "latest".
std::string plain_name(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);  // All of it where there is none: npos + 1 is 0.
  std::string plain(name);
  std::ranges::transform(plain, plain.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const std::string_view end : {"-latest", ":latest"}) {
    if (plain.ends_with(end)) plain.resize(plain.size() - end.size());
  }
  return plain;
}

bool is_version(std::string_view text) {
  return text.starts_with('-') || text.starts_with('@') || text.starts_with(':')
             ? text.size() > 1 && text.find_first_not_of("0123456789-.v", 1) == text.npos
             : text.empty();
}

}  // namespace

bool is_model_meant(std::string_view asked, std::string_view answered) {
  if (asked.empty() || answered.empty()) return true;
  const auto meant = plain_name(asked);
  const auto named = plain_name(answered);
  return named.starts_with(meant) && is_version(std::string_view(named).substr(meant.size()));
}

}  // namespace samtale

// The target of a request, taken apart: path and query, percent-decoded exactly once.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace samtale::http {

struct Target {
  std::string_view raw_path;  // Into what was parsed, still encoded: where the router splits it.
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
};

// Takes origin form ("/a?b=c") and absolute form ("http://host/a?b=c").
// Errors: invalid_argument: another form, a fragment, a bad percent sign, "." or ".." as a part of
// the path, NUL, or text that is not UTF-8.
// Source: RFC 9112 section 3.2, RFC 3986 section 3.
[[nodiscard]] Result<Target> parse_target(std::string_view target);

// Errors: as above.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace samtale::http

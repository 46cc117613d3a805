#include "http/target.h"

#include <algorithm>
#include <cstddef>

#include "base/bytes.h"

namespace samtale::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool starts_with_scheme(std::string_view target, std::string_view scheme) {
  return target.size() >= scheme.size() &&
         std::equal(scheme.begin(), scheme.end(), target.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

// "http://host/a?b" -> "/a?b"; a target in origin form as it is.
std::string_view without_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with_scheme(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    const auto end = target.find_first_of("/?");
    return end == std::string_view::npos ? std::string_view("/") : target.substr(end);
  }
  return target;
}

Result<std::string> decode_path(std::string_view raw) {
  std::string path;
  path.reserve(raw.size());
  while (!raw.empty()) {
    raw.remove_prefix(1);  // The slash.
    const auto part = raw.substr(0, raw.find('/'));
    const auto decoded = percent_decode(part, false);
    if (!decoded) return std::unexpected(decoded.error());
    if (*decoded == "." || *decoded == "..") {
      return fail(ErrorCode::invalid_argument, "the path has a dot segment; send it resolved");
    }
    path.append("/").append(*decoded);
    raw.remove_prefix(part.size());
  }
  return path;
}

Result<std::vector<std::pair<std::string, std::string>>> decode_query(std::string_view raw) {
  std::vector<std::pair<std::string, std::string>> query;
  while (!raw.empty()) {
    const auto pair = raw.substr(0, raw.find('&'));
    raw.remove_prefix(std::min(raw.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    SAMTALE_TRY(auto key, percent_decode(pair.substr(0, equals), true));
    SAMTALE_TRY(auto value, percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
    query.emplace_back(std::move(key), std::move(value));
  }
  return query;
}

}  // namespace

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+' && plus_is_space) {
      out.push_back(' ');
    } else if (text[at] != '%') {
      out.push_back(text[at]);
    } else {
      const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
      const int low = high >= 0 ? hex_digit(text[at + 2]) : -1;
      if (low < 0) {
        return fail(ErrorCode::invalid_argument,
                    "the target has a percent sign without two hexadecimal digits");
      }
      out.push_back(static_cast<char>(high * 16 + low));
      at += 2;
    }
  }
  if (out.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "the target has a NUL");
  }
  if (!is_utf8(out)) return fail(ErrorCode::invalid_argument, "the target is not UTF-8");
  return out;
}

Result<Target> parse_target(std::string_view as_sent) {
  const auto target = without_authority(as_sent);
  const bool is_absolute = target.data() != as_sent.data();
  if (target.find('#') != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "the target has a fragment; leave it out");
  }
  const auto question = std::min(target.find('?'), target.size());
  Target out;
  out.raw_path = is_absolute && question == 0 ? std::string_view("/") : target.substr(0, question);
  if (out.raw_path.empty() || out.raw_path.front() != '/') {
    return fail(ErrorCode::invalid_argument, "the target does not begin with a slash");
  }
  SAMTALE_TRY(out.path, decode_path(out.raw_path));
  SAMTALE_TRY(out.query, decode_query(target.substr(std::min(question + 1, target.size()))));
  return out;
}

}  // namespace samtale::http

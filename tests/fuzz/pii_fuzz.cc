// Rooms: base json pii
//
// Any bytes as names and as a text: spans lie in order between code points, masking comes back
// exactly, also of what is masked already and of a mixture of both.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "pii/pii.h"

namespace samtale {
namespace {

void check_spans(std::string_view text, const std::vector<std::string>& names) {
  std::size_t end = 0;
  for (const auto& span : find_pii(text, names)) {
    SAMTALE_CHECK(span.begin >= end && span.begin < span.end, "spans do not overlap");
    end = span.end;
    if (is_utf8(text)) {
      SAMTALE_CHECK(is_utf8(text.substr(span.begin, span.end - span.begin)), "whole code points");
    }
  }
  SAMTALE_CHECK(end <= text.size(), "spans lie in the text");
  const auto redacted = redact(text, names);
  SAMTALE_CHECK(is_utf8(redacted) || !is_utf8(text), "a redacted text is still UTF-8");
}

void check_masking(std::string_view text, const std::vector<std::string>& names) {
  PiiMasker masker(std::string(32, 'k'), names);
  const auto masked = masker.mask(text);
  SAMTALE_CHECK(masker.unmask(masked) == text, "masking comes back exactly");
  const auto twice = masker.mask(masked);
  SAMTALE_CHECK(masker.unmask(twice) == masked, "so does masking of what is masked");
  const auto answer = masked + std::string(text) + twice;
  SAMTALE_CHECK(masker.unmask(masker.mask(answer)) == answer, "and of a mixture");
}

}  // namespace
}  // namespace samtale

// The first line has the names, with a comma between two.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto line = bytes.substr(0, std::min(bytes.find('\n'), bytes.size()));
  bytes.remove_prefix(std::min(line.size() + 1, bytes.size()));
  std::vector<std::string> names;
  for (std::size_t at = 0; at <= line.size() && names.size() < 64;) {
    const auto end = std::min(line.find(',', at), line.size());
    names.emplace_back(line.substr(at, end - at));
    at = end + 1;
  }
  samtale::check_spans(bytes, names);
  samtale::check_masking(bytes, names);
  return 0;
}

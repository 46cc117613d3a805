#include <algorithm>

#include "search/search.h"
#include "text/words.h"

namespace samtale {
namespace {

// The nearest place at or before `at` where a code point begins.
std::size_t code_point_start(std::string_view text, std::size_t at) {
  at = std::min(at, text.size());
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80) {
    --at;
  }
  return at;
}

// The window of `length` bytes with the most hits in it; the first such.
std::size_t best_window(const std::vector<TextRange>& hits, std::size_t length) {
  std::size_t best_begin = 0;
  std::size_t best_count = 0;
  for (std::size_t first = 0, last = 0; first < hits.size(); ++first) {
    last = std::max(last, first);
    while (last < hits.size() && hits[last].end <= hits[first].begin + length) ++last;
    if (last - first > best_count) {
      best_count = last - first;
      best_begin = hits[first].begin;
    }
  }
  return best_begin;
}

}  // namespace

std::vector<SnippetPart> make_snippet(std::string_view text, const std::vector<std::string>& terms,
                                      std::size_t length_max) {
  const auto hits = find_words(text, terms);
  std::size_t begin = 0;
  if (text.size() > length_max && !hits.empty()) {
    constexpr std::size_t kLeadIn = 60;  // So that the first hit has something before it.
    const auto at = best_window(hits, length_max - kLeadIn);
    begin = at > kLeadIn ? code_point_start(text, at - kLeadIn) : 0;
    const auto space = text.find_first_of(" \n", begin);
    if (begin > 0 && space < at) begin = space + 1;
  }
  const auto end = code_point_start(text, begin + length_max);

  std::vector<SnippetPart> parts;
  const auto add = [&parts](std::string_view piece, bool is_hit) {
    if (!piece.empty()) parts.push_back({std::string(piece), is_hit});
  };
  if (begin > 0) add("… ", false);
  std::size_t at = begin;
  for (const auto& hit : hits) {
    if (hit.begin < at || hit.end > end) continue;
    add(text.substr(at, hit.begin - at), false);
    add(text.substr(hit.begin, hit.end - hit.begin), true);
    at = hit.end;
  }
  add(text.substr(at, end - at), false);
  if (end < text.size()) add(" …", false);
  return parts;
}

}  // namespace samtale

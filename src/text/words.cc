#include "text/words.h"

#include <span>
#include <unordered_set>
#include <utility>

#include "text/term.h"
#include "text/word_scanner.h"

namespace samtale {
namespace {

std::string_view between(std::string_view text, std::size_t begin, std::size_t end) {
  return text.substr(begin, end - begin);
}

std::string term_of(std::string_view text, WordPart part) {
  std::string term;
  append_term(between(text, part.begin, part.end), term);
  return term;
}

// The whole of a code: its parts folded, with the connectors between them but for hyphens, so that
// "E-4711" and "E4711" are the same. A word if nothing but letters is left of it ("e-mail"). Empty
// if it is too long for a term.
std::string whole_code(std::string_view text, std::span<const WordPart> parts) {
  std::string whole;
  bool is_word = true;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) {
      const auto connector = between(text, parts[i - 1].end, parts[i].begin);
      if (!is_hyphen(connector)) {
        whole += connector;
        is_word = false;
      }
    }
    append_folded(between(text, parts[i].begin, parts[i].end), whole);
    if (whole.size() > kTermBytesMax) return {};
  }
  if (is_word) stem(whole);
  return whole;
}

}  // namespace

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> terms;
  const auto add = [&terms](std::string term) {
    if (!term.empty()) terms.push_back(std::move(term));
  };
  WordScanner scanner(text);
  while (scanner.next()) {
    for (const auto part : scanner.parts()) add(term_of(text, part));
    if (scanner.is_code()) add(whole_code(text, scanner.parts()));
  }
  return terms;
}

std::vector<TextRange> find_words(std::string_view text, const std::vector<std::string>& terms) {
  std::vector<TextRange> found;
  if (terms.empty()) return found;
  const std::unordered_set<std::string_view> wanted(terms.begin(), terms.end());
  WordScanner scanner(text);
  while (scanner.next()) {
    const auto parts = scanner.parts();
    if (scanner.is_code() && wanted.contains(whole_code(text, parts))) {
      found.push_back({.begin = parts.front().begin, .end = parts.back().end});
      continue;
    }
    for (const auto part : parts) {
      if (wanted.contains(term_of(text, part))) {
        found.push_back({.begin = part.begin, .end = part.end});
      }
    }
  }
  return found;
}

}  // namespace samtale

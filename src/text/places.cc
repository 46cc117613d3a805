#include "text/break_iterator.h"
#include "text/splitter.h"
#include "text/term.h"
#include "text/word_scanner.h"
#include "text/words.h"

namespace samtale {

std::vector<WordPlace> word_places(std::string_view text) {
  std::vector<WordPlace> places;
  WordScanner scanner(text);
  while (scanner.next()) {
    for (const auto& part : scanner.parts()) {
      const auto word = text.substr(part.begin, part.end - part.begin);
      WordPlace place{.range = {part.begin, part.end}, .folded = {}, .term = {}};
      append_folded(word, place.folded);
      if (place.folded.empty()) continue;
      append_term(word, place.term);
      places.push_back(std::move(place));
    }
  }
  return places;
}

std::vector<TextRange> sentences(std::string_view text) {
  std::vector<TextRange> found;
  auto& breaks = BreakIterator::sentences();
  breaks.start(text);
  std::size_t begin = 0;
  while (const auto end = breaks.next()) {
    const auto sentence = trimmed(text.substr(begin, *end - begin));
    begin = *end;
    if (sentence.empty()) continue;
    const auto at = static_cast<std::size_t>(sentence.data() - text.data());
    found.push_back({at, at + sentence.size()});
  }
  return found;
}

}  // namespace samtale

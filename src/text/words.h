// Words: cuts text into the terms that keyword search compares, for Danish and English (other
// languages work, without stemming).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace samtale {

// Case-folded (NFKC_Casefold), cut at word boundaries (UAX #29), accents removed but for æ, ø and å
// (written "ae", "oe" and "aa" become the same term), stemmed (Snowball; Danish or English chosen
// per word, the same for text and query). Numbers and codes ("E-4711", "jane@example.com") are kept
// whole and in parts. Invalid UTF-8 is read as U+FFFD, which belongs to no word. In order, with
// repeats; terms are at most 64 bytes. Stop words are kept: BM25 weighs them down. Threads: any.
[[nodiscard]] std::vector<std::string> words(std::string_view text);

// Where the terms lie: byte ranges of `text` whose term is among those of `query`, in order, not
// overlapping. For highlighting.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};
[[nodiscard]] std::vector<TextRange> find_words(std::string_view text,
                                                const std::vector<std::string>& terms);

// One word as it stands in a text. The parts of a code are words of their own.
struct WordPlace {
  TextRange range;
  std::string folded;  // Whole: NFKC_Casefold, without accents, æ, ø and å as "ae", "oe" and "aa".
  std::string term;    // As words() gives it.
};
[[nodiscard]] std::vector<WordPlace> word_places(std::string_view text);

// Where the sentences lie (UAX #29), without the white space around them; none is empty.
[[nodiscard]] std::vector<TextRange> sentences(std::string_view text);

}  // namespace samtale

// The term of a word: folded, without accents, stemmed. Private to text/.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace samtale {

constexpr std::size_t kTermBytesMax = 64;

// Appends `word` folded: NFKC_Casefold, no accents on Latin and Greek letters, æ, ø and å as "ae",
// "oe" and "aa", apostrophes as "'". Nothing but letters, marks, digits and apostrophes is kept.
// Reads at most the first 256 bytes, more than any term can hold.
void append_folded(std::string_view word, std::string& out);

// The same by ICU alone, for any script; append_folded takes a short cut for the letters of ASCII
// and Latin-1, and must not differ.
void append_folded_by_icu(std::string_view word, std::string& out);

// Stems `folded` in place if it is a word of Latin letters: by the Danish and the English stemmer,
// the shorter of the two (docs/adr/0007-words-and-chunks.md). Takes apostrophes out; cuts it to
// kTermBytesMax between code points.
void stem(std::string& folded);

// The term of one word: append_folded, then stem. Remembers the most recent words of the thread.
void append_term(std::string_view word, std::string& out);

}  // namespace samtale

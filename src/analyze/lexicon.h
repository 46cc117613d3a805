// How words feel, in Danish and English. Private to analyze/.
#pragma once

#include <string_view>

#include "text/words.h"

namespace samtale {

// -4 to 4 (VADER's scale; AFINN's -5 to 5 is brought to it); 0 for a word that is not known. A form
// that is in no lexicon ("dejligt") feels as the forms of the same stem do, where those agree.
[[nodiscard]] float valence(const WordPlace& word, bool is_danish);
// "not", "ikke", "can't": turns what follows.
[[nodiscard]] bool is_negation(std::string_view folded);
// "very", "meget": makes what follows stronger. 1 for other words, less for "slightly".
[[nodiscard]] float boost(std::string_view folded);

}  // namespace samtale

// Common words of Danish and English: those that say little about what a text is about.
#pragma once

#include <string_view>

namespace samtale {

// For a term as text/words.h gives it. The list is part of the model "builtin-1024-v1": changing it
// changes vectors, so it changes the model id.
[[nodiscard]] bool is_common_word(std::string_view term);

}  // namespace samtale

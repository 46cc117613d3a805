// Cuts a long text into pieces that fit. Private to text/.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace samtale {

// Calls `take` with pieces of `text`, in order, each of at most `tokens_max` (> 0) tokens: cut
// between sentences; a sentence that does not fit where a line may be broken; a word that does not
// fit between grapheme clusters; a cluster that does not fit (a thousand accents on one letter)
// between code points. A single code point may cost more than tokens_max. The pieces are all of
// the text but for white space around them; pieces of white space alone are left out.
void split_text(std::string_view text, std::size_t tokens_max,
                const std::function<void(std::string_view)>& take);

// Without the ASCII white space around it.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace samtale

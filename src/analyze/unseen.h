// Characters that a screen does not show. Private to analyze/.
#pragma once

#include <cstddef>
#include <string_view>

namespace samtale {

struct Character {
  char32_t value = 0;
  std::size_t bytes = 1;
};
// Of UTF-8 that is not empty: all text of a conversation is, and what a model wrote was checked
// when it was parsed.
[[nodiscard]] Character first_character(std::string_view text);

// White space, line ends too.
[[nodiscard]] bool is_space(char32_t c);
// Controls, soft hyphens, zero-width and direction marks, and the tag characters that spell hidden
// text.
[[nodiscard]] bool is_unseen(char32_t c);

}  // namespace samtale

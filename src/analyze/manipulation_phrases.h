// The phrases of each family of manipulation. Private to analyze/.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string_view>
#include <vector>

#include "analyze/manipulation.h"

namespace samtale {

struct ManipulationPhrase {
  Manipulation family{};
  // Of the bytes of a folded text; its first group is what to quote.
  std::unique_ptr<const re2::RE2> pattern;
};
// Ordered by family. Compiled once. Threads: any.
[[nodiscard]] const std::vector<ManipulationPhrase>& manipulation_phrases();
// False: no phrase is in the text, found in one pass over it for all of them.
[[nodiscard]] bool may_hold_phrase(std::string_view folded);

}  // namespace samtale

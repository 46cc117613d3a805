// What tries to steer the language model that reads a conversation, found by rules so that people
// can look at it. It changes no other analysis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "analyze/extractive.h"
#include "model/conversation.h"

namespace samtale {

enum class Manipulation : std::uint8_t {
  instruction,  // Tells a model to drop what it was told.
  role,         // Forges a role, a delimiter or a turn of the transcript.
  tool,         // Forges the result of a tool.
  leak,         // Asks for the prompt, or for conversations of others.
  persona,      // Makes the model another one, without rules.
  reader,       // Speaks to the machine that reads along.
  hidden,       // Text that nobody sees, or sees in another order.
  encoded,      // Base64 of one of the above.
};
[[nodiscard]] std::string_view name(Manipulation family);

struct ManipulationSpan {
  Manipulation family{};
  std::size_t begin = 0;  // Bytes; never inside a code point.
  std::size_t end = 0;

  friend bool operator==(const ManipulationSpan&, const ManipulationSpan&) = default;
};

// The first of each family, in the families' order; spans may overlap, and are kSpanBytesMax long
// at the most. Phrases are known in Danish, English, French, German and Spanish; orders to drop
// instructions in ten languages more. What nobody sees parts no phrase. `text` is UTF-8. Linear in
// the text. Threads: any.
inline constexpr std::size_t kSpanBytesMax = 300;
[[nodiscard]] std::vector<ManipulationSpan> find_manipulation(std::string_view text);

// {"findings": [{"family", "turn", "quote"}], "families": {"leak": 1, …}}, of the turns that every
// analysis reads. Counts are of turns. The label is "suspected", if anything was found.
[[nodiscard]] Analysis report_manipulation(const Conversation& conversation);

}  // namespace samtale

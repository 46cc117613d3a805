// What a language model claims, held against what was said.
#pragma once

#include <cstddef>

#include "json/json.h"
#include "model/conversation.h"

namespace samtale {

// A citation is an object with "turn" and "quote": it holds if a person said just that in that turn
// (analyze/transcript.h: find_quote), and its quote is then replaced by the very bytes of the turn.
// A finding is an object with a citation or an array of them in it ("evidence", "sentences"): it
// falls if none of them holds. What falls is removed from the array it is in.
struct Verdict {
  bool holds = true;        // The value itself; false: it is to be dropped whole.
  std::size_t dropped = 0;  // Citations that did not hold.
};
// Linear in the value times the turns it cites. Threads: any.
[[nodiscard]] Verdict hold_against(json::Value& value, const Conversation& conversation);

}  // namespace samtale

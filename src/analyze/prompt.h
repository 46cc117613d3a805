// What a language model is asked, and the schema its answer must have. Private to analyze/.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/analyzer.h"
#include "json/json.h"
#include "lm/chat.h"
#include "model/conversation.h"

namespace samtale {

// All requests about one conversation begin alike, system text and transcript, so that the
// provider's prompt cache serves the later ones; what differs comes last. The scheduler adds the
// nonce.
//
// Asks all the analyzers at once. `transcript` is lines (analyze/transcript.h), or, for a long
// conversation, notes of its segments and the last lines. `language` is what is written in where
// the analyzer does not say.
[[nodiscard]] ChatRequest make_analysis_request(std::string_view transcript, bool has_notes,
                                                std::span<const Analyzer> analyzers,
                                                std::string_view language);
// Asks for the notes of a segment: {"notes": [{"turn", "quote", "says"}]}.
[[nodiscard]] ChatRequest make_notes_request(std::string_view segment);

// The shape of one analyzer's part of the answer.
[[nodiscard]] json::Value answer_schema(const Analyzer& analyzer);

}  // namespace samtale

// The sentences of a conversation with their words, as the analyses read them. Private to analyze/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"
#include "model/conversation.h"
#include "text/words.h"

namespace samtale {

// Memory: lends the text and the role from the conversation.
struct Passage {
  std::uint32_t turn = 0;  // Place in Conversation::turns.
  std::string_view role;
  std::string_view text;
  std::vector<WordPlace> words;
};

// In order, at most kSentencesMax.
[[nodiscard]] std::vector<Passage> read_passages(const Conversation& conversation);

// True for the words that say nothing of what a text is about ("the", "hvordan").
[[nodiscard]] bool is_stop_word(std::string_view folded);

// A sentence as evidence: at most 300 bytes, cut before a word.
[[nodiscard]] std::string_view quote_of(const Passage& passage);
[[nodiscard]] json::Object evidence_of(const Passage& passage);

}  // namespace samtale

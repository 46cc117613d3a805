// Extractive analyses: what a conversation can be asked without a language model. Nothing is
// written anew: what an answer quotes, somebody said, in the turn it names.
//
// Private turns and those of systems and tools are left out: an analysis may be shown to anyone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "embed/embedder.h"
#include "json/json.h"
#include "model/conversation.h"

namespace samtale {

inline constexpr std::string_view kExtractive = "extractive";  // StoredAnalysis::method.

struct Analysis {
  json::Value result;
  std::vector<std::string> labels;  // What the conversation is found and counted by.
  std::optional<double> score;
};

// Turns are counted from 0 in `result`; every "quote" is, byte for byte, part of the text of its
// "turn". Equal input gives equal results. Time and memory are linear in the conversation, the
// first kSentencesMax sentences of it. Threads: any.
inline constexpr std::size_t kSentencesMax = 5000;

// {"title", "sentences": [{"turn", "quote"}]}: up to three central sentences, in the order they
// were said, and the most central one, shortened, as a title. Empty where nobody said anything.
// Source: degree centrality without a threshold (Erkan & Radev 2004, LexRank, section 3.2), less
// what repeats a chosen sentence (Carbonell & Goldstein 1998, MMR).
[[nodiscard]] Analysis summarise(const Conversation& conversation);

// {"label", "score", "sides": [{"role", "label", "score"}], "course": [{"first_turn", "last_turn",
// "score"}], "evidence": [{"turn", "quote", "score"}]}. Scores from -1 to 1, of the words of Danish
// and English lexicons; labels are "negative", "neutral", "positive" and "mixed". The
// conversation's own is that of its customers, of everyone where nobody is one. "course" has the
// first, second and last third of the turns; "score" is null where none of the words are known.
// Source: Hutto & Gilbert 2014 (VADER) for negation, boosters and the scale; AFINN for Danish.
[[nodiscard]] Analysis measure_sentiment(const Conversation& conversation);

// {"topics": [{"name", "score", "evidence": [{"turn", "quote"}]}]}: up to five words or pairs of
// words that stand for this conversation among those of the company. Labels are the names. `words`
// may be null: then all words count as equally rare.
// Source: c-TF-IDF (Grootendorst 2022, BERTopic, section 3.3), a conversation being the class.
[[nodiscard]] Analysis find_topics(const Conversation& conversation, const WordStatistics* words);

}  // namespace samtale

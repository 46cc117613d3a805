#include "analyze/passages.h"

#include <set>

#include "analyze/extractive.h"
#include "analyze/transcript.h"

namespace samtale {
namespace {

constexpr std::size_t kQuoteBytesMax = 300;

// Function words, greetings and the small talk of support, folded ("å" is "aa").
constexpr std::string_view kStopWords =
    "a about above after again against ain't all also am an and any anyone anything are aren't as "
    "at be because been before being below between both but by bye can can't cannot come could "
    "couldn't did didn't do does doesn't doing don't done down during each else ever every "
    "everything few for from further get gets getting give go goes going good gonna got great had "
    "hadn't has hasn't have haven't having he he's hello help her here hers hey hi him his how i "
    "i'd i'll i'm i've if in into is isn't it it's its just kind know let let's like look lot "
    "make many may maybe me mean mm mm-hmm more most much must my need never nice no not nothing "
    "now of off oh ok okay on once one only or other our out over own perhaps please pretty quite "
    "really right said same say says see she should shouldn't so some something sorry still such "
    "sure take than thank thanks that that's the their them then there there's these they they're "
    "thing things think this those through to today too try uh um under until up us very want "
    "wants was wasn't way we we'd we'll we're we've welcome well were weren't what what's when "
    "where which while who why will with won't would wouldn't yeah yep yes yet you you'd you'll "
    "you're you've your yours alright anymore actually able two three first next back able let "
    "ad af aldrig alle alt altid anden andet andre at bare begge bliver blev brug da de dem den "
    "denne der deres det dette dig din dine dit dog du efter ej eller en end endnu enten er et "
    "faa faar fandt fik fire flere flest for fordi foer fra gaa gaar godt gik goer ham han hans "
    "har have havde hej heller hen hende hendes her hjem hun hvad hvem hver hvilken hvis hvor "
    "hvordan hvorfor hvornaar i igen ikke ind ingen intet ja jeg jer jeres jo kan kom kommer "
    "kunne lad lige lidt man mange med meget men mere mest mig min mindre mine mit mod mod naar "
    "nej noget nogen nogle nok nu ny og ogsaa okay om op os over paa saa saadan samme selv ser "
    "sig sige siger sin sine sit skal skulle som stadig tak til to tre ud uden under var ved vi "
    "vil ville vores vaere vaeret";

std::set<std::string_view> split(std::string_view list) {
  std::set<std::string_view> words;
  while (!list.empty()) {
    const auto end = std::min(list.find(' '), list.size());
    words.insert(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return words;
}

}  // namespace

std::vector<Passage> read_passages(const Conversation& conversation) {
  std::vector<Passage> passages;
  for (std::uint32_t at = 0; at < conversation.turns.size(); ++at) {
    const auto& turn = conversation.turns[at];
    if (!is_of_people(turn)) continue;
    for (const auto& range : sentences(turn.text)) {
      if (passages.size() == kSentencesMax) return passages;
      const auto text = std::string_view(turn.text).substr(range.begin, range.end - range.begin);
      passages.push_back({.turn = at, .role = turn.role, .text = text, .words = word_places(text)});
    }
  }
  return passages;
}

bool is_stop_word(std::string_view folded) {
  static const auto kWords = split(kStopWords);
  return kWords.contains(folded);
}

std::string_view quote_of(const Passage& passage) {
  if (passage.text.size() <= kQuoteBytesMax) return passage.text;
  std::size_t end = 0;
  for (const auto& word : passage.words) {
    if (word.range.end > kQuoteBytesMax) break;
    end = word.range.end;
  }
  // One word of more than 300 bytes: cut between code points.
  if (end == 0) {
    end = kQuoteBytesMax;
    while (end > 0 && (static_cast<unsigned char>(passage.text[end]) & 0xC0U) == 0x80U) --end;
  }
  return passage.text.substr(0, end);
}

json::Object evidence_of(const Passage& passage) {
  return {{"turn", std::int64_t{passage.turn}}, {"quote", quote_of(passage)}};
}

}  // namespace samtale

#include "analyze/lexicon.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>
#include <unordered_map>

namespace samtale {
namespace {

constexpr std::string_view kEnglish =
#include "analyze/lexicon/english.inc"
    ;
constexpr std::string_view kDanish =
#include "analyze/lexicon/danish.inc"
    ;

struct Lexicon {
  std::unordered_map<std::string, float> words;
  std::unordered_map<std::string, float> stems;  // 0 where forms of one stem disagree.
};

Lexicon read(std::string_view table, float scale) {
  Lexicon lexicon;
  while (!table.empty()) {
    const auto end = std::min(table.find('\n'), table.size());
    const auto line = table.substr(0, end);
    table.remove_prefix(std::min(end + 1, table.size()));
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    const auto places = word_places(line.substr(0, tab));
    if (places.size() != 1) continue;
    const auto value = std::strtof(std::string(line.substr(tab + 1)).c_str(), nullptr) * scale;
    lexicon.words[places.front().folded] = value;
    const auto [stem, is_new] = lexicon.stems.emplace(places.front().term, value);
    if (is_new) continue;
    // The weakest of them: a form nobody judged should not shout.
    const bool agrees = stem->second * value > 0;
    if (!agrees) stem->second = 0;
    if (agrees && std::abs(value) < std::abs(stem->second)) stem->second = value;
  }
  return lexicon;
}

float look_up(const Lexicon& lexicon, const WordPlace& word) {
  const auto found = lexicon.words.find(word.folded);
  if (found != lexicon.words.end()) return found->second;
  const auto stem = lexicon.stems.find(word.term);
  return stem == lexicon.stems.end() ? 0 : stem->second;
}

}  // namespace

float valence(const WordPlace& word, bool is_danish) {
  static const auto kByEnglish = read(kEnglish, 1);
  static const auto kByDanish = read(kDanish, 0.8F);
  return look_up(is_danish ? kByDanish : kByEnglish, word);
}

bool is_negation(std::string_view folded) {
  static constexpr std::array kWords = {"not",   "no",    "never",   "none",   "nothing", "cannot",
                                        "cant",  "dont",  "without", "ikke",   "ej",      "aldrig",
                                        "ingen", "intet", "uden",    "hverken"};
  if (folded.ends_with("n't")) return true;
  for (const std::string_view word : kWords) {
    if (folded == word) return true;
  }
  return false;
}

float boost(std::string_view folded) {
  // VADER's 0.293 on a mean valence of about 2.
  static constexpr std::array kMore = {"very",    "really",     "extremely", "so",
                                       "totally", "absolutely", "meget",     "virkelig",
                                       "rigtig",  "rigtigt",    "super",     "helt"};
  static constexpr std::array kLess = {"slightly", "somewhat", "barely", "lidt", "noget"};
  for (const std::string_view word : kMore) {
    if (folded == word) return 1.15F;
  }
  for (const std::string_view word : kLess) {
    if (folded == word) return 0.85F;
  }
  return 1;
}

}  // namespace samtale

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "analyze/extractive.h"
#include "analyze/lexicon.h"
#include "analyze/passages.h"

namespace samtale {
namespace {

constexpr std::size_t kNegationReach = 3;  // Words; VADER's.
constexpr float kNegated = -0.74F;         // VADER's.
constexpr float kNormal = 15;              // VADER's alpha.
constexpr double kNeutral = 0.1;           // Scores this near to 0 are neutral …
constexpr double kStrong = 0.4;            // … sentences past this take a side.
constexpr std::size_t kEvidenceMax = 3;

// Danish where its words are, and more of them are Danish function words than English ones.
bool is_danish(const std::vector<Passage>& passages, const std::string& language) {
  if (language.starts_with("da")) return true;
  if (!language.empty()) return false;
  static constexpr std::array kDanish = {"jeg", "ikke", "det", "og", "er", "til", "har"};
  static constexpr std::array kEnglish = {"i", "not", "it", "and", "is", "to", "have", "the"};
  long danish = 0;
  for (const auto& passage : passages) {
    for (const auto& word : passage.words) {
      if (std::ranges::find(kDanish, word.folded) != kDanish.end()) ++danish;
      if (std::ranges::find(kEnglish, word.folded) != kEnglish.end()) --danish;
    }
  }
  return danish > 0;
}

// -1 to 1; empty where no word is known.
std::optional<double> score_of(const Passage& passage, bool danish) {
  float sum = 0;
  bool is_known = false;
  for (std::size_t i = 0; i < passage.words.size(); ++i) {
    auto value = valence(passage.words[i], danish);
    if (value == 0) continue;
    is_known = true;
    if (i > 0) value *= boost(passage.words[i - 1].folded);
    for (std::size_t back = 1; back <= kNegationReach && back <= i; ++back) {
      if (!is_negation(passage.words[i - back].folded)) continue;
      value *= kNegated;
      break;
    }
    sum += value;
  }
  if (!is_known) return std::nullopt;
  return sum / std::sqrt(sum * sum + kNormal);
}

// The mean over the sentences that feel anything.
struct Mood {
  double sum = 0;
  long sentences = 0;
  long glad = 0;
  long cross = 0;

  void add(double score) {
    sum += score;
    ++sentences;
    if (score > kStrong) ++glad;
    if (score < -kStrong) ++cross;
  }
  [[nodiscard]] double score() const {
    return sentences == 0 ? 0 : sum / static_cast<double>(sentences);
  }
  [[nodiscard]] std::string_view label() const {
    if (std::abs(score()) < kNeutral) return glad > 0 && cross > 0 ? "mixed" : "neutral";
    return score() > 0 ? "positive" : "negative";
  }
};

double rounded(double score) { return std::round(score * 1000) / 1000; }

json::Array course_of(const std::vector<Passage>& passages,
                      const std::vector<std::optional<double>>& scores, std::string_view side) {
  json::Array course;
  if (passages.empty()) return course;
  const auto first = passages.front().turn;
  const auto turns = passages.back().turn - first + 1;
  const auto parts = std::min(turns, 3U);
  for (std::uint32_t part = 0; part < parts; ++part) {
    const auto begin = first + turns * part / parts;
    const auto end = first + turns * (part + 1) / parts;
    Mood mood;
    for (std::size_t i = 0; i < passages.size(); ++i) {
      const auto& passage = passages[i];
      if (passage.turn < begin || passage.turn >= end || !scores[i]) continue;
      if (side.empty() || passage.role == side) mood.add(*scores[i]);
    }
    json::Object third{{"first_turn", std::int64_t{begin}}, {"last_turn", std::int64_t{end - 1}}};
    third.emplace_back("score", nullptr);
    if (mood.sentences > 0) third.back().second = rounded(mood.score());
    course.emplace_back(std::move(third));
  }
  return course;
}

}  // namespace

Analysis measure_sentiment(const Conversation& conversation) {
  const auto passages = read_passages(conversation);
  const bool danish = is_danish(passages, conversation.language);
  std::vector<std::optional<double>> scores;
  Mood all;
  std::map<std::string_view, Mood> sides;
  for (const auto& passage : passages) {
    scores.push_back(score_of(passage, danish));
    auto& side = sides[passage.role];
    if (!scores.back()) continue;
    all.add(*scores.back());
    side.add(*scores.back());
  }
  const auto customer = sides.find("customer");
  const auto whose = customer == sides.end() ? std::string_view() : customer->first;
  const auto& mood = customer == sides.end() ? all : customer->second;

  json::Array by_side;
  for (const auto& [role, side] : sides) {
    by_side.push_back(
        json::Object{{"role", role}, {"label", side.label()}, {"score", rounded(side.score())}});
  }
  // What speaks most for the label; of a neutral one, what is strongest.
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < passages.size(); ++i) {
    const bool is_theirs = whose.empty() || passages[i].role == whose;
    if (is_theirs && scores[i] && std::abs(*scores[i]) >= kNeutral) order.push_back(i);
  }
  const double sign = mood.label() == "positive" ? 1 : mood.label() == "negative" ? -1 : 0;
  std::ranges::stable_sort(order, [&](auto a, auto b) {
    if (sign != 0) return *scores[a] * sign > *scores[b] * sign;
    return std::abs(*scores[a]) > std::abs(*scores[b]);
  });
  json::Array evidence;
  for (const auto i : order) {
    if (evidence.size() == kEvidenceMax) break;
    auto object = evidence_of(passages[i]);
    object.emplace_back("score", rounded(*scores[i]));
    evidence.emplace_back(std::move(object));
  }
  return {.result = json::Object{{"label", mood.label()},
                                 {"score", rounded(mood.score())},
                                 {"sides", std::move(by_side)},
                                 {"course", course_of(passages, scores, whose)},
                                 {"evidence", std::move(evidence)}},
          .labels = {std::string(mood.label())},
          .score = rounded(mood.score())};
}

}  // namespace samtale

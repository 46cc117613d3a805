#include "analyze/finding.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analyze/evidence.h"
#include "analyze/transcript.h"
#include "pii/pii.h"

namespace samtale {
namespace {

constexpr std::size_t kTextBytesMax = 4'000;
constexpr std::size_t kItemsMax = 100;
constexpr std::size_t kLabelBytesMax = 100;
constexpr double kThousand = 1'000;

double rounded(double value) { return std::round(value * kThousand) / kThousand; }

// A model may write on and on within its schema.
void limit(json::Value& value) {
  if (auto* array = value.as_array()) {
    if (array->size() > kItemsMax) array->resize(kItemsMax);
    for (auto& item : *array) limit(item);
  } else if (auto* object = value.as_object()) {
    for (auto& [key, member] : *object) limit(member);
  } else if (const auto* text = value.as_string();
             text != nullptr && text->size() > kTextBytesMax) {
    auto end = kTextBytesMax;
    while (end > 0 && (static_cast<unsigned char>((*text)[end]) & 0xC0U) == 0x80U) --end;
    value = text->substr(0, end);
  }
}

std::vector<std::string> names_in(const json::Value& part, std::string_view list) {
  std::vector<std::string> names;
  const auto* items = part.find(list);
  if (items == nullptr || items->as_array() == nullptr) return names;
  for (const auto& item : *items->as_array()) {
    const auto* name = item.find("name");
    if (name == nullptr || name->as_string() == nullptr) continue;
    auto label = plain(*name->as_string()).text;
    if (label.empty() || label.size() > kLabelBytesMax) continue;
    if (std::ranges::find(names, label) == names.end()) names.push_back(std::move(label));
  }
  return names;
}

std::string text_at(const json::Value& part, std::string_view key) {
  const auto* value = part.find(key);
  return value == nullptr || value->as_string() == nullptr ? std::string() : *value->as_string();
}

std::size_t count_findings(const json::Value& part) {
  std::size_t count = 0;
  for (const auto* list : {"topics", "intents", "items", "answers"}) {
    const auto* items = part.find(list);
    if (items != nullptr && items->as_array() != nullptr) count += items->as_array()->size();
  }
  return count;
}

bool is_empty_list(const json::Value& part, std::string_view key) {
  const auto* list = part.find(key);
  return list == nullptr || list->as_array() == nullptr || list->as_array()->empty();
}

// Three numbers become the turns they are of.
void spread_course(json::Value& part, const Conversation& conversation) {
  const auto* scores = part.find("course");
  if (scores == nullptr || scores->as_array() == nullptr) return;
  const auto turns = static_cast<std::int64_t>(conversation.turns.size());
  const auto thirds = static_cast<std::int64_t>(scores->as_array()->size());
  json::Array course;
  for (std::int64_t i = 0; i < thirds; ++i) {
    const auto begin = turns * i / thirds;
    const auto end = turns * (i + 1) / thirds;
    if (end == begin) continue;
    course.push_back(json::Object{{"first_turn", begin},
                                  {"last_turn", end - 1},
                                  {"score", (*scores->as_array())[static_cast<std::size_t>(i)]}});
  }
  part.set("course", std::move(course));
}

// Of a custom analysis, what can be counted: members that are true, false or one of a few words.
std::vector<std::string> custom_labels(const Analyzer& analyzer, const json::Value& value) {
  std::vector<std::string> labels;
  const auto* members = value.as_object();
  if (members == nullptr) return labels;
  for (const auto& [key, member] : *members) {
    const auto* schema =
        analyzer.schema.at_pointer("/properties/" + json::pointer_token(key) + "/enum");
    std::string label = key + "=";
    if (const auto* flag = member.as_bool()) {
      label += *flag ? "true" : "false";
    } else if (schema != nullptr && member.as_string() != nullptr) {
      label += *member.as_string();
    } else {
      continue;
    }
    if (label.size() <= kLabelBytesMax) labels.push_back(std::move(label));
  }
  return labels;
}

Result<Analysis> without_evidence(const Analyzer& analyzer) {
  return fail(ErrorCode::corrupt, "analyzer \"" + analyzer.name +
                                      "\": nothing of the answer is borne out by what was said: no "
                                      "quote is in the turn it names");
}

}  // namespace

std::optional<double> card_score(const Analyzer& analyzer, const json::Value& answers) {
  std::map<std::string_view, const Question*> questions;
  for (const auto& question : analyzer.questions) questions.emplace(question.id, &question);
  double had = 0;
  double possible = 0;
  const auto* list = answers.as_array();
  if (list == nullptr) return std::nullopt;
  for (const auto& answer : *list) {
    const auto* id = answer.find("id");
    const auto* points = answer.find("points");
    if (id == nullptr || id->as_string() == nullptr || points == nullptr) continue;
    // Each question counts once: what is answered twice counts as first answered.
    const auto question = questions.extract(*id->as_string());
    const auto number = points->as_number();
    if (question.empty() || !number) continue;
    const auto most = static_cast<double>(question.mapped()->max);
    had += question.mapped()->weight * std::clamp(*number, 0.0, most) / most;
    possible += question.mapped()->weight;
  }
  if (possible <= 0) return std::nullopt;
  return rounded(had / possible);
}

Result<Analysis> conclude(const Analyzer& analyzer, json::Value part,
                          const Conversation& conversation, std::size_t& dropped) {
  limit(part);
  const auto claimed = count_findings(part);
  const auto verdict = hold_against(part, conversation);
  dropped += verdict.dropped;
  if (!verdict.holds || (claimed > 0 && count_findings(part) == 0)) {
    return without_evidence(analyzer);
  }
  Analysis analysis;
  switch (analyzer.kind) {
    case AnalyzerKind::sentiment: {
      const auto label = text_at(part, "label");
      if (label != "neutral" && is_empty_list(part, "evidence")) return without_evidence(analyzer);
      analysis.labels = {label};
      const auto* score = part.find("score");
      if (score != nullptr && score->as_number()) analysis.score = rounded(*score->as_number());
      spread_course(part, conversation);
      break;
    }
    case AnalyzerKind::topics:
      analysis.labels = names_in(part, "topics");
      break;
    case AnalyzerKind::intent:
      analysis.labels = names_in(part, "intents");
      break;
    case AnalyzerKind::resolution: {
      const auto state = text_at(part, "state");
      if (state != "unclear" && is_empty_list(part, "evidence")) return without_evidence(analyzer);
      analysis.labels = {state};
      break;
    }
    case AnalyzerKind::scorecard: {
      const auto* answers = part.find("answers");
      if (answers != nullptr) analysis.score = card_score(analyzer, *answers);
      part.set("score", analysis.score ? json::Value(*analysis.score) : json::Value());
      break;
    }
    case AnalyzerKind::custom:
      if (const auto* value = part.find("value")) {
        analysis.labels = custom_labels(analyzer, *value);
        const auto* score = value->find("score");
        if (score != nullptr) analysis.score = score->as_number();
      }
      break;
    case AnalyzerKind::summary:
    case AnalyzerKind::action_items:
    case AnalyzerKind::pii:
    case AnalyzerKind::manipulation:
      break;
  }
  analysis.result = std::move(part);
  return analysis;
}

Analysis report_pii(const Conversation& conversation) {
  json::Array findings;
  std::map<std::string, std::int64_t> kinds;
  for (std::size_t at = 0; at < conversation.turns.size() && findings.size() < kItemsMax; ++at) {
    const auto& turn = conversation.turns[at];
    if (!is_of_people(turn)) continue;
    for (const auto& span : find_pii(turn.text, {})) {
      const std::string kind(name(span.kind));
      ++kinds[kind];
      if (findings.size() == kItemsMax) break;
      findings.push_back(
          json::Object{{"kind", kind},
                       {"turn", at},
                       {"quote", turn.text.substr(span.begin, span.end - span.begin)}});
    }
  }
  Analysis analysis;
  json::Object counts;
  for (const auto& [kind, count] : kinds) {
    counts.emplace_back(kind, count);
    analysis.labels.push_back(kind);
  }
  analysis.result = json::Object{{"findings", std::move(findings)}, {"kinds", std::move(counts)}};
  return analysis;
}

}  // namespace samtale

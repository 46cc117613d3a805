#include "analyze/override.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "analyze/finding.h"
#include "model/fields.h"

namespace samtale {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;

using Points = std::map<std::string, json::Value, std::less<>>;  // By question; null: n/a.

void read_answer(Fields& outer, const Analyzer& analyzer, const json::Value& value,
                 std::size_t place, Points& points) {
  Fields fields(value, "/result/answers/" + std::to_string(place));
  const auto id = fields.string("id").value_or("");
  const auto question = std::ranges::find(analyzer.questions, id, &Question::id);
  const bool is_known = question != analyzer.questions.end();
  if (!is_known) fields.mistake("id", "is not one of the questions of \"" + analyzer.name + "\"");
  const auto given = fields.integer("points", 0, is_known ? question->max : 0);
  if (value.find("points") == nullptr) {
    fields.mistake("points", "is needed; null where the question does not apply");
  }
  if (is_known && !points.emplace(id, given ? json::Value(*given) : json::Value()).second) {
    fields.mistake("id", "is answered twice");
  }
  (void)fields.done();  // What it finds is among the mistakes.
  outer.add_mistakes(fields);
}

json::Value machine_points(const json::Value& machine, std::string_view question) {
  const auto* answers = machine.find("answers");
  if (answers == nullptr || answers->as_array() == nullptr) return {};
  for (const auto& answer : *answers->as_array()) {
    const auto* id = answer.find("id");
    const auto* points = answer.find("points");
    if (id != nullptr && *id == json::Value(question) && points != nullptr) return *points;
  }
  return {};
}

Result<json::Value> check_card(const Analyzer& analyzer, const json::Value& machine,
                               const json::Value& result) {
  Fields fields(result, "/result");
  Points points;
  if (const auto* answers = fields.array("answers")) {
    for (std::size_t i = 0; i < answers->size(); ++i) {
      read_answer(fields, analyzer, (*answers)[i], i, points);
    }
  }
  if (points.empty()) fields.mistake("answers", "must answer a question");
  SAMTALE_TRY_VOID(fields.done());
  json::Array answers;
  for (const auto& question : analyzer.questions) {
    const auto said = points.find(question.id);
    answers.push_back(json::Object{
        {"id", question.id},
        {"points", said == points.end() ? machine_points(machine, question.id) : said->second}});
  }
  const json::Value list(std::move(answers));
  const auto score = card_score(analyzer, list);
  return json::Object{{"answers", list}, {"score", score ? json::Value(*score) : json::Value()}};
}

}  // namespace

Result<json::Value> check_override(const Analyzer& analyzer, const json::Value& machine,
                                   const json::Value& result) {
  if (result.as_object() == nullptr || result.as_object()->empty()) {
    return fail(ErrorCode::invalid_argument, "/result: must be an object that says something");
  }
  if (analyzer.kind == AnalyzerKind::scorecard) return check_card(analyzer, machine, result);
  if (json::dump(result).size() > kBytesMax) {
    return fail(ErrorCode::invalid_argument,
                "/result: must be at most " + std::to_string(kBytesMax) + " bytes");
  }
  return result;
}

}  // namespace samtale

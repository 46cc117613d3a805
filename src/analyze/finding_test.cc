#include "analyze/finding.h"

#include <gmock/gmock.h>

namespace samtale {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

json::Value read(std::string_view text) { return *json::parse(text); }

Analyzer of_kind(AnalyzerKind kind) {
  Analyzer analyzer;
  analyzer.name = name(kind);
  analyzer.kind = kind;
  return analyzer;
}

class FindingTest : public testing::Test {
 protected:
  FindingTest() {
    conversation.turns = {{.role = "customer", .text = "My lamp is broken"},
                          {.role = "agent", .text = "I will send a new one on Monday"},
                          {.role = "customer", .text = "Thanks, wonderful"}};
  }
  Result<Analysis> from(const Analyzer& analyzer, std::string_view part) {
    return conclude(analyzer, read(part), conversation, dropped);
  }

  Conversation conversation;
  std::size_t dropped = 0;
};

TEST_F(FindingTest, gives_the_labels_that_a_conversation_is_found_by) {
  const auto topics =
      from(of_kind(AnalyzerKind::topics),
           R"({"topics":[{"name":" broken\nlamp","evidence":[{"turn":0,"quote":"lamp"}]},
                               {"name":"broken lamp","evidence":[{"turn":0,"quote":"broken"}]},
                               {"name":"weather","evidence":[{"turn":0,"quote":"rain"}]}]})");
  const auto resolution =
      from(of_kind(AnalyzerKind::resolution),
           R"({"state":"resolved","reason":"r","evidence":[{"turn":2,"quote":"Thanks"}]})");

  EXPECT_THAT(topics->labels, ElementsAre("broken lamp"));
  EXPECT_THAT(resolution->labels, ElementsAre("resolved"));
  EXPECT_EQ(dropped, 1U);
}

TEST_F(FindingTest, says_in_which_turns_a_feeling_was) {
  const auto sentiment = from(of_kind(AnalyzerKind::sentiment),
                              R"({"label":"mixed","score":0.1239,"sides":[],"course":[-1,0,1],
                                  "evidence":[{"turn":2,"quote":"wonderful"}]})");

  ASSERT_TRUE(sentiment);
  EXPECT_THAT(sentiment->score, Optional(DoubleEq(0.124)));
  EXPECT_EQ(
      json::dump(*sentiment->result.find("course")),
      R"([{"first_turn":0,"last_turn":0,"score":-1},{"first_turn":1,"last_turn":1,"score":0},)"
      R"({"first_turn":2,"last_turn":2,"score":1}])");
}

TEST_F(FindingTest, refuses_what_nobody_said) {
  for (const auto* part :
       {R"({"label":"negative","score":-1,"sides":[],"course":[0,0,0],"evidence":[]})",
        R"({"label":"negative","score":-1,"sides":[],"course":[0,0,0],
                               "evidence":[{"turn":0,"quote":"I hate you"}]})"}) {
    EXPECT_EQ(from(of_kind(AnalyzerKind::sentiment), part).error().code, ErrorCode::corrupt);
  }
  EXPECT_FALSE(from(of_kind(AnalyzerKind::resolution),
                    R"({"state":"resolved","reason":"r","evidence":[]})"));
  EXPECT_TRUE(
      from(of_kind(AnalyzerKind::resolution), R"({"state":"unclear","reason":"r","evidence":[]})"));
  EXPECT_FALSE(from(of_kind(AnalyzerKind::topics),
                    R"({"topics":[{"name":"x","evidence":[{"turn":0,"quote":"no"}]}]})"));
  EXPECT_TRUE(from(of_kind(AnalyzerKind::topics), R"({"topics":[]})"));
  EXPECT_FALSE(from(of_kind(AnalyzerKind::summary),
                    R"({"title":"t","text":"x","sentences":[{"turn":0,"quote":"no"}]})"));
}

TEST_F(FindingTest, scores_a_card_by_weight_without_what_does_not_apply) {
  auto card = of_kind(AnalyzerKind::scorecard);
  card.questions = {{.id = "greets", .text = "?", .max = 1, .weight = 1},
                    {.id = "tone", .text = "?", .max = 5, .weight = 3},
                    {.id = "refund", .text = "?", .max = 1, .weight = 10}};

  const auto scored = from(card, R"({"answers":[{"id":"greets","points":1,"evidence":[]},
      {"id":"tone","points":2,"evidence":[{"turn":1,"quote":"I will send"}]},
      {"id":"tone","points":5,"evidence":[]},{"id":"refund","points":null,"evidence":[]}]})");
  const auto nothing = from(card, R"({"answers":[{"id":"greets","points":null,"evidence":[]}]})");

  EXPECT_THAT(scored->score, Optional(DoubleEq(0.55)));  // (1 + 3 * 2/5) / (1 + 3)
  EXPECT_EQ(nothing->score, std::nullopt);
  EXPECT_TRUE(nothing->result.find("score")->is_null());
}

TEST_F(FindingTest, leaves_an_answer_out_whose_evidence_fell) {
  auto card = of_kind(AnalyzerKind::scorecard);
  card.questions = {{.id = "a", .text = "?"}, {.id = "b", .text = "?"}};

  const auto scored = from(card, R"({"answers":[{"id":"a","points":0,"evidence":[]},
      {"id":"b","points":1,"evidence":[{"turn":0,"quote":"never said"}]}]})");

  EXPECT_THAT(scored->score, Optional(DoubleEq(0)));
  EXPECT_EQ(scored->result.find("answers")->as_array()->size(), 1U);
}

TEST_F(FindingTest, counts_a_custom_value_by_its_flags_and_choices) {
  auto custom = of_kind(AnalyzerKind::custom);
  custom.schema =
      read(R"({"properties":{"plan":{"enum":["free","paid"]},"note":{"type":"string"}}})");

  const auto analysis = from(custom, R"({"value":{"plan":"paid","churn":true,"note":"x","score":7},
                                        "evidence":[{"turn":0,"quote":"lamp"}]})");

  EXPECT_THAT(analysis->labels, ElementsAre("plan=paid", "churn=true"));
  EXPECT_THAT(analysis->score, Optional(7));
}

TEST_F(FindingTest, cuts_texts_and_lists_that_go_on_and_on) {
  json::Array items;
  for (int i = 0; i < 500; ++i) {
    items.push_back(json::Object{{"text", std::string(9'999, 'x')},
                                 {"evidence", json::Array{read(R"({"turn":0,"quote":"lamp"})")}}});
  }
  const auto analysis = conclude(of_kind(AnalyzerKind::action_items),
                                 json::Object{{"items", std::move(items)}}, conversation, dropped);

  EXPECT_LE(json::dump(analysis->result).size(), 500'000U);
}

TEST_F(FindingTest, reports_personal_data_by_turn) {
  conversation.turns.push_back({.role = "customer", .text = "Write to ida@example.dk"});
  conversation.turns.push_back({.role = "agent", .text = "bo@example.dk", .is_private = true});

  const auto report = report_pii(conversation);

  EXPECT_THAT(report.labels, ElementsAre("EMAIL"));
  EXPECT_EQ(
      json::dump(report.result),
      R"({"findings":[{"kind":"EMAIL","turn":3,"quote":"ida@example.dk"}],"kinds":{"EMAIL":1}})");
  conversation.turns.resize(3);
  EXPECT_THAT(report_pii(conversation).labels, IsEmpty());
}

}  // namespace
}  // namespace samtale

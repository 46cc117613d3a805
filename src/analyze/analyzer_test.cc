#include "analyze/analyzer.h"

#include <gmock/gmock.h>

namespace samtale {
namespace {

using testing::AllOf;
using testing::HasSubstr;

json::Value read(std::string_view text) { return *json::parse(text); }

std::string mistakes(std::string_view text) {
  const auto parsed = parse_analyzer(read(text));
  return parsed ? std::string() : parsed.error().message;
}

TEST(AnalyzerTest, reads_back_what_it_wrote) {
  const auto definition = read(R"({"name":"quality","kind":"scorecard","description":"d",
      "instructions":"be strict","questions":[{"id":"greets","text":"Greeted?","max":1,"weight":2.5},
      {"id":"tone","text":"Tone?","max":5,"weight":1.5}],"model":"m","language":"da",
      "trigger":{"on":"tag","tag":"vip"},"priority":"critical","deadline_s":60,"sample":0.25,
      "budget":{"tokens_per_day":1000,"usd_per_month":2.5},"active":false})");

  const auto analyzer = parse_analyzer(definition);

  ASSERT_TRUE(analyzer) << analyzer.error().message;
  EXPECT_EQ(json::dump_sorted(to_json(*analyzer)), json::dump_sorted(definition));
  for (const auto& shipped : shipped_analyzers()) {
    const auto again = parse_analyzer(to_json(shipped));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(to_json(*again), to_json(shipped));
  }
}

TEST(AnalyzerTest, takes_the_kind_from_a_shipped_name) {
  EXPECT_EQ(parse_analyzer(read(R"({"name":"topics"})"))->kind, AnalyzerKind::topics);
  EXPECT_EQ(parse_analyzer(read(R"({"name":"mood","kind":"sentiment"})"))->kind,
            AnalyzerKind::sentiment);
}

TEST(AnalyzerTest, names_every_mistake_at_once) {
  EXPECT_THAT(
      mistakes(R"({"name":"No good","kind":"essay","sample":0,"trigger":{"on":"tag"},
                          "budget":{"usd_per_day":-1},"colour":"red"})"),
      AllOf(HasSubstr("/name:"), HasSubstr("/kind: must be one of summary"), HasSubstr("/sample:"),
            HasSubstr("/trigger/tag:"), HasSubstr("/budget/usd_per_day:"), HasSubstr("/colour:")));
}

TEST(AnalyzerTest, asks_of_each_kind_what_it_needs_and_nothing_else) {
  EXPECT_THAT(mistakes(R"({"name":"x"})"),
              AllOf(HasSubstr("/instructions: is needed"), HasSubstr("/schema: is needed")));
  EXPECT_THAT(mistakes(R"({"name":"x","kind":"scorecard"})"), HasSubstr("/questions: is needed"));
  EXPECT_THAT(mistakes(R"({"name":"summary","schema":{}})"), HasSubstr("/schema: is for a custom"));
  EXPECT_THAT(mistakes(R"({"name":"summary","taxonomy":["a"]})"), HasSubstr("/taxonomy:"));
  EXPECT_THAT(mistakes(R"({"name":"q","kind":"scorecard","questions":[{"id":"a","text":"1"},
                          {"id":"a","text":"2"}]})"),
              HasSubstr("ids that differ"));
  EXPECT_THAT(mistakes(R"({"name":"x","instructions":"i","schema":{"$ref":"#/$defs/a"}})"),
              HasSubstr("/schema:"));
  EXPECT_EQ(mistakes(R"({"name":"x","instructions":"find it","schema":{"type":"object",
                        "properties":{"order":{"type":"string"}}}})"),
            "");
}

TEST(AnalyzerTest, is_due_by_its_trigger) {
  Conversation open;
  open.tags = {"vip"};
  auto ended = open;
  ended.status = "ended";
  Analyzer analyzer;
  const auto due_on = [&](TriggerOn on, const Conversation& conversation) {
    analyzer.trigger.on = on;
    return is_due(analyzer, conversation);
  };

  EXPECT_FALSE(due_on(TriggerOn::ended, open));
  EXPECT_TRUE(due_on(TriggerOn::ended, ended));
  EXPECT_TRUE(due_on(TriggerOn::turn, open));
  EXPECT_FALSE(due_on(TriggerOn::demand, ended));
  EXPECT_FALSE(due_on(TriggerOn::schedule, ended));
  analyzer.trigger.tag = "vip";
  EXPECT_TRUE(due_on(TriggerOn::tag, open));
  analyzer.trigger.tag = "spam";
  EXPECT_FALSE(due_on(TriggerOn::tag, open));
  analyzer.is_active = false;
  EXPECT_FALSE(due_on(TriggerOn::turn, open));
}

TEST(AnalyzerTest, samples_the_share_it_says_and_the_same_ones_each_time) {
  Analyzer analyzer;
  analyzer.name = "quality";
  analyzer.sample = 0.25;
  int taken = 0;
  for (int i = 0; i < 4'000; ++i) {
    Conversation conversation;
    conversation.status = "ended";
    conversation.id = make_conversation_id(CompanyId{1}, "api", std::to_string(i));
    const bool is_taken = is_due(analyzer, conversation);
    EXPECT_EQ(is_due(analyzer, conversation), is_taken);
    taken += is_taken ? 1 : 0;
  }

  EXPECT_NEAR(taken, 1'000, 100);
}

}  // namespace
}  // namespace samtale

#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class AnalysisRoutesTest : public ApiTest {
 protected:
  // A conversation that has ended; its id.
  std::string add(const std::string& external_id, const std::string& text,
                  const std::string& started_at = "2026-11-20T08:00:00Z",
                  const std::string& status = "ended") {
    const json::Value turn = json::Object{{"speaker", "customer"}, {"text", text}};
    const json::Value document =
        json::Object{{"id", external_id}, {"channel", "chat"},        {"language", "en"},
                     {"status", status},  {"started_at", started_at}, {"turns", json::Array{turn}}};
    const auto answer = ask("POST", "/v1/conversations", key, json::dump(document));
    EXPECT_EQ(answer.status, 202) << answer.body;
    settle();
    settle_analyses();
    return text_at(answer, "/id");
  }
  // What a language model might have said of it.
  void conclude(const std::string& id, const std::string& analyzer, std::vector<std::string> labels,
                std::optional<double> score = std::nullopt) {
    const StoredAnalysis analysis{.analyzer = analyzer,
                                  .method = "lm",
                                  .revision = 1,
                                  .created_at = clock.wall_now(),
                                  .result = "{}",
                                  .labels = std::move(labels),
                                  .score = score};
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
      return writer.put_analysis(acme, *parse_conversation_id(id), analysis);
    }));
    settle();
  }
  std::vector<std::string> found(const std::string& filters) {
    const auto answer =
        ask("POST", "/v1/search", key, R"({"query":"printer","filters":)" + filters + "}");
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::vector<std::string> names;
    const auto body = body_of(answer);
    for (const auto& hit : *body.find("hits")->as_array()) {
      names.push_back(*hit.find("external_id")->as_string());
    }
    return names;
  }

  const std::string key = make_key(acme);
};

TEST_F(AnalysisRoutesTest, a_conversation_that_has_ended_shows_what_was_concluded) {
  const auto id = add("a", "The printer is terrible. I hate this awful printer.");

  const auto answer = ask("GET", "/v1/conversations/" + id, key);

  const auto body = body_of(answer);
  const auto& analyses = *body.find("analyses")->as_array();
  ASSERT_THAT(analyses, SizeIs(5));
  EXPECT_EQ(text_at(answer, "/analyses/0/analyzer"), "manipulation");
  EXPECT_EQ(text_at(answer, "/analyses/0/method"), "rules");
  EXPECT_EQ(text_at(answer, "/analyses/1/analyzer"), "pii");
  EXPECT_EQ(text_at(answer, "/analyses/1/method"), "rules");
  EXPECT_EQ(text_at(answer, "/analyses/2/analyzer"), "sentiment");
  EXPECT_EQ(text_at(answer, "/analyses/2/method"), "extractive");
  EXPECT_EQ(text_at(answer, "/analyses/2/result/label"), "negative");
  EXPECT_EQ(text_at(answer, "/analyses/3/analyzer"), "summary");
  EXPECT_THAT(text_at(answer, "/analyses/3/result/sentences/0/quote"), HasSubstr("printer"));
  EXPECT_EQ(text_at(answer, "/analyses/4/result/topics/0/name"), "printer");
}

TEST_F(AnalysisRoutesTest, an_open_conversation_has_no_analysis_until_it_ends) {
  const auto id = add("a", "The printer is broken.", "2026-11-20T08:00:00Z", "open");

  EXPECT_EQ(
      body_of(ask("GET", "/v1/conversations/" + id, key)).find("analyses")->as_array()->size(), 0U);

  add("a", "The printer is broken. It is broken.");
  EXPECT_EQ(
      body_of(ask("GET", "/v1/conversations/" + id, key)).find("analyses")->as_array()->size(), 5U);
}

TEST_F(AnalysisRoutesTest, a_vcon_carries_the_analyses) {
  const auto id = add("a", "The printer is terrible.");

  const auto vcon = ask("GET", "/v1/conversations/" + id + "?format=vcon", key);

  EXPECT_EQ(text_at(vcon, "/analysis/2/type"), "sentiment");
  EXPECT_EQ(text_at(vcon, "/analysis/2/vendor"), "samtale");
  EXPECT_EQ(text_at(vcon, "/analysis/2/product"), "extractive");
  EXPECT_EQ(text_at(vcon, "/analysis/2/body/label"), "negative");
}

TEST_F(AnalysisRoutesTest, searches_filter_by_sentiment_topic_and_score) {
  add("cross", "The printer is terrible. I hate this awful printer.");
  add("glad", "The printer is wonderful. I love the toner.");
  add("open", "The printer.", "2026-11-20T08:00:00Z", "open");

  EXPECT_THAT(found(R"({"sentiment":"negative"})"), ElementsAre("cross"));
  EXPECT_THAT(found(R"({"sentiment":{"in":["negative","positive"]}})"),
              UnorderedElementsAre("cross", "glad"));
  EXPECT_THAT(found(R"({"topic":"toner"})"), ElementsAre("glad"));
  EXPECT_THAT(found(R"({"sentiment_score":{"min":0.2}})"), ElementsAre("glad"));
  EXPECT_THAT(found(R"({"sentiment_score":{"max":-0.2}})"), ElementsAre("cross"));
  EXPECT_THAT(found("{}"), SizeIs(3));
  const auto wrong =
      ask("POST", "/v1/search", key, R"({"query":"x","filters":{"sentiment_score":{"least":1}}})");
  expect_error(wrong, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(wrong, "/message"), HasSubstr("/filters/sentiment_score/least"));
}

TEST_F(AnalysisRoutesTest, searches_filter_by_what_any_analyzer_concluded) {
  const auto loud = add("loud", "The printer is loud.");
  const auto quiet = add("quiet", "The printer is quiet.");
  conclude(loud, "intent", {"cancel order", "complain"});
  conclude(loud, "quality", {}, 0.25);
  conclude(quiet, "intent", {"ask"});
  conclude(quiet, "quality", {}, 0.75);

  EXPECT_THAT(found(R"({"analyses":{"intent":"cancel order"}})"), ElementsAre("loud"));
  EXPECT_THAT(found(R"({"analyses":{"intent":{"in":["ask","complain"]}}})"),
              UnorderedElementsAre("loud", "quiet"));
  EXPECT_THAT(found(R"({"analyses":{"quality":{"gte":0.75}}})"), ElementsAre("quiet"));
  EXPECT_THAT(found(R"({"analyses":{"quality":{"gte":0,"lte":0.25}}})"), ElementsAre("loud"));
  EXPECT_THAT(found(R"({"analyses":{"quality":{"lte":1},"intent":"ask"}})"), ElementsAre("quiet"));
  EXPECT_THAT(found(R"({"analyses":{"nobodys":{"gte":0}}})"), SizeIs(0));
  EXPECT_THAT(found(R"({"analyses":{"intent":"complain"},"sentiment":"positive"})"), SizeIs(0));
}

TEST_F(AnalysisRoutesTest, a_filter_of_another_form_is_refused_with_its_place) {
  for (const auto* analyses : {R"({"quality":{"above":1}})", R"({"quality":{"gte":"a lot"}})",
                               R"({"quality":{"gte":0,"min":1}})", R"({"quality":[]})"}) {
    const auto wrong = ask("POST", "/v1/search", key,
                           R"({"query":"x","filters":{"analyses":)" + std::string(analyses) + "}}");
    expect_error(wrong, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(wrong, "/message"), HasSubstr("/filters/analyses/quality"));
  }
}

TEST_F(AnalysisRoutesTest, trends_of_a_score_without_labels_have_its_mean) {
  conclude(add("a", "The printer."), "quality", {}, 0.25);
  conclude(add("b", "The printer."), "quality", {}, 0.75);

  const auto answer = ask("GET", "/v1/analyses/trends?analyzer=quality", key);

  EXPECT_EQ(number_at(answer, "/buckets/0/count"), 2);
  EXPECT_EQ(*body_of(answer).at_pointer("/buckets/0/score"), json::Value(0.5));
  EXPECT_EQ(*body_of(answer).at_pointer("/buckets/0/labels"), json::Value(json::Object{}));
}

TEST_F(AnalysisRoutesTest, lists_what_an_analyzer_concluded) {
  const auto cross = add("cross", "The printer is terrible.");
  add("glad", "The printer is wonderful.");

  const auto answer = ask("GET", "/v1/analyses?analyzer=sentiment&label=negative", key);

  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(text_at(answer, "/analyses/0/conversation_id"), cross);
  EXPECT_THAT(*body_of(answer).find("analyses")->as_array(), SizeIs(1));
  expect_error(ask("GET", "/v1/analyses", key), 422, ErrorCode::invalid_argument);
  expect_error(ask("GET", "/v1/analyses?analyzer=topics&cursor=forged", key), 422,
               ErrorCode::invalid_argument);
}

TEST_F(AnalysisRoutesTest, counts_by_day_week_and_month) {
  add("a", "The printer is terrible.", "2026-11-01T10:00:00Z");  // A Sunday.
  add("b", "The printer is wonderful.", "2026-11-02T10:00:00Z");
  add("c", "The printer is wonderful.", "2026-11-08T23:59:59Z");
  add("d", "The printer is wonderful.", "2026-12-01T00:00:00Z");
  const auto buckets = [&](const std::string& bucket) {
    const auto answer = ask("GET", "/v1/analyses/trends?analyzer=sentiment&bucket=" + bucket, key);
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::vector<std::string> days;
    const auto body = body_of(answer);
    for (const auto& item : *body.find("buckets")->as_array()) {
      days.push_back(*item.find("from")->as_string() + " " +
                     std::to_string(*item.find("count")->as_int()));
    }
    return days;
  };

  EXPECT_THAT(buckets("day"),
              ElementsAre("2026-11-01 1", "2026-11-02 1", "2026-11-08 1", "2026-12-01 1"));
  EXPECT_THAT(buckets("week"), ElementsAre("2026-10-26 1", "2026-11-02 2", "2026-11-30 1"));
  EXPECT_THAT(buckets("month"), ElementsAre("2026-11-01 3", "2026-12-01 1"));
  const auto answer = ask("GET", "/v1/analyses/trends?analyzer=sentiment&bucket=month", key);
  EXPECT_EQ(number_at(answer, "/buckets/0/labels/positive"), 2);
  EXPECT_EQ(number_at(answer, "/buckets/0/labels/negative"), 1);
  expect_error(ask("GET", "/v1/analyses/trends?analyzer=sentiment&bucket=year", key), 422,
               ErrorCode::invalid_argument);
}

TEST_F(AnalysisRoutesTest, another_company_sees_none_of_it) {
  add("a", "The printer is terrible.");
  const auto other = make_key(globex);

  for (const auto* path :
       {"/v1/analyses?analyzer=sentiment", "/v1/analyses/trends?analyzer=topics"}) {
    EXPECT_THAT(ask("GET", path, other).body, testing::Not(HasSubstr("printer")));
    EXPECT_THAT(ask("GET", path, other).body, testing::Not(HasSubstr("negative")));
  }
}

}  // namespace
}  // namespace samtale

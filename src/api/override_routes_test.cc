#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class OverrideRoutesTest : public ApiTest {
 protected:
  OverrideRoutesTest() {
    const json::Value turn = json::Object{{"speaker", "customer"}, {"text", "A terrible printer."}};
    const json::Value document =
        json::Object{{"id", "a"}, {"status", "ended"}, {"turns", json::Array{turn}}};
    id = text_at(ask("POST", "/v1/conversations", key, json::dump(document)), "/id");
    settle();
    settle_analyses();
  }
  // A score card that a machine has filled in: 1 of 1 for the greeting, 2 of 4 for the tone.
  void fill_card() {
    EXPECT_EQ(ask("PUT", "/v1/analyzers/quality", key,
                  R"({"kind":"scorecard","questions":[{"id":"greets","text":"Greeted?"},
                      {"id":"tone","text":"Tone?","max":4,"weight":3}]})")
                  .status,
              200);
    const StoredAnalysis analysis{.analyzer = "quality",
                                  .method = "lm",
                                  .revision = 1,
                                  .created_at = clock.wall_now(),
                                  .result = R"({"answers":[{"id":"greets","points":1,"evidence":[]},
                      {"id":"tone","points":2,"evidence":[]}],"score":0.625})",
                                  .score = 0.625};
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
      return writer.put_analysis(acme, *parse_conversation_id(id), analysis);
    }));
  }
  [[nodiscard]] std::string path(const std::string& analyzer) const {
    return "/v1/conversations/" + id + "/analyses/" + analyzer + "/override";
  }
  http::Response say(const std::string& analyzer, const std::string& body) {
    return ask("PUT", path(analyzer), key, body);
  }
  // Of the conversation's, the one by this analyzer.
  [[nodiscard]] json::Value shown(std::string_view analyzer) {
    const auto body = body_of(ask("GET", "/v1/conversations/" + id, key));
    for (const auto& one : *body.find("analyses")->as_array()) {
      if (*one.find("analyzer") == json::Value(analyzer)) return one;
    }
    return {};
  }
  [[nodiscard]] std::vector<std::string> waiting_kinds() {
    std::vector<std::string> kinds;
    const auto jobs = store->queue().waiting(acme, 10).value();
    for (const auto& job : jobs) kinds.push_back(job.kind);
    return kinds;
  }

  const std::string key = make_key(acme);
  std::string id;
};

TEST_F(OverrideRoutesTest, what_a_person_says_is_kept_beside_what_the_machine_said) {
  const auto said = say("sentiment", R"({"result":{"label":"mixed"},"note":"irony"})");

  ASSERT_EQ(said.status, 200) << said.body;
  const auto sentiment = shown("sentiment");
  EXPECT_EQ(*sentiment.at_pointer("/result/label"), json::Value("negative"));
  EXPECT_EQ(*sentiment.find("override"), body_of(said));
  EXPECT_EQ(text_at(said, "/result/label"), "mixed");
  EXPECT_EQ(text_at(said, "/note"), "irony");
  EXPECT_EQ(text_at(said, "/by"), tenants->keys(acme).front().id);
  EXPECT_EQ(number_at(said, "/revision"), 1);
  EXPECT_EQ(shown("summary").find("override"), nullptr);
}

TEST_F(OverrideRoutesTest, lists_and_vcons_show_it_too) {
  ASSERT_EQ(say("sentiment", R"({"result":{"label":"mixed"}})").status, 200);

  const auto list = ask("GET", "/v1/analyses?analyzer=sentiment", key);
  const auto vcon = ask("GET", "/v1/conversations/" + id + "?format=vcon", key);

  EXPECT_EQ(text_at(list, "/analyses/0/override/result/label"), "mixed");
  EXPECT_EQ(text_at(vcon, "/analysis/2/override/result/label"), "mixed");
  EXPECT_EQ(text_at(vcon, "/analysis/2/body/label"), "negative");
}

TEST_F(OverrideRoutesTest, a_score_card_is_scored_anew) {
  fill_card();

  const auto said = say("quality", R"({"result":{"answers":[{"id":"tone","points":4}]}})");

  ASSERT_EQ(said.status, 200) << said.body;
  EXPECT_EQ(json::dump(*body_of(said).find("result")),
            R"({"answers":[{"id":"greets","points":1},{"id":"tone","points":4}],"score":1.0})");
  EXPECT_EQ(*body_of(said).find("score"), json::Value(1.0));
  EXPECT_EQ(*shown("quality").find("score"), json::Value(0.625));
}

TEST_F(OverrideRoutesTest, what_does_not_apply_leaves_the_score) {
  fill_card();

  const auto said = say("quality", R"({"result":{"answers":[{"id":"tone","points":null},
                                      {"id":"greets","points":0}]}})");

  EXPECT_EQ(*body_of(said).find("score"), json::Value(0.0)) << said.body;
}

TEST_F(OverrideRoutesTest, answers_are_held_against_the_questions) {
  fill_card();

  for (const auto* answer :
       {R"({"id":"tone","points":5})", R"({"id":"tone","points":-1})",
        R"({"id":"tone","points":"4"})", R"({"id":"tone"})", R"({"id":"colour","points":1})",
        R"({"id":"tone","points":1,"sure":true})",
        R"({"id":"tone","points":1},{"id":"tone","points":2})", R"("tone")"}) {
    const auto said = say("quality", R"({"result":{"answers":[)" + std::string(answer) + "]}}");
    expect_error(said, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(said, "/message"), HasSubstr("/result/answers/")) << answer;
  }
  expect_error(say("quality", R"({"result":{"answers":[]}})"), 422, ErrorCode::invalid_argument);
  EXPECT_EQ(shown("quality").find("override"), nullptr);
}

TEST_F(OverrideRoutesTest, a_card_is_held_against_the_version_that_was_filled_in) {
  fill_card();
  ASSERT_EQ(ask("PUT", "/v1/analyzers/quality", key,
                R"({"kind":"scorecard","questions":[{"id":"solved","text":"Solved?"}]})")
                .status,
            200);

  const auto said = say("quality", R"({"result":{"answers":[{"id":"greets","points":0}]}})");

  EXPECT_EQ(*body_of(said).find("score"), json::Value(0.375)) << said.body;
}

TEST_F(OverrideRoutesTest, refuses_a_body_that_says_nothing) {
  for (const auto* body : {"{}", R"({"result":{}})", R"({"result":"good"})", R"({"result":null})",
                           R"({"result":{"label":"mixed"},"by":"me"})"}) {
    expect_error(say("sentiment", body), 422, ErrorCode::invalid_argument);
  }
  const auto long_note =
      R"({"result":{"label":"mixed"},"note":")" + std::string(5'000, 'x') + "\"}";
  expect_error(say("sentiment", long_note), 422, ErrorCode::invalid_argument);
}

TEST_F(OverrideRoutesTest, is_taken_back) {
  ASSERT_EQ(say("sentiment", R"({"result":{"label":"mixed"}})").status, 200);

  EXPECT_EQ(ask("DELETE", path("sentiment"), key).status, 204);

  EXPECT_EQ(shown("sentiment").find("override"), nullptr);
  EXPECT_NE(shown("sentiment").find("result"), nullptr);
  expect_error(ask("DELETE", path("sentiment"), key), 404, ErrorCode::not_found);
}

TEST_F(OverrideRoutesTest, there_is_none_without_an_analysis_nor_for_another_company) {
  expect_error(say("intent", R"({"result":{"intents":[]}})"), 404, ErrorCode::not_found);

  const auto theirs =
      ask("PUT", path("sentiment"), make_key(globex), R"({"result":{"label":"positive"}})");

  expect_error(theirs, 404, ErrorCode::not_found);
  EXPECT_EQ(shown("sentiment").find("override"), nullptr);
}

TEST_F(OverrideRoutesTest, goes_with_its_conversation) {
  ASSERT_EQ(say("sentiment", R"({"result":{"label":"mixed"}})").status, 200);

  ASSERT_EQ(ask("DELETE", "/v1/conversations/" + id, key).status, 200);

  EXPECT_TRUE(store->overrides(acme, *parse_conversation_id(id))->empty());
  expect_error(say("sentiment", R"({"result":{"label":"mixed"}})"), 404, ErrorCode::not_found);
}

TEST_F(OverrideRoutesTest, analyses_are_asked_for_by_name) {
  const auto answer = ask("POST", "/v1/conversations/" + id + "/analyses", key,
                          R"({"analyzers":["topics","sentiment","topics"]})");

  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, R"({"queued":["topics","sentiment"]})");
  EXPECT_THAT(waiting_kinds(), ElementsAre("analyze"));
}

TEST_F(OverrideRoutesTest, without_names_all_are_asked_for_that_something_makes) {
  const auto path = "/v1/conversations/" + id + "/analyses";

  EXPECT_EQ(ask("POST", path, key).body,
            R"({"queued":["manipulation","pii","sentiment","summary","topics"]})");
  with_language_model();
  EXPECT_THAT(*body_of(ask("POST", path, key)).find("queued")->as_array(), SizeIs(8));
}

TEST_F(OverrideRoutesTest, refuses_a_name_that_nothing_makes) {
  ASSERT_EQ(ask("PUT", "/v1/analyzers/topics", key, R"({"active":false})").status, 200);

  for (const auto* name : {"nobodys", "topics", "intent"}) {
    const auto answer = ask("POST", "/v1/conversations/" + id + "/analyses", key,
                            R"({"analyzers":[")" + std::string(name) + R"("]})");
    expect_error(answer, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr(name));
  }
  EXPECT_THAT(waiting_kinds(), SizeIs(0));
}

}  // namespace
}  // namespace samtale

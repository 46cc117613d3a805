#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kCard = R"({"kind":"scorecard","instructions":"Be strict.",
    "questions":[{"id":"greets","text":"Did the agent greet?"},
                 {"id":"tone","text":"How was the tone?","max":5,"weight":2}]})";

class AnalyzerRoutesTest : public ApiTest {
 protected:
  [[nodiscard]] std::vector<std::string> names_in_force() {
    std::vector<std::string> names;
    const auto body = body_of(ask("GET", "/v1/analyzers", key));
    for (const auto& one : *body.find("analyzers")->as_array()) {
      names.push_back(*one.find("name")->as_string());
    }
    return names;
  }
  // Of one in the list.
  [[nodiscard]] json::Value listed(std::string_view name, std::string_view member) {
    const auto body = body_of(ask("GET", "/v1/analyzers", key));
    for (const auto& one : *body.find("analyzers")->as_array()) {
      if (*one.find("name") == json::Value(name)) return *one.find(member);
    }
    return "no such analyzer";
  }

  const std::string key = make_key(acme);
};

TEST_F(AnalyzerRoutesTest, a_company_begins_with_those_that_are_shipped) {
  EXPECT_THAT(names_in_force(), ElementsAre("action_items", "intent", "manipulation", "pii",
                                            "resolution", "sentiment", "summary", "topics"));
  EXPECT_EQ(listed("summary", "shipped"), json::Value(true));
}

TEST_F(AnalyzerRoutesTest, says_what_makes_each_on_this_server) {
  EXPECT_EQ(listed("sentiment", "by"), json::Value("extractive"));
  EXPECT_EQ(listed("pii", "by"), json::Value("rules"));
  EXPECT_EQ(listed("manipulation", "by"), json::Value("rules"));
  EXPECT_EQ(listed("intent", "by"), json::Value());  // Nothing can, without a language model.

  with_language_model();

  EXPECT_EQ(listed("sentiment", "by"), json::Value("lm"));
  EXPECT_EQ(listed("pii", "by"), json::Value("rules"));
  EXPECT_EQ(listed("intent", "by"), json::Value("lm"));
}

TEST_F(AnalyzerRoutesTest, makes_one_and_a_new_version_with_each_change) {
  const auto first = ask("PUT", "/v1/analyzers/quality", key, kCard);
  const auto same = ask("PUT", "/v1/analyzers/quality", key, kCard);
  const auto changed =
      ask("PUT", "/v1/analyzers/quality", key,
          R"({"name":"quality","kind":"scorecard","questions":[{"text":"Was it solved?"}]})");

  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(number_at(first, "/version"), 1);
  EXPECT_EQ(same.body, first.body);
  EXPECT_EQ(number_at(changed, "/version"), 2);
  const auto shown = ask("GET", "/v1/analyzers/quality", key);
  EXPECT_EQ(text_at(shown, "/questions/0/text"), "Was it solved?");
  EXPECT_EQ(number_at(shown, "/versions/0/version"), 1);
  EXPECT_EQ(text_at(shown, "/versions/0/instructions"), "Be strict.");
  EXPECT_THAT(*body_of(shown).find("versions")->as_array(), SizeIs(2));
}

TEST_F(AnalyzerRoutesTest, what_is_read_can_be_sent_back) {
  ASSERT_EQ(ask("PUT", "/v1/analyzers/quality", key, kCard).status, 200);
  const auto shown = body_of(ask("GET", "/v1/analyzers/quality", key));
  json::Value definition = json::Object{};
  for (const auto& [member, value] : *shown.as_object()) {
    const bool is_told =
        member == "version" || member == "shipped" || member == "by" || member == "versions";
    if (!is_told) definition.set(member, value);
  }

  const auto again = ask("PUT", "/v1/analyzers/quality", key, json::dump(definition));

  EXPECT_EQ(number_at(again, "/version"), 1) << again.body;
}

TEST_F(AnalyzerRoutesTest, refuses_a_broken_definition_with_every_mistake) {
  const auto wrong =
      ask("PUT", "/v1/analyzers/quality", key, R"({"kind":"scorecard","sample":2,"colour":"red"})");

  expect_error(wrong, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(wrong, "/message"),
              AllOf(HasSubstr("/questions"), HasSubstr("/sample"), HasSubstr("/colour")));
  expect_error(ask("PUT", "/v1/analyzers/quality", key, R"({"name":"other","kind":"topics"})"), 422,
               ErrorCode::invalid_argument);
  expect_error(ask("PUT", "/v1/analyzers/No%20Good", key, R"({"kind":"topics"})"), 422,
               ErrorCode::invalid_argument);
  expect_error(ask("PUT", "/v1/analyzers/quality", key, "[]"), 422, ErrorCode::invalid_argument);
  expect_error(ask("PUT", "/v1/analyzers/quality", key, "{"), 400, ErrorCode::invalid_argument);
  EXPECT_THAT(names_in_force(), SizeIs(8));
}

TEST_F(AnalyzerRoutesTest, a_shipped_one_that_was_changed_is_as_shipped_after_its_deletion) {
  const auto changed =
      ask("PUT", "/v1/analyzers/topics", key, R"({"taxonomy":["refund","delivery"]})");
  EXPECT_EQ(text_at(changed, "/kind"), "topics");
  EXPECT_EQ(listed("topics", "shipped"), json::Value(false));

  const auto gone = ask("DELETE", "/v1/analyzers/topics", key);

  EXPECT_EQ(gone.status, 204);
  EXPECT_EQ(gone.body, "");
  EXPECT_EQ(listed("topics", "shipped"), json::Value(true));
  expect_error(ask("DELETE", "/v1/analyzers/topics", key), 404, ErrorCode::not_found);
}

TEST_F(AnalyzerRoutesTest, a_deleted_one_is_gone_and_its_versions_go_on) {
  ASSERT_EQ(ask("PUT", "/v1/analyzers/quality", key, kCard).status, 200);

  EXPECT_EQ(ask("DELETE", "/v1/analyzers/quality", key).status, 204);

  expect_error(ask("GET", "/v1/analyzers/quality", key), 404, ErrorCode::not_found);
  EXPECT_THAT(names_in_force(), SizeIs(8));
  EXPECT_EQ(number_at(ask("PUT", "/v1/analyzers/quality", key, kCard), "/version"), 2);
}

TEST_F(AnalyzerRoutesTest, settings_are_kept_as_they_are_put) {
  const auto* settings = R"({"budget":{"tokens_per_day":100000,"usd_per_month":12.5},)"
                         R"("mask_pii":true,"mask_names":["Mette Holm"],"language":"da"})";

  const auto put = ask("PUT", "/v1/analyses/settings", key, settings);

  EXPECT_EQ(put.body, settings);
  EXPECT_EQ(ask("GET", "/v1/analyses/settings", key).body, settings);
  EXPECT_NE(ask("GET", "/v1/analyses/settings", make_key(globex)).body, settings);
  expect_error(ask("PUT", "/v1/analyses/settings", key, R"({"budget":{"usd_per_day":-1}})"), 422,
               ErrorCode::invalid_argument);
  EXPECT_EQ(ask("GET", "/v1/analyses/settings", key).body, settings);
}

}  // namespace
}  // namespace samtale

#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class AdminRoutesTest : public ApiTest {
 protected:
  const std::string key = make_key(acme);
};

TEST_F(AdminRoutesTest, a_new_key_is_shown_once_and_works) {
  const auto made =
      ask("POST", "/v1/keys", key, R"({"label":"importer","scopes":["ingest","search"]})");

  EXPECT_EQ(made.status, 201);
  const auto fresh = text_at(made, "/key");
  EXPECT_EQ(text_at(ask("GET", "/v1/whoami", fresh), "/label"), "importer");
  EXPECT_THAT(ask("GET", "/v1/whoami", fresh).body, HasSubstr(R"("scopes":["ingest","search"])"));
  EXPECT_THAT(ask("GET", "/v1/keys", key).body, Not(HasSubstr(fresh.substr(fresh.rfind('_') + 1))));
}

TEST_F(AdminRoutesTest, a_key_that_could_do_nothing_or_anything_unknown_is_not_made) {
  const auto before = tenants->keys(acme).size();

  for (const auto* body :
       {"{}", R"({"scopes":[]})", R"({"scopes":["root"]})", R"({"scopes":"read"})",
        R"({"scopes":["read"],"expires_at":"2020-01-01T00:00:00Z"})",
        R"({"scopes":["read"],"expires_at":"soon"})",
        R"({"scopes":["read"],"company":"globex"})"}) {
    expect_error(ask("POST", "/v1/keys", key, body), 422, ErrorCode::invalid_argument);
  }
  EXPECT_EQ(tenants->keys(acme).size(), before);
}

TEST_F(AdminRoutesTest, a_new_endpoint_tells_its_url_and_its_secret_once) {
  const auto made = ask("POST", "/v1/endpoints", key, R"({"preset":"standard-webhooks"})");

  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(text_at(made, "/url"), "https://samtale.test/v1/webhooks/" + text_at(made, "/id"));
  EXPECT_THAT(text_at(made, "/secret"), StartsWith("whsec_"));
  EXPECT_EQ(text_at(made, "/source"), "standard-webhooks");
  const auto listed = ask("GET", "/v1/endpoints", key);
  EXPECT_EQ(text_at(listed, "/endpoints/0/id"), text_at(made, "/id"));
  EXPECT_THAT(listed.body, Not(HasSubstr("whsec_")));
}

TEST_F(AdminRoutesTest, an_endpoint_that_could_not_work_is_not_made) {
  struct Case {
    const char* body;
    const char* names;
  };
  for (const auto& [body, names] :
       {Case{"{}", "/preset"}, Case{R"({"preset":"nobody"})", "/preset: must be one of"},
        Case{R"({"preset":"standard-webhooks","secret":"short"})", "/secret"},
        Case{R"({"preset":"retell","source":"Ümlaut"})", "/source"},
        Case{R"({"preset":"retell","idle_timeout_s":-1})", "/idle_timeout_s"}}) {
    const auto answer = ask("POST", "/v1/endpoints", key, body);
    expect_error(answer, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr(names)) << body;
  }
  EXPECT_TRUE(tenants->endpoints(acme).empty());
}

TEST_F(AdminRoutesTest, a_rotation_to_a_secret_that_could_not_work_is_refused) {
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "standard-webhooks"});

  const auto answer =
      ask("POST", "/v1/endpoints/" + endpoint.id + "/rotate", key, R"({"secret":"short"})");

  expect_error(answer, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("/secret: "));
  EXPECT_EQ(tenants->find_endpoint(endpoint.id).value()->secrets.size(), 1U);
}

TEST_F(AdminRoutesTest, a_bad_secret_does_not_tell_whose_endpoint_it_is_for) {
  const auto theirs = *tenants->create_endpoint(globex, {.preset = "standard-webhooks"});

  const auto answer =
      ask("POST", "/v1/endpoints/" + theirs.id + "/rotate", key, R"({"secret":"short"})");

  expect_error(answer, 404, ErrorCode::not_found);
}

TEST_F(AdminRoutesTest, a_rotation_keeps_the_old_secret_only_as_long_as_asked) {
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});
  const auto rotate = [&](const char* body) {
    return ask("POST", "/v1/endpoints/" + endpoint.id + "/rotate", key, body);
  };

  EXPECT_EQ(number_at(rotate(R"({"keep_old_s":60})"), "/secrets"), 2);
  expect_error(rotate(R"({"keep_old_s":2592001})"), 422, ErrorCode::invalid_argument);
  clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(number_at(rotate(R"({"keep_old_s":0})"), "/secrets"), 2) << "one had ended already";
}

TEST_F(AdminRoutesTest, presets_are_those_that_endpoints_take) {
  const auto presets = body_of(ask("GET", "/v1/presets", key));

  for (const auto& preset : *presets.find("presets")->as_array()) {
    const json::Value wanted = json::Object{{"preset", *preset.find("name")}};
    EXPECT_EQ(ask("POST", "/v1/endpoints", key, json::dump(wanted)).status, 201);
  }
  EXPECT_FALSE(tenants->endpoints(acme).empty());
}

TEST_F(AdminRoutesTest, the_operator_makes_companies_with_names_that_are_safe_everywhere) {
  const auto make = [&](const std::string& name) {
    return ask_locally("POST", "/v1/companies",
                       json::dump(json::Object{{"name", name}, {"weight", 2.5}}));
  };

  EXPECT_EQ(make("initech").status, 201);
  expect_error(make("initech"), 409, ErrorCode::conflict);
  for (const auto& bad : {std::string(), std::string("Initech"), std::string("../x"),
                          std::string("-x"), std::string("a\xC4\xB1"), std::string(10'000, 'x')}) {
    expect_error(make(bad), 422, ErrorCode::invalid_argument);
  }
  EXPECT_THAT(ask_locally("GET", "/v1/companies").body, HasSubstr(R"("name":"initech")"));
}

TEST_F(AdminRoutesTest, no_company_is_split_where_there_are_no_slices) {
  expect_error(ask_locally("POST", "/v1/companies/nobody/split"), 404, ErrorCode::not_found);
  const auto refused = ask_locally("POST", "/v1/companies/acme/split");
  expect_error(refused, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(refused, "/message"), HasSubstr("cluster.slices is 1"));
  EXPECT_THAT(ask_locally("GET", "/v1/cluster").body,
              HasSubstr(R"("slices":1,"layout":0,"split_companies":[])"));
}

TEST_F(AdminRoutesTest, a_replay_lets_events_of_the_time_asked_for_take_effect_again) {
  send(key, "a", "zebra");
  settle();

  EXPECT_EQ(number_at(ask_locally("POST", "/v1/replay", "{}"), "/replayed"), 1);
  EXPECT_EQ(
      number_at(ask_locally("POST", "/v1/replay", R"({"to":"2020-01-01T00:00:00Z"})"), "/replayed"),
      0);
  expect_error(ask_locally("POST", "/v1/replay", R"({"from":"soon"})"), 422,
               ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace samtale

#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class BackfillRoutesTest : public ApiTest {
 protected:
  void add(const std::string& external_id, const std::string& channel = "chat") {
    const json::Value document = json::Object{
        {"id", external_id},
        {"channel", channel},
        {"status", "ended"},
        {"turns",
         json::Array{json::Object{{"speaker", "customer"}, {"text", "The printer is terrible."}}}}};
    const auto answer = ask("POST", "/v1/conversations", key, json::dump(document));
    EXPECT_EQ(answer.status, 202) << answer.body;
    settle();
  }
  std::string start(const std::string& body = "{}") {
    const auto answer = ask("POST", "/v1/backfills", key, body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return text_at(answer, "/id");
  }
  http::Response act(const std::string& id, const std::string& action) {
    return ask("POST", "/v1/backfills/" + id + "/" + action, key);
  }

  const std::string key = make_key(acme);
};

TEST_F(BackfillRoutesTest, an_estimate_starts_nothing) {
  add("a");
  add("b", "voice");

  const auto all = ask("POST", "/v1/backfills", key, R"({"estimate_only":true})");
  const auto voice =
      ask("POST", "/v1/backfills", key, R"({"estimate_only":true,"channel":"voice"})");

  ASSERT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(number_at(all, "/estimate/conversations"), 2);
  EXPECT_EQ(number_at(all, "/estimate/input_tokens"), 0);  // Nothing is asked of a model.
  EXPECT_EQ(number_at(voice, "/estimate/conversations"), 1);
  EXPECT_EQ(ask("GET", "/v1/backfills", key).body, R"({"backfills":[]})");
}

TEST_F(BackfillRoutesTest, shows_how_far_it_is_until_it_is_done) {
  add("a");
  add("b");
  settle_analyses();

  const auto made = ask("POST", "/v1/backfills", key, R"({"analyzers":["sentiment"]})");

  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(text_at(made, "/state"), "running");
  EXPECT_EQ(number_at(made, "/total"), 2);
  EXPECT_EQ(number_at(made, "/seen"), 0);
  EXPECT_EQ(text_at(made, "/filter/analyzers/0"), "sentiment");
  ASSERT_TRUE(backfills->step());
  const auto path = "/v1/backfills/" + text_at(made, "/id");
  const auto asked = ask("GET", path, key);
  EXPECT_EQ(text_at(asked, "/state"), "done");
  EXPECT_EQ(number_at(asked, "/asked"), 2);
  EXPECT_EQ(number_at(asked, "/waiting"), 2);
  settle_analyses();
  EXPECT_EQ(number_at(ask("GET", path, key), "/waiting"), 0);
}

TEST_F(BackfillRoutesTest, is_paused_resumed_and_cancelled) {
  add("a");
  settle_analyses();
  const auto id = start();

  EXPECT_EQ(text_at(act(id, "pause"), "/state"), "paused");
  ASSERT_TRUE(backfills->step());
  EXPECT_EQ(number_at(ask("GET", "/v1/backfills/" + id, key), "/seen"), 0);
  EXPECT_EQ(text_at(act(id, "resume"), "/state"), "running");
  EXPECT_EQ(text_at(act(id, "cancel"), "/state"), "cancelled");
  for (const auto* action : {"pause", "resume", "cancel"}) {
    expect_error(act(id, action), 409, ErrorCode::conflict);
    expect_error(act("bf_nothere", action), 404, ErrorCode::not_found);
  }
}

TEST_F(BackfillRoutesTest, lists_them_newest_first) {
  const auto first = start(R"({"channel":"voice"})");
  clock.advance(std::chrono::seconds(1));
  const auto second = start();

  const auto list = ask("GET", "/v1/backfills", key);

  EXPECT_EQ(text_at(list, "/backfills/0/id"), second);
  EXPECT_EQ(text_at(list, "/backfills/1/id"), first);
  EXPECT_EQ(text_at(list, "/backfills/1/filter/channel"), "voice");
  EXPECT_THAT(*body_of(list).find("backfills")->as_array(), SizeIs(2));
}

TEST_F(BackfillRoutesTest, refuses_what_it_does_not_understand) {
  for (const auto* body : {R"({"analyzers":["nobodys"]})", R"({"from":"yesterday"})",
                           R"({"estimate_only":"yes"})", R"({"cursor":"x"})", "[]"}) {
    expect_error(ask("POST", "/v1/backfills", key, body), 422, ErrorCode::invalid_argument);
  }
  expect_error(ask("POST", "/v1/backfills", key, "{"), 400, ErrorCode::invalid_argument);
}

TEST_F(BackfillRoutesTest, a_company_has_only_so_many_under_way) {
  for (int i = 0; i < 5; ++i) start();

  const auto answer = ask("POST", "/v1/backfills", key, "{}");

  expect_error(answer, 429, ErrorCode::resource_exhausted);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("at most 5"));
}

}  // namespace
}  // namespace samtale

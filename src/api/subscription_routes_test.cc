#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class SubscriptionRoutesTest : public ApiTest {
 protected:
  http::Response subscribe(const std::string& body = R"({"url":"https://example.com/hook"})") {
    return ask("POST", "/v1/subscriptions", key, body);
  }

  const std::string key = make_key(acme, {Scope::admin});
};

TEST_F(SubscriptionRoutesTest, show_the_secret_once) {
  const auto made =
      subscribe(R"({"url":"https://example.com/hook","events":["analysis.completed"]})");

  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(text_at(made, "/secret"), StartsWith("whsec_"));
  EXPECT_EQ(text_at(made, "/state"), "active");
  const auto list = ask("GET", "/v1/subscriptions", key);
  EXPECT_EQ(text_at(list, "/subscriptions/0/id"), text_at(made, "/id"));
  EXPECT_EQ(text_at(list, "/subscriptions/0/url"), "https://example.com/hook");
  EXPECT_EQ(text_at(list, "/subscriptions/0/events/0"), "analysis.completed");
  EXPECT_THAT(list.body, Not(HasSubstr("whsec_")));
}

TEST_F(SubscriptionRoutesTest, refuse_what_is_wrong_and_say_what) {
  for (const auto& [body, says] :
       {std::pair(R"({})", "/url"),
        {R"({"url":"http://example.com/"})", "/url: must begin with https://"},
        {R"({"url":"https://example.com:22/"})", "/url: the port"},
        {R"({"url":"https://example.com/","events":["everything"]})", "/events"},
        {R"({"url":"https://example.com/","secret":"whsec_x"})", "/secret"}}) {
    const auto answer = subscribe(body);
    expect_error(answer, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr(says));
  }
}

TEST_F(SubscriptionRoutesTest, rotate_to_a_new_secret_beside_the_old) {
  const auto made = subscribe();
  const auto path = "/v1/subscriptions/" + text_at(made, "/id");

  const auto rotated = ask("POST", path + "/rotate", key, R"({"keep_old_s":60})");

  EXPECT_EQ(rotated.status, 200) << rotated.body;
  EXPECT_EQ(number_at(rotated, "/secrets"), 2);
  EXPECT_NE(text_at(rotated, "/secret"), text_at(made, "/secret"));
  expect_error(ask("POST", path + "/rotate", key, R"({"keep_old_s":-1})"), 422,
               ErrorCode::invalid_argument);
}

TEST_F(SubscriptionRoutesTest, say_why_one_is_paused_and_resume_it) {
  const auto id = text_at(subscribe(), "/id");
  EXPECT_TRUE(subscriptions->note_failed(acme, id));
  EXPECT_TRUE(subscriptions->pause(acme, id, "nothing but failures"));
  const auto list = ask("GET", "/v1/subscriptions", key);
  EXPECT_EQ(text_at(list, "/subscriptions/0/state"), "paused");
  EXPECT_EQ(text_at(list, "/subscriptions/0/why"), "nothing but failures");
  EXPECT_EQ(text_at(list, "/subscriptions/0/failing_since"), format_time(clock.wall_now()));

  const auto resumed = ask("POST", "/v1/subscriptions/" + id + "/resume", key);

  EXPECT_EQ(text_at(resumed, "/state"), "active");
  EXPECT_EQ(text_at(resumed, "/failing_since"), "");
}

TEST_F(SubscriptionRoutesTest, test_by_a_ping_and_tell_how_it_went) {
  const auto path = "/v1/subscriptions/" + text_at(subscribe(), "/id") + "/test";
  subscriber.then_answer(204, "");
  subscriber.then_answer(500, "secret words of the receiver");
  subscriber.then_fail(ErrorCode::unavailable, "refused");

  const auto good = ask("POST", path, key);
  const auto bad = ask("POST", path, key);
  const auto none = ask("POST", path, key);

  EXPECT_EQ(number_at(good, "/status"), 204);
  EXPECT_EQ(*body_of(good).find("delivered"), json::Value(true));
  EXPECT_EQ(text_at(bad, "/cause"), "answered 500");
  EXPECT_EQ(*body_of(bad).find("delivered"), json::Value(false));
  EXPECT_THAT(bad.body, Not(HasSubstr("secret words")));
  EXPECT_TRUE(body_of(none).find("status")->is_null()) << none.body;
  ASSERT_THAT(subscriber.calls(), SizeIs(3));
  EXPECT_THAT(subscriber.calls()[0].body, StartsWith(R"({"type":"ping","timestamp":)"));
}

TEST_F(SubscriptionRoutesTest, revoke_at_once) {
  const auto path = "/v1/subscriptions/" + text_at(subscribe(), "/id");

  EXPECT_EQ(ask("DELETE", path, key).status, 200);

  EXPECT_FALSE(subscriptions->has_active(acme));
  EXPECT_EQ(text_at(ask("GET", "/v1/subscriptions", key), "/subscriptions/0/state"), "revoked");
  expect_error(ask("DELETE", path, key), 404, ErrorCode::not_found);
  expect_error(ask("POST", path + "/test", key), 404, ErrorCode::not_found);
}

TEST_F(SubscriptionRoutesTest, are_so_many_and_no_more) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(subscribe().status, 201);

  expect_error(subscribe(), 429, ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace samtale

#include "api/answer.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Expected {
  ErrorCode code;
  int status;
};
constexpr Expected kTable[] = {
    {ErrorCode::invalid_argument, 422},  {ErrorCode::unauthenticated, 401},
    {ErrorCode::permission_denied, 403}, {ErrorCode::not_found, 404},
    {ErrorCode::conflict, 409},          {ErrorCode::resource_exhausted, 429},
    {ErrorCode::deadline_exceeded, 503}, {ErrorCode::unavailable, 503},
    {ErrorCode::corrupt, 500},
};

bool has_header(const http::Response& response, std::string_view name) {
  return std::ranges::any_of(response.headers,
                             [&](const auto& header) { return header.first == name; });
}

http::Request request_named(std::string id) {
  http::Request request;
  request.id = std::move(id);
  return request;
}

TEST(AnswerTest, every_error_has_its_status_and_the_same_four_members) {
  for (const auto& [code, status] : kTable) {
    const auto response = api::failure({code, "why"}, request_named("req-7"));

    EXPECT_EQ(response.status, status) << name(code);
    const auto body = json::parse(response.body);
    ASSERT_TRUE(body);
    EXPECT_EQ(body->as_object()->size(), 4U);
    EXPECT_EQ(*body->find("code"), json::Value(name(code)));
    EXPECT_EQ(*body->find("request_id"), json::Value("req-7"));
    EXPECT_EQ(*body->find("retryable"), json::Value(retryable(code)));
    EXPECT_NE(*body->find("message")->as_string(), "");
  }
}

TEST(AnswerTest, whoever_may_try_again_is_told_when) {
  for (const auto& [code, status] : kTable) {
    const auto response = api::failure({code, "why"}, request_named("req-7"));

    EXPECT_EQ(has_header(response, "Retry-After"), retryable(code)) << name(code);
    EXPECT_EQ(has_header(response, "WWW-Authenticate"), status == 401) << name(code);
  }
}

TEST(AnswerTest, what_failed_inside_stays_inside) {
  for (const auto code :
       {ErrorCode::unavailable, ErrorCode::deadline_exceeded, ErrorCode::corrupt}) {
    const Error error{code, "http://10.0.0.5:9000/v1: SELECT * FROM turns: /var/lib/samtale/a.db"};

    for (const auto& body :
         {api::failure(error, request_named("req-7")).body, json::dump(api::error_value(error))}) {
      EXPECT_THAT(body, Not(HasSubstr("10.0.0.5"))) << name(code);
      EXPECT_THAT(body, Not(HasSubstr("SELECT"))) << name(code);
      EXPECT_THAT(body, Not(HasSubstr("/var"))) << name(code);
    }
  }
}

TEST(AnswerTest, the_callers_own_mistakes_are_told_as_they_are) {
  const auto response =
      api::failure({ErrorCode::invalid_argument, "/limit: too large"}, request_named("req-7"));

  EXPECT_THAT(response.body, HasSubstr("/limit: too large"));
}

TEST(AnswerTest, a_malformed_body_is_400) {
  const auto response =
      api::malformed({ErrorCode::invalid_argument, "not JSON"}, request_named("req-7"));

  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("\"invalid_argument\""));
}

}  // namespace
}  // namespace samtale

#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;

constexpr Asset kAssets[] = {{"/index.html", "text/html; charset=utf-8", "<title>Samtale</title>"},
                             {"/assets/app.js", "text/javascript; charset=utf-8", "run()"}};

class OperationsRoutesTest : public ApiTest {
 protected:
  explicit OperationsRoutesTest(bool metrics_open = false)
      : ApiTest({.version = "1.2.3",
                 .metrics_open = metrics_open,
                 .assets = {std::begin(kAssets), std::end(kAssets)}}) {}

  http::Response ask_from(const std::string& peer, const std::string& target) {
    http::Request request;
    request.method = "GET";
    request.target = target;
    request.peer = peer;
    request.id = "req-1";
    return http::dispatch(routes, std::move(request));
  }
};

TEST_F(OperationsRoutesTest, readiness_says_why_not) {
  EXPECT_EQ(ask("GET", "/readyz", "").status, 200);

  not_ready = "loading the index";
  const auto answer = ask("GET", "/readyz", "");

  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(text_at(answer, "/cause"), "loading the index");
  EXPECT_NE(header_of(answer, "Retry-After"), "");
  EXPECT_EQ(ask("GET", "/healthz", "").status, 200) << "it lives nevertheless";
}

TEST_F(OperationsRoutesTest, metrics_are_for_this_machine) {
  for (const auto* peer : {"127.0.0.1:5000", "127.1.2.3:1", "[::1]:5000", "::1:5000"}) {
    EXPECT_EQ(ask_from(peer, "/metrics").status, 200) << peer;
  }
  EXPECT_EQ(ask_locally("GET", "/metrics").status, 200);
  for (const auto* peer : {"192.0.2.1:5000", "[2001:db8::1]:5000", "10.127.0.1:5000"}) {
    expect_error(ask_from(peer, "/metrics"), 404, ErrorCode::not_found);
  }
}

class OpenMetricsTest : public OperationsRoutesTest {
 protected:
  OpenMetricsTest() : OperationsRoutesTest(true) {}
};

TEST_F(OpenMetricsTest, metrics_are_for_anybody_where_the_operator_says_so) {
  const auto answer = ask_from("192.0.2.1:5000", "/metrics");

  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.content_type, HasSubstr("text/plain"));
}

TEST_F(OperationsRoutesTest, the_dashboard_comes_with_a_strict_policy) {
  const auto page = ask("GET", "/", "");

  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(header_of(page, "Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_EQ(ask("GET", "/assets/app.js", "").body, "run()");
  expect_error(ask("GET", "/assets/none.js", ""), 404, ErrorCode::not_found);
}

TEST_F(OperationsRoutesTest, openapi_is_served_with_the_version) {
  const auto answer = ask("GET", "/openapi.json", "");

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(text_at(answer, "/info/version"), "1.2.3");
}

}  // namespace
}  // namespace samtale

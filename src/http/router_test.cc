#include "http/router.h"

#include <gtest/gtest.h>

#include "http/response_writer.h"

namespace samtale::http {
namespace {

std::vector<Route> make_routes(
    std::initializer_list<std::pair<const char*, const char*>> patterns) {
  std::vector<Route> routes;
  for (const auto& [method, pattern] : patterns) {
    Route route;
    route.method = method;
    route.pattern = pattern;
    route.handler = [](const Request&, Reply) {};
    routes.push_back(std::move(route));
  }
  return routes;
}

std::string found(const Router& router, std::string_view method, std::string_view path) {
  const auto match = router.match(method, path);
  if (!match.route) return match.allow.empty() ? "none" : "only " + match.allow;
  std::string out = match.route->pattern;
  for (const auto& [name, value] : match.params) out += " " + name + "=" + value;
  return out;
}

TEST(RouterTest, takes_the_most_specific_literal_first) {
  const auto routes = make_routes({{"GET", "/a/{x}/c"},
                                   {"GET", "/a/b/{y}"},
                                   {"GET", "/a/b/c"},
                                   {"GET", "/{p}/{q}/{r}"},
                                   {"GET", "/"}});
  const Router router(routes);

  EXPECT_EQ(found(router, "GET", "/"), "/");
  EXPECT_EQ(found(router, "GET", "/a/b/c"), "/a/b/c");
  EXPECT_EQ(found(router, "GET", "/a/b/d"), "/a/b/{y} y=d");
  EXPECT_EQ(found(router, "GET", "/a/z/c"), "/a/{x}/c x=z");
  EXPECT_EQ(found(router, "GET", "/a/z/d"), "/{p}/{q}/{r} p=a q=z r=d");
  EXPECT_EQ(found(router, "GET", "/a/b"), "none");
  EXPECT_EQ(found(router, "GET", "/a/b/c/d"), "none");
  EXPECT_EQ(found(router, "GET", "/a//c"), "none");
}

TEST(RouterTest, goes_on_to_a_less_specific_pattern_that_has_the_method) {
  const auto routes =
      make_routes({{"POST", "/v1/search"}, {"GET", "/v1/{id}"}, {"DELETE", "/v1/{id}"}});
  const Router router(routes);

  EXPECT_EQ(found(router, "POST", "/v1/search"), "/v1/search");
  EXPECT_EQ(found(router, "GET", "/v1/search"), "/v1/{id} id=search");
  EXPECT_EQ(found(router, "HEAD", "/v1/search"), "/v1/{id} id=search");
  EXPECT_EQ(found(router, "PUT", "/v1/search"), "only DELETE, GET, HEAD, POST");
  EXPECT_EQ(found(router, "PUT", "/v1/x"), "only DELETE, GET, HEAD");
  EXPECT_EQ(router.all_methods(), "DELETE, GET, HEAD, POST");
}

TEST(RouterTest, decodes_each_part_after_splitting) {
  const auto routes = make_routes({{"GET", "/v1/{id}"}, {"GET", "/v1/{id}/turns"}});
  const Router router(routes);

  EXPECT_EQ(found(router, "GET", "/v1/a%2Fturns"), "/v1/{id} id=a/turns");
  EXPECT_EQ(found(router, "GET", "/%76%31/b/t%75rns"), "/v1/{id}/turns id=b");
}

TEST(RouterDeathTest, refuses_a_bad_table) {
  const auto twice = make_routes({{"GET", "/a/{x}"}, {"GET", "/a/{y}"}});
  const auto relative = make_routes({{"GET", "a"}});
  const auto half = make_routes({{"GET", "/{a}b"}});

  EXPECT_DEATH(Router{twice}, "there twice");
  EXPECT_DEATH(Router{relative}, "begins with a slash");
  EXPECT_DEATH(Router{half}, "whole part");
}

TEST(ResponseWriterTest, writes_dates_as_http_asks) {
  EXPECT_EQ(http_date(from_us(784111777'000000)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(from_us(951782399'999999)), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(http_date(from_us(951782400'000000)), "Tue, 29 Feb 2000 00:00:00 GMT");
}

}  // namespace
}  // namespace samtale::http

// Goal: a request goes to a node that has the partition, to another if the first does not answer,
//       and never to one that has it not.
#include "cluster/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "sim/sim_clock.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using ::testing::ElementsAre;

class RouterTest : public ::testing::Test, public HttpClient {
 protected:
  RouterTest() {
    router.set_members({member("http://a", 0b01), member("http://b", 0b11), member("", 0b11),
                        member("http://c", 0b10)});
  }
  static Member member(std::string url, Partitions ready) {
    return {.node = url, .url = url, .roles = {}, .ready = ready};
  }
  Result<HttpAnswer> call(const HttpCall& call) override {
    asked.push_back(call.url);
    timeouts.push_back(call.timeout);
    clock.advance(takes);
    return answer(call.url);
  }
  Result<HttpAnswer> send(std::size_t partition) {
    return router.send(partition, {.url = "/v1/search", .body = "{}"});
  }

  SimRandom random{1};
  SimClock clock;
  Duration takes{};
  Router router{*this, random, clock};
  std::vector<std::string> asked;
  std::vector<Duration> timeouts;
  std::function<Result<HttpAnswer>(const std::string&)> answer = [](const std::string&) {
    return HttpAnswer{.status = 200, .headers = {}, .body = "yes"};
  };
};

TEST_F(RouterTest, asks_those_that_have_the_partition_each_in_its_turn) {
  for (int i = 0; i < 50; ++i) EXPECT_EQ(send(0)->body, "yes");

  std::map<std::string, int> counts;
  for (const auto& url : asked) ++counts[url];
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_GT(counts["http://a/v1/search"], 10);
  EXPECT_GT(counts["http://b/v1/search"], 10);
}

TEST_F(RouterTest, asks_another_where_one_is_away_or_full) {
  for (const int status : {0, 503}) {  // 0: no connection.
    asked.clear();
    answer = [&](const std::string& url) -> Result<HttpAnswer> {
      if (!url.starts_with("http://b"))
        return HttpAnswer{.status = 200, .headers = {}, .body = "a"};
      if (status == 0) return fail(ErrorCode::unavailable, "refused");
      return HttpAnswer{.status = status, .headers = {}, .body = ""};
    };
    for (int i = 0; i < 20; ++i) EXPECT_EQ(send(0)->body, "a");
    EXPECT_GT(asked.size(), 20U);
  }
  answer = [](const std::string&) { return fail(ErrorCode::unavailable, "refused"); };
  asked.clear();
  EXPECT_FALSE(send(0));
  EXPECT_EQ(asked.size(), 2U);
  EXPECT_NE(asked[0], asked[1]);
}

TEST_F(RouterTest, waits_long_for_the_last_that_could_answer_and_not_for_the_first) {
  answer = [](const std::string&) { return fail(ErrorCode::deadline_exceeded, "late"); };
  const HttpCall call{.url = "/", .timeout = std::chrono::seconds(10)};
  ASSERT_FALSE(router.send(0, call));
  EXPECT_THAT(timeouts, ElementsAre(std::chrono::seconds(1), std::chrono::seconds(10)));

  router.set_members({member("http://a", 1)});
  timeouts.clear();
  ASSERT_FALSE(router.send(0, call));
  EXPECT_THAT(timeouts, ElementsAre(std::chrono::seconds(10))) << "nobody else could";
}

TEST_F(RouterTest, waits_for_the_first_by_what_answers_have_taken) {
  const auto answers = [&](int count, int each_ms) {
    takes = std::chrono::milliseconds(each_ms);
    for (int i = 0; i < count; ++i) ASSERT_TRUE(send(0));
  };
  answers(200, 100);
  EXPECT_EQ(router.patience(), std::chrono::seconds(1)) << "too few to say";
  answers(56, 100);
  EXPECT_EQ(router.patience(), std::chrono::milliseconds(200));
  answers(10, 400);
  answers(246, 1);
  EXPECT_EQ(router.patience(), std::chrono::milliseconds(50)) << "one in twenty is not the rule";
  answers(32, 5000);
  EXPECT_EQ(router.patience(), std::chrono::seconds(1));
}

TEST_F(RouterTest, an_answer_that_refuses_the_request_is_the_answer) {
  answer = [](const std::string&) {
    return HttpAnswer{.status = 422, .headers = {}, .body = "no"};
  };

  EXPECT_EQ(send(1)->status, 422);
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(RouterTest, says_that_nobody_has_it) {
  const auto refused = send(5);

  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(router.stats().refused, 1U);
}

TEST_F(RouterTest, prefers_the_node_with_fewer_requests_under_way) {
  // While one is being asked, others come: they see it busy.
  std::vector<std::string> meanwhile;
  answer = [&](const std::string& url) {
    if (meanwhile.empty()) {
      meanwhile.push_back(url);
      for (int i = 0; i < 40; ++i) EXPECT_TRUE(send(0));
    }
    return HttpAnswer{.status = 200, .headers = {}, .body = {}};
  };
  ASSERT_TRUE(send(0));

  const auto busy = std::ranges::count(asked, meanwhile[0]);
  EXPECT_LT(busy, 20) << "of 41; two equal ones would have half each";
}

}  // namespace
}  // namespace samtale

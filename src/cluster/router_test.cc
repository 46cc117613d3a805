// Goal: a request goes to a node that has the partition, to another if the first does not answer,
//       and never to one that has it not; one that is late is hedged, but few are.
// Method: the node that is asked moves the clock and lets the router hedge, on the same thread.
#include "cluster/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <thread>

#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

using ::testing::ElementsAre;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class RouterTest : public ::testing::Test, public HttpClient {
 protected:
  RouterTest() {
    router.set_members({member("http://a", 0b01), member("http://b", 0b11), member("", 0b11),
                        member("http://c", 0b10)});
  }
  static Member member(std::string url, Slices ready) {
    return {.node = url, .url = url, .roles = {}, .ready = ready};
  }
  Result<HttpAnswer> call(const HttpCall& call) override {
    asked.push_back(call.url);
    timeouts.push_back(call.timeout);
    stops.push_back(call.stop);
    clock.advance(takes);
    return answer(call.url);
  }
  Result<HttpAnswer> send(std::size_t partition) {
    return router.send(partition, {.url = "/v1/search", .body = "{}"});
  }
  void answer_after(int count, Duration each) {
    takes = each;
    for (int i = 0; i < count; ++i) ASSERT_TRUE(send(0));
  }
  // The second is asked while the first is.
  struct First {
    bool was_stopped = false;
  };
  std::shared_ptr<const First> the_first_hangs_until_hedged() {
    auto first = std::make_shared<First>();
    answer = [this, first](const std::string&) -> Result<HttpAnswer> {
      if (asked.size() == 2) return HttpAnswer{.status = 200, .headers = {}, .body = "second"};
      clock.advance(router.hedge_after());
      EXPECT_TRUE(router.hedge());
      first->was_stopped = stops.front().stop_requested();
      return fail(ErrorCode::unavailable, "stopped");
    };
    return first;
  }

  SimRandom random{1};
  SimClock clock;
  Duration takes{};
  Router router{*this, random, clock};
  std::vector<std::string> asked;
  std::vector<Duration> timeouts;
  std::vector<std::stop_token> stops;
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

TEST_F(RouterTest, asks_only_those_that_have_loaded_the_layout) {
  auto newer = member("http://a", 1);
  newer.layout = 2;
  router.set_members({newer, member("http://b", 1)});

  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(router.send(0, {.url = "/v1/search"}, 2));
    EXPECT_EQ(asked.back(), "http://a/v1/search");
  }
  EXPECT_TRUE(router.knows_one(0, 2));
  EXPECT_FALSE(router.knows_one(0, 3));
  EXPECT_FALSE(router.knows_one(1, 0));
  EXPECT_EQ(router.send(0, {.url = "/v1/search"}, 3).error().code, ErrorCode::unavailable);
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

TEST_F(RouterTest, calls_late_what_one_in_twenty_of_the_last_answers_was) {
  answer_after(200, 100ms);
  EXPECT_EQ(router.hedge_after(), 500ms) << "too few to say";
  answer_after(56, 100ms);
  EXPECT_EQ(router.hedge_after(), 100ms);
  EXPECT_EQ(router.give_up_after(), 1s);
  answer_after(10, 400ms);
  answer_after(246, 1ms);
  EXPECT_EQ(router.hedge_after(), 10ms) << "ten are not the rule";
  answer_after(32, 5s);
  EXPECT_EQ(router.hedge_after(), 1s);
  EXPECT_EQ(router.give_up_after(), 10s);
}

TEST_F(RouterTest, asks_a_second_beside_a_first_that_is_late_and_takes_its_answer) {
  const auto first = the_first_hangs_until_hedged();

  const auto answered = send(0);

  EXPECT_EQ(answered->body, "second");
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_NE(asked[0], asked[1]);
  EXPECT_TRUE(first->was_stopped);
  EXPECT_EQ(router.stats().hedges, 1U);
  EXPECT_EQ(router.stats().hedges_won, 1U);
  EXPECT_EQ(router.stats().sent_again, 0U);
}

TEST_F(RouterTest, does_not_ask_a_second_before_the_first_is_late) {
  answer = [&](const std::string&) {
    clock.advance(router.hedge_after() - 1ms);
    EXPECT_FALSE(router.hedge());
    return HttpAnswer{.status = 200, .headers = {}, .body = "first"};
  };

  EXPECT_EQ(send(0)->body, "first");
  clock.advance(1h);
  EXPECT_FALSE(router.hedge()) << "it has its answer";
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(RouterTest, asks_no_second_where_nobody_else_has_it) {
  router.set_members({member("http://a", 1)});
  answer = [&](const std::string&) {
    clock.advance(1h);
    EXPECT_FALSE(router.hedge());
    return HttpAnswer{.status = 200, .headers = {}, .body = "first"};
  };

  EXPECT_EQ(send(0)->body, "first");
}

TEST_F(RouterTest, a_second_that_refuses_leaves_the_first_its_time) {
  answer = [&](const std::string&) -> Result<HttpAnswer> {
    if (asked.size() == 2) return HttpAnswer{.status = 503, .headers = {}, .body = "full"};
    clock.advance(router.hedge_after());
    EXPECT_TRUE(router.hedge());
    EXPECT_FALSE(stops.front().stop_requested());
    return HttpAnswer{.status = 200, .headers = {}, .body = "first"};
  };

  EXPECT_EQ(send(0)->body, "first");
  EXPECT_EQ(router.stats().hedges, 1U);
  EXPECT_EQ(router.stats().hedges_won, 0U);
}

TEST_F(RouterTest, where_both_refuse_a_third_is_asked) {
  router.set_members({member("http://a", 1), member("http://b", 1), member("http://c", 1)});
  answer = [&](const std::string&) -> Result<HttpAnswer> {
    if (asked.size() == 3) return HttpAnswer{.status = 200, .headers = {}, .body = "third"};
    if (asked.size() == 1) {
      clock.advance(router.hedge_after());
      EXPECT_TRUE(router.hedge());
    }
    return HttpAnswer{.status = 503, .headers = {}, .body = "full"};
  };

  EXPECT_EQ(send(0)->body, "third");
  EXPECT_EQ(asked.size(), 3U);
}

TEST_F(RouterTest, an_overload_is_not_doubled) {
  answer = [&](const std::string&) {
    clock.advance(router.hedge_after());
    (void)router.hedge();
    return HttpAnswer{.status = 200, .headers = {}, .body = {}};
  };

  constexpr int kRequests = 1'000;
  for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(send(0));

  EXPECT_LE(router.stats().hedges, kRequests / 20 + 10) << "one in twenty, and those kept before";
  EXPECT_GE(router.stats().hedges, kRequests / 20);
  EXPECT_EQ(router.stats().hedges + router.stats().hedges_held, std::uint64_t{kRequests});
}

// Goal: the same by threads of its own. Method: the first node answers only when it is stopped.
TEST_F(RouterTest, threads_hedge_what_is_late_until_they_are_told_to_stop) {
  const SystemClock real;
  FakeHttpClient nodes([](const HttpCall& call) -> Result<HttpAnswer> {
    if (call.url.starts_with("http://b"))
      return HttpAnswer{.status = 200, .headers = {}, .body = "b"};
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait(lock, call.stop, [] { return false; });
    return fail(ErrorCode::unavailable, "stopped");
  });
  Router threaded(nodes, random, real);
  threaded.set_members({member("http://a", 1), member("http://b", 1)});
  std::vector<std::jthread> hedges;
  for (int i = 0; i < 2; ++i) {
    hedges.emplace_back([&](const std::stop_token& stop) { threaded.run_hedges(stop); });
  }

  while (threaded.stats().hedges_won == 0) EXPECT_EQ(threaded.send(0, {.url = "/"})->body, "b");

  hedges.clear();
  EXPECT_EQ(threaded.stats().hedges, threaded.stats().hedges_won);
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

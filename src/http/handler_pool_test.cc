#include "http/handler_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/memory_log.h"
#include "sim/sim_clock.h"

namespace samtale::http {
namespace {

class HandlerPoolTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kQueueMax = 16;

  // The only thread is busy from here on, until all is queued.
  void SetUp() override {
    ASSERT_TRUE(pool_.start(1));
    EXPECT_EQ(push({{"", "busy"}}), 0U);
    is_busy_.get_future().wait();
  }

  // Of each: its flow and its name. Returns how many there was no room for.
  std::size_t push(const std::vector<std::pair<std::string, std::string>>& wanted) {
    std::vector<Job> jobs;
    for (const auto& [flow, name] : wanted) {
      Request request;
      request.path = name;
      request.deadline = Instant::max();
      jobs.push_back({.route = &route_,
                      .ticket = Ticket(outbox_, {}),
                      .work = std::move(request),
                      .flow = std::hash<std::string>()(flow)});
    }
    pool_.push(jobs);
    queued_ += wanted.size() - jobs.size();
    return jobs.size();
  }

  // In the order in which they ran.
  std::string run_all() {
    all_are_queued_.set_value();
    all_have_run_.get_future().wait();
    return ran_;
  }

  void run(const std::string& name) {
    if (name == "busy") {
      is_busy_.set_value();
      all_are_queued_.get_future().wait();
    } else {
      ran_ += name + " ";
    }
    if (--queued_ == 0) all_have_run_.set_value();
  }

  std::promise<void> is_busy_;
  std::promise<void> all_are_queued_;
  std::promise<void> all_have_run_;
  std::atomic<std::size_t> queued_ = 0;
  std::string ran_;  // The pool's thread writes it until all have run.
  Route route_{.method = "GET",
               .pattern = "/",
               .handler = [this](const Request& request, Reply) { run(request.path); },
               .stream = {}};
  SimClock clock_;
  MemoryLog log_;
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>([] {});
  HandlerPool pool_{kQueueMax, clock_, log_};
};

TEST_F(HandlerPoolTest, lets_nobody_wait_for_all_that_another_has_sent) {
  push({{"loud", "a1"}, {"loud", "a2"}, {"loud", "a3"}, {"loud", "a4"}});
  push({{"quiet", "b1"}, {"quiet", "b2"}, {"other", "c1"}});

  EXPECT_EQ(run_all(), "a1 b1 c1 a2 b2 a3 a4 ");
}

TEST_F(HandlerPoolTest, leaves_room_for_others_where_one_fills_the_queue) {
  const std::vector<std::pair<std::string, std::string>> many(kQueueMax, {"loud", "a"});

  EXPECT_EQ(push(many), kQueueMax / 8);

  EXPECT_EQ(push({{"quiet", "b"}}), 0U);
  EXPECT_TRUE(run_all().starts_with("a b a "));
}

TEST(FlowTest, is_by_credential_and_else_by_path) {
  Request one;
  one.path = "/v1/search";
  auto other = one;
  other.path = "/v1/conversations";
  EXPECT_NE(flow_of(one), flow_of(other));

  one.headers = other.headers = {{"authorization", "Bearer key"}};
  EXPECT_EQ(flow_of(one), flow_of(other));

  other.headers = {{"authorization", "Bearer another"}};
  EXPECT_NE(flow_of(one), flow_of(other));
}

}  // namespace
}  // namespace samtale::http

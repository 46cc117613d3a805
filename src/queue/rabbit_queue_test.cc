// Goal:   jobs survive what a broker does to its messages, and are done once in effect.
// Method: a real broker, whose messages are sent twice, late, unreadable or lost, whose queues are
//         missing or others, and which is killed.
#include "queue/rabbit_queue.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <thread>

#include "queue/job_message.h"
#include "queue/testing/rabbit_harness.h"

namespace samtale {
namespace {

using amqp::RabbitProcess;
using testing::HasSubstr;

class RabbitQueueTest : public ::testing::Test {
 protected:
  static constexpr Duration kLease = std::chrono::minutes(2);
  static constexpr Duration kLent = RabbitLaneOptions().lent_for;
  static constexpr CompanyId kOne{1};

  template <class Harness>
  static void enqueue(Harness& harness, std::size_t count = 1) {
    const NewJob job{.company = kOne, .kind = "embed", .payload = "p", .key = ""};
    harness.enqueue_all(std::vector<NewJob>(count, job));
  }
  template <class Harness>
  static std::vector<Job> take(Harness& harness, std::size_t limit = 10) {
    auto jobs = harness.queue().take("embed", limit, kLease);
    EXPECT_TRUE(jobs) << jobs.error().message;
    return jobs.value_or(std::vector<Job>());
  }
  [[nodiscard]] std::string normal() const {
    return one_.topology().of("embed", Priority::normal).name;
  }
  void publish(const std::string& queue, const std::string& body) {
    const std::array messages = {amqp::Message{.queue = queue, .body = body}};
    ASSERT_TRUE(RabbitProcess::shared().connect()->publish(messages, one_.soon()));
  }
  std::size_t messages_in(const std::string& queue) {
    return RabbitProcess::shared().connect()->waiting(queue, one_.soon()).value();
  }
  // Lent as the queue does it, for a message that the test sends.
  std::string lend_one() {
    const auto lent = one_.outbox().lend("embed", 1, kLent, kLease)->lent;
    return encode_job_message("embed", lent.at(0));
  }
  // What was published by others comes in its own time.
  std::vector<Job> wait_for_jobs(RabbitHarness<1>& harness) {
    auto jobs = take(harness);
    while (jobs.empty()) jobs = take(harness);
    return jobs;
  }

  RabbitHarness<1> one_;
};

TEST_F(RabbitQueueTest, sends_jobs_through_the_broker) {
  enqueue(one_, 3);

  const auto jobs = take(one_);

  EXPECT_EQ(jobs.size(), 3u);
  const auto stats = one_.queue().broker_stats();
  EXPECT_EQ(stats.published, 3u);
  EXPECT_EQ(stats.confirmed, 3u);
  EXPECT_EQ(stats.delivered, 3u);
  EXPECT_EQ(stats.stale, 0u);
  EXPECT_TRUE(stats.is_up.at("embed"));
  EXPECT_EQ(messages_in(normal()), 0u);
}

TEST_F(RabbitQueueTest, hands_a_job_out_once_whose_message_was_sent_twice) {
  enqueue(one_);
  const auto body = lend_one();
  publish(normal(), body);
  publish(normal(), body);

  const auto jobs = wait_for_jobs(one_);

  EXPECT_EQ(jobs.size(), 1u);
  while (one_.queue().broker_stats().stale == 0) EXPECT_TRUE(take(one_).empty());
  EXPECT_EQ(one_.queue().broker_stats().delivered, 2u);
  EXPECT_TRUE(one_.queue().finish(jobs));
  EXPECT_EQ(messages_in(normal()), 0u);
}

TEST_F(RabbitQueueTest, lets_go_of_a_message_about_a_job_that_is_done) {
  enqueue(one_);
  const auto body = lend_one();
  one_.advance(kLent);
  ASSERT_TRUE(one_.outbox().finish(one_.outbox().take("embed", 1, kLease).value()));

  publish(normal(), body);

  while (one_.queue().broker_stats().stale == 0) EXPECT_TRUE(take(one_).empty());
  EXPECT_EQ(messages_in(normal()), 0u);
}

TEST_F(RabbitQueueTest, lends_a_job_again_that_the_broker_has_lost) {
  enqueue(one_);
  lend_one();  // And is never published.
  EXPECT_TRUE(take(one_).empty());

  one_.advance(kLent);

  const auto jobs = take(one_);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].attempt, 1);
}

TEST_F(RabbitQueueTest, hands_one_servers_jobs_to_another) {
  RabbitHarness<1> other(one_.schema(), one_.prefix());
  enqueue(one_);
  publish(normal(), lend_one());

  const auto jobs = wait_for_jobs(other);

  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_TRUE(take(one_).empty());
  EXPECT_TRUE(one_.queue().finish(jobs)) << "the record is one";
}

TEST_F(RabbitQueueTest, holds_no_more_in_the_broker_than_its_window) {
  RabbitHarness<1, 20> other(one_.schema(), one_.prefix());
  enqueue(one_, 100);
  other.advance(std::chrono::seconds(1));

  ASSERT_EQ(take(other, 5).size(), 5u);

  EXPECT_EQ(other.queue().broker_stats().published, 25u);
  std::size_t taken = 5;
  while (taken < 100) {
    taken += take(other, 5).size();
    EXPECT_LE(other.queue().broker_stats().published - taken, 20u);
  }
}

TEST_F(RabbitQueueTest, parks_what_it_cannot_read) {
  enqueue(one_);
  publish(normal(), R"({"v":2,"a":"newer node's"})");

  EXPECT_EQ(wait_for_jobs(one_).size(), 1u);

  while (one_.queue().broker_stats().parked == 0) EXPECT_TRUE(take(one_).empty());
  EXPECT_EQ(messages_in(one_.topology().parked().name), 1u);
  EXPECT_EQ(messages_in(normal()), 0u);
}

TEST_F(RabbitQueueTest, gives_up_a_job_that_was_lost_with_whoever_got_it_too_often) {
  enqueue(one_);
  publish(normal(), lend_one());
  for (int i = 0; i <= RabbitTopology::kDeliveriesMax; ++i) {
    const auto victim = RabbitProcess::shared().connect();
    ASSERT_TRUE(victim->consume(normal(), 1, one_.soon()));
    while (victim->arrived()->empty()) {
    }
  }

  while (one_.queue().broker_stats().buried == 0) EXPECT_TRUE(take(one_).empty());

  const auto letters = one_.queue().dead_letters(kOne, std::nullopt, 10).value();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_THAT(letters[0].cause, HasSubstr("handed it out 10 times"));
  EXPECT_EQ(one_.queue().redrive(kOne, {}).value(), 1u);
  EXPECT_EQ(take(one_).size(), 1u);
}

TEST_F(RabbitQueueTest, does_not_make_a_queue_again_that_is_gone_and_says_so) {
  enqueue(one_, 2);
  ASSERT_TRUE(RabbitProcess::shared().connect()->remove(normal(), one_.soon()));

  EXPECT_EQ(take(one_).size(), 2u) << "nothing waits for a broker";

  EXPECT_FALSE(one_.queue().broker_stats().is_up.at("embed"));
  const auto lines = one_.log().lines();
  ASSERT_FALSE(lines.empty());
  EXPECT_THAT(lines[0], HasSubstr("queue.topology_wrong"));
  EXPECT_THAT(lines[0], HasSubstr(normal() + " is not there; `samtale topology check --fix`"));
  EXPECT_TRUE(take(one_).empty());
  EXPECT_FALSE(RabbitProcess::shared().connect()->has_queue(normal(), one_.soon()).value());
  EXPECT_EQ(one_.log().lines().size(), lines.size()) << "said once";
}

TEST_F(RabbitQueueTest, finds_out_when_a_queue_is_taken_away_under_it) {
  enqueue(one_);
  ASSERT_EQ(take(one_).size(), 1u);

  ASSERT_TRUE(RabbitProcess::shared().connect()->remove(normal(), one_.soon()));

  while (one_.queue().broker_stats().is_up.at("embed")) EXPECT_TRUE(take(one_).empty());
  enqueue(one_);
  EXPECT_EQ(take(one_).size(), 1u);
  EXPECT_FALSE(RabbitProcess::shared().connect()->has_queue(normal(), one_.soon()).value());
}

TEST_F(RabbitQueueTest, takes_no_queue_that_would_not_survive_the_broker) {
  ASSERT_TRUE(RabbitProcess::shared().connect()->remove(normal(), one_.soon()));
  RabbitProcess::shared().declare_transient(normal());
  enqueue(one_);

  EXPECT_EQ(take(one_).size(), 1u);

  EXPECT_EQ(one_.queue().broker_stats().published, 0u);
  EXPECT_TRUE(one_.log().has("queue.topology_wrong"));
}

TEST_F(RabbitQueueTest, goes_by_the_broker_again_once_its_queues_are_mended) {
  ASSERT_TRUE(RabbitProcess::shared().connect()->remove(normal(), one_.soon()));
  RabbitProcess::shared().declare_transient(normal());
  ASSERT_TRUE(RabbitProcess::shared().connect()->remove(one_.topology().dead().name, one_.soon()));
  enqueue(one_);
  ASSERT_EQ(take(one_).size(), 1u);
  std::map<std::string, std::string> problems;
  const auto before = one_.check(false).value();
  for (const auto& check : before) {
    if (!check.problem.empty()) problems.emplace(check.queue, check.problem);
  }
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_THAT(problems.at(normal()), HasSubstr("another"));
  EXPECT_THAT(problems.at(one_.topology().dead().name), HasSubstr("not there"));

  const auto after = one_.check(true).value();
  for (const auto& check : after) {
    EXPECT_EQ(check.is_fixed, problems.contains(check.queue)) << check.queue;
  }

  enqueue(one_);
  EXPECT_EQ(take(one_).size(), 1u);
  EXPECT_EQ(one_.queue().broker_stats().published, 1u);
  EXPECT_TRUE(one_.log().has("queue.broker_back"));
}

TEST_F(RabbitQueueTest, loses_nothing_and_does_nothing_twice_where_the_broker_is_killed) {
  constexpr std::size_t kJobs = 3000;
  RabbitHarness<1> other(one_.schema(), one_.prefix());
  RabbitHarness<1> sender(one_.schema(), one_.prefix());  // A harness's clock is one thread's.
  enqueue(sender, kJobs);
  for (const auto& queue : one_.topology().all()) {
    RabbitProcess::shared().wait_until_kept(queue.name);
  }
  std::atomic<std::size_t> finished = 0;
  const auto work = [&](RabbitHarness<1>& harness, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      // So that what is in no one's hands any more is lent again.
      harness.advance(std::chrono::milliseconds(100));
      const auto jobs = harness.queue().take("embed", 20, std::chrono::hours(1));
      ASSERT_TRUE(jobs) << jobs.error().message;
      ASSERT_TRUE(harness.queue().finish(*jobs)) << "somebody else has done it";
      finished += jobs->size();
    }
  };
  std::jthread worker([&](const std::stop_token& stop) { work(one_, stop); });
  std::jthread other_worker([&](const std::stop_token& stop) { work(other, stop); });
  const auto wait_for = [&](std::size_t count) {
    while (finished < count) std::this_thread::yield();
  };

  wait_for(kJobs / 6);
  RabbitProcess::shared().kill();
  wait_for(kJobs / 3);  // The outbox hands them out itself.
  RabbitProcess::shared().start();
  const auto published = one_.queue().broker_stats().published;
  enqueue(sender, kJobs);
  wait_for(2 * kJobs);
  worker = {};
  other_worker = {};

  EXPECT_EQ(finished, 2 * kJobs);
  EXPECT_GT(one_.queue().broker_stats().published, published) << "and the broker again";
  EXPECT_TRUE(one_.log().has("queue.broker_back"));
  const auto stats = one_.queue().stats(std::nullopt).value();
  for (const auto& kind : stats) {
    EXPECT_EQ(kind.ready + kind.delayed + kind.leased + kind.dead, 0u);
  }
}

}  // namespace
}  // namespace samtale

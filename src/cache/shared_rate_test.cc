#include "cache/shared_rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "cache/testing/redis_process.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

class SharedRateTest : public testing::Test {
 protected:
  std::unique_ptr<SharedRate> node(const std::string& name, std::string_view account = "a") {
    return std::make_unique<SharedRate>(clock, log, options, account, name);
  }
  Result<std::optional<std::string>> command(const std::vector<std::string_view>& words) {
    auto connection = RedisConnection::open(redis.address(), clock, clock.now() + seconds(10));
    if (!connection) return std::unexpected(connection.error());
    return (*connection)->call(words, clock.now() + seconds(10));
  }

  // Events without what is told of them.
  std::vector<std::string> told() {
    auto lines = log.lines();
    for (auto& line : lines) line = line.substr(0, line.find(' '));
    return lines;
  }

  RedisProcess redis;
  SimClock clock;
  MemoryLog log;
  // A busy machine is no reason to fail.
  SharedRateOptions options{
      .address = redis.address(), .timeout = seconds(10), .lease = std::chrono::hours(1)};
};

TEST_F(SharedRateTest, leaves_all_to_a_node_that_is_alone) {
  const auto one = node("1");

  EXPECT_EQ(one->exchange(0, {}).part, 1);
  EXPECT_EQ(one->exchange(500, {}).part, 1);
}

TEST_F(SharedRateTest, divides_by_demand_and_keeps_something_for_who_has_none) {
  const auto busy = node("1");
  const auto idle = node("2");
  const auto other_account = node("3", "b");
  EXPECT_EQ(other_account->exchange(1, {}).part, 1);
  EXPECT_EQ(busy->exchange(300, {}).part, 1);

  EXPECT_EQ(idle->exchange(0, {}).part, 0) << "all of it is another's still";
  EXPECT_DOUBLE_EQ(busy->exchange(300, {}).part, 0.95);
  EXPECT_NEAR(idle->exchange(0, {}).part, 0.05, 1e-6);

  idle->exchange(2'000, {});
  busy->exchange(0, {});
  EXPECT_GT(idle->exchange(2'000, {}).part, 0.7);
}

TEST_F(SharedRateTest, never_gives_away_more_than_all_of_it) {
  SimRandom random{7};
  std::vector<std::unique_ptr<SharedRate>> nodes;
  std::array<double, 6> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) nodes.push_back(node(std::to_string(i)));
  for (int i = 0; i < 3'000; ++i) {
    const auto which = static_cast<std::size_t>(random.fraction() * parts.size());
    const double demand = random.fraction() < 0.3 ? 0 : random.fraction() * 1e6;

    parts[which] = nodes[which]->exchange(demand, {}).part;

    ASSERT_LE(std::accumulate(parts.begin(), parts.end(), 0.0), 1 + 1e-6) << "after " << i;
    ASSERT_GE(parts[which], 0);
  }
}

TEST_F(SharedRateTest, divides_the_part_of_a_node_that_is_gone) {
  options.lease = milliseconds(1);
  node("1")->exchange(1'000, {});
  const auto other = node("2");

  double part = 0;
  for (int i = 0; i < 1'000'000 && part < 1; ++i) part = other->exchange(1, {}).part;

  EXPECT_EQ(part, 1);
}

TEST_F(SharedRateTest, tells_the_others_of_a_retry_after_once_and_not_for_longer) {
  const auto told = node("1");
  const auto other = node("2");
  const auto until = clock.now() + std::chrono::hours(1);

  EXPECT_EQ(told->exchange(0, until).closed_until, Instant::min()) << "it knows";
  const auto heard = other->exchange(0, {}).closed_until;
  EXPECT_GT(heard, until - seconds(20));
  EXPECT_LE(heard, until + milliseconds(1));

  const auto closed = [&] {
    const auto script = "return redis.call('HGET', KEYS[1], 'closed')";
    return command({"EVAL", script, "1", "samtale:rate:a"})->value();
  };
  const auto before = closed();
  // The clock here stands still, so what was said anew would end later each time.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(other->exchange(0, heard).closed_until, heard);
  EXPECT_EQ(closed(), before);
}

TEST_F(SharedRateTest, goes_on_with_an_equal_part_while_redis_is_away_and_tells_it_once) {
  const auto one = node("1");
  const auto other = node("2");
  one->exchange(1'000, {});
  other->exchange(0, {});
  EXPECT_GT(one->exchange(1'000, {}).part, 0.9);

  redis.kill();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(one->exchange(1'000, {}).part, 0.5);
  EXPECT_EQ(other->exchange(0, {}).part, 0) << "it held nothing yet";
  EXPECT_THAT(told(), ElementsAre("cache.rate_alone"));

  redis.start();
  EXPECT_EQ(one->exchange(1'000, {}).part, 1) << "the other has not come back yet";
  EXPECT_THAT(told(), ElementsAre("cache.rate_alone", "cache.rate_shared"));
}

TEST_F(SharedRateTest, takes_itself_for_alone_where_there_never_was_a_redis) {
  redis.kill();

  EXPECT_EQ(node("1")->exchange(1, {}).part, 1);
}

TEST_F(SharedRateTest, survives_what_others_have_written_under_its_name) {
  const auto one = node("1");
  ASSERT_TRUE(command({"SET", "samtale:rate:a", "foreign"}));

  for (int i = 0; i < 3; ++i) EXPECT_EQ(one->exchange(1, {}).part, 1);
  EXPECT_THAT(told(), ElementsAre("cache.rate_alone"));

  const auto script = R"(redis.call('DEL', KEYS[1])
                         redis.call('HSET', KEYS[1], '2', 'foreign', 'closed', 'foreign')
                         return 'done')";
  ASSERT_TRUE(command({"EVAL", script, "1", "samtale:rate:a"}));
  EXPECT_EQ(one->exchange(1, {}).part, 1);
}

TEST_F(SharedRateTest, leaves_nothing_behind_for_ever) {
  node("1")->exchange(1, {});

  const auto script = "return tostring(redis.call('pttl', KEYS[1]))";
  const auto left = std::stoll(command({"EVAL", script, "1", "samtale:rate:a"})->value());

  EXPECT_GT(left, 0);
  EXPECT_LE(left, 3'600'000);
}

TEST(RateReplyTest, is_three_numbers_in_their_ranges_or_nothing) {
  const auto reply = parse_rate_reply("0.25 4 1500");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->part, 0.25);
  EXPECT_EQ(reply->nodes, 4);
  EXPECT_EQ(reply->closed_for, milliseconds(1500));
  EXPECT_EQ(parse_rate_reply("1 1 99999999999999")->closed_for, std::chrono::hours(24));

  for (const auto* text :
       {"", "1", "1 1", "1 1 ", "1 1 0 ", "1 1 0 0", "nan 1 0", "1.1 1 0", "-0.1 1 0", "1 0 0",
        "1 1 -1", "1,1,0", "x 1 0", " 1 1 0", "1  1 0", "1 100001 0"}) {
    EXPECT_FALSE(parse_rate_reply(text)) << text;
  }
}

}  // namespace
}  // namespace samtale

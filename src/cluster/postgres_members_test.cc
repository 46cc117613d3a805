// Goal: nodes see each other while their leases last, one leads, and none is without an index that
//       another has not got yet. On a real PostgreSQL, whose clock is the leases'.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/members.h"
#include "cluster/node.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

Roles roles(std::string_view text) { return roles_from_text(text); }

class NobodyClient final : public HttpClient {
 public:
  Result<HttpAnswer> call(const HttpCall&) override {
    return fail(ErrorCode::unavailable, "nobody is called here");
  }
};

class PostgresMembersTest : public ::testing::Test {
 protected:
  struct Process {  // What one process has of the cluster.
    Process(PostgresMembersTest& test, std::string name, std::string_view does)
        : router(http_client, random, test.clock),
          node(test.members, router, test.clock, test.log,
               {.name = std::move(name), .place = "here", .roles = roles(does), .partitions = 4},
               [this] {
                 return Node::Loaded{
                     .ready = ready, .layout = layout, .lag = lag, .requests = requests};
               }) {}
    NobodyClient http_client;
    SimRandom random{1};
    Router router;
    Slices ready = 0;
    std::uint64_t layout = 0;
    std::uint64_t lag = 0;
    std::uint64_t requests = 0;
    Node node;
  };
  static Slices held(const Node& node) {
    Slices some = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      if (node.holds(i)) some |= Slices{1} << i;
    }
    return some;
  }

  PostgresHarness<1> store;
  Members members{store.store().database()};
  SimClock clock;
  MemoryLog log;
};

TEST_F(PostgresMembersTest, a_node_is_there_until_its_lease_ends_or_it_leaves) {
  const Member a{.node = "a",
                 .url = "http://a",
                 .roles = roles("searcher,keeper"),
                 .ready = 5,
                 .slices = 3,
                 .layout = 7,
                 .lag = 11,
                 .requests_per_second = 12};
  ASSERT_TRUE(members.beat(a, "one", 60s));
  ASSERT_TRUE(members.beat({.node = "b"}, "two", 60s));
  ASSERT_TRUE(members.beat({.node = "c"}, "three", 0us));

  auto alive = members.alive().value();
  ASSERT_EQ(alive.size(), 2U);
  EXPECT_EQ(alive[0].url, "http://a");
  EXPECT_EQ(text(alive[0].roles), "searcher,keeper");
  EXPECT_EQ(alive[0].ready, 5U);
  EXPECT_EQ(alive[0].slices, 3U);
  EXPECT_EQ(alive[0].layout, 7U);
  EXPECT_EQ(alive[0].lag, 11U);
  EXPECT_EQ(alive[0].requests_per_second, 12U);

  ASSERT_TRUE(members.leave("b"));
  EXPECT_EQ(members.alive()->size(), 1U);
}

TEST_F(PostgresMembersTest, a_node_says_how_far_behind_it_is_and_how_much_it_does) {
  Process a(*this, "a", "searcher");
  ASSERT_TRUE(a.node.step());
  EXPECT_EQ(members.alive()->at(0).requests_per_second, 0U);

  a.lag = 3;
  a.requests = 500;
  clock.advance(10s);
  ASSERT_TRUE(a.node.step());

  EXPECT_EQ(members.alive()->at(0).lag, 3U);
  EXPECT_EQ(members.alive()->at(0).requests_per_second, 50U);
}

TEST_F(PostgresMembersTest, a_copy_of_a_node_is_refused_while_the_other_is_there) {
  ASSERT_TRUE(members.beat({.node = "a"}, "one", 60s));
  ASSERT_TRUE(members.beat({.node = "a"}, "one", 60s)) << "the same again, after a restart";

  EXPECT_EQ(members.beat({.node = "a"}, "two", 60s).error().code, ErrorCode::conflict);

  ASSERT_TRUE(members.beat({.node = "a"}, "one", 0us));
  EXPECT_TRUE(members.beat({.node = "a"}, "two", 60s)) << "it has moved";
}

TEST_F(PostgresMembersTest, the_lead_is_one_nodes_until_its_lease_ends) {
  EXPECT_TRUE(members.lead("a", 60s).value());
  EXPECT_TRUE(members.lead("a", 60s).value());
  EXPECT_FALSE(members.lead("b", 60s).value());

  EXPECT_TRUE(members.lead("a", 0us).value());
  EXPECT_TRUE(members.lead("b", 60s).value());
  EXPECT_FALSE(members.lead("a", 60s).value());
  ASSERT_TRUE(members.beat({.node = "a"}, "here", 60s));
  ASSERT_TRUE(members.beat({.node = "b"}, "there", 60s));
  const auto alive = members.alive().value();
  EXPECT_FALSE(alive[0].leads);
  EXPECT_TRUE(alive[1].leads);
}

TEST_F(PostgresMembersTest, one_keeper_leads_and_no_longer_than_it_can_say_so) {
  Process a(*this, "a", "keeper");
  Process b(*this, "b", "keeper");
  Process c(*this, "c", "searcher");
  for (auto* process : {&c, &a, &b}) ASSERT_TRUE(process->node.step());

  EXPECT_TRUE(a.node.leads());
  EXPECT_FALSE(b.node.leads());
  EXPECT_FALSE(c.node.leads());
  clock.advance(9s);
  EXPECT_FALSE(a.node.leads()) << "its lease of ten seconds may soon be another's";
}

TEST_F(PostgresMembersTest, an_index_is_kept_until_those_it_went_to_have_it) {
  Process a(*this, "a", "searcher");
  ASSERT_TRUE(a.node.step());
  EXPECT_EQ(held(a.node), 0b1111U);
  a.ready = 0b1111;

  Process b(*this, "b", "searcher");
  Process c(*this, "c", "searcher");
  Process d(*this, "d", "searcher");
  for (auto* process : {&b, &c, &d, &a}) ASSERT_TRUE(process->node.step());
  EXPECT_EQ(held(a.node), 0b1111U) << "nobody has loaded anything yet";

  for (int round = 0; round < 2; ++round) {
    for (auto* process : {&b, &c, &d, &a}) {
      if (process != &a) process->ready = held(process->node);
      ASSERT_TRUE(process->node.step());
    }
  }
  const auto copies_held = [&] {
    int copies = 0;
    for (auto* process : {&a, &b, &c, &d}) copies += std::popcount(held(process->node));
    return copies;
  };
  EXPECT_GT(copies_held(), 8) << "somebody may still send to those that had it";
  clock.advance(3s);
  for (auto* process : {&a, &b, &c, &d}) ASSERT_TRUE(process->node.step());
  EXPECT_EQ(copies_held(), 8) << "two of each";
  EXPECT_LT(std::popcount(held(a.node)), 4);
}

TEST_F(PostgresMembersTest, after_an_absence_of_the_database_nobody_takes_what_was_others) {
  Process a(*this, "a", "searcher");
  Process b(*this, "b", "searcher");
  Process c(*this, "c", "searcher");
  Process d(*this, "d", "searcher");
  for (int round = 0; round < 3; ++round) {
    for (auto* process : {&a, &b, &c, &d}) {
      ASSERT_TRUE(process->node.step());
      process->ready = held(process->node);
    }
    clock.advance(4s);
  }
  const auto before = held(a.node);
  ASSERT_LT(std::popcount(before), 4);

  // As if all leases had ended: nobody could say anything for a minute.
  clock.advance(60s);
  for (const auto* name : {"a", "b", "c", "d"}) ASSERT_TRUE(members.leave(name));
  ASSERT_TRUE(a.node.step());
  EXPECT_EQ(held(a.node), before);
  EXPECT_THAT(a.node.there(), ::testing::ElementsAre("a", "b", "c", "d"));

  for (int i = 0; i < 2; ++i) {
    clock.advance(6s);
    ASSERT_TRUE(a.node.step());
  }
  EXPECT_EQ(held(a.node), 0b1111U) << "they did not come back";
  EXPECT_THAT(a.node.there(), ::testing::ElementsAre("a"));
}

TEST_F(PostgresMembersTest, a_change_of_who_is_split_is_settled_three_seconds_after_all_have_it) {
  Process a(*this, "a", "searcher");
  Process b(*this, "b", "gateway");
  const auto both_step = [&] {
    for (auto* process : {&a, &b, &a}) ASSERT_TRUE(process->node.step());
  };
  a.layout = 1;
  both_step();
  clock.advance(60s);
  both_step();
  EXPECT_EQ(a.node.settled(), 0U) << "the gateway does not know of it, and asks as before";

  b.layout = 1;
  both_step();
  EXPECT_EQ(a.node.settled(), 0U) << "the gateway may not know yet that the searcher has it";

  clock.advance(3s);
  both_step();
  EXPECT_EQ(a.node.settled(), 1U);
}

TEST_F(PostgresMembersTest, nodes_that_divide_a_partition_otherwise_place_each_by_itself) {
  Process a(*this, "a", "searcher");
  const auto beat = [&](std::size_t slices) {
    ASSERT_TRUE(members.beat({.node = "b",
                              .url = "http://b",
                              .roles = roles("searcher"),
                              .ready = 0b1111,
                              .slices = slices},
                             "there", 60s));
    ASSERT_TRUE(members.beat({.node = "c",
                              .url = "http://c",
                              .roles = roles("searcher"),
                              .ready = 0b1111,
                              .slices = slices},
                             "there", 60s));
    ASSERT_TRUE(a.node.step());
  };

  beat(4);
  EXPECT_EQ(held(a.node), 0b1111U);
  EXPECT_FALSE(a.router.knows_one(0, 0)) << "their first slice is another one";

  clock.advance(10s);
  beat(1);
  EXPECT_LT(std::popcount(held(a.node)), 4);
  EXPECT_TRUE(a.router.knows_one(0, 0));
}

TEST_F(PostgresMembersTest, a_node_without_the_role_holds_nothing) {
  Process a(*this, "a", "indexer,keeper");
  ASSERT_TRUE(a.node.step());

  EXPECT_EQ(held(a.node), 0U);
}

}  // namespace
}  // namespace samtale

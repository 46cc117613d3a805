#include "lm/waiting_line.h"

#include <gtest/gtest.h>

#include <map>

namespace samtale {
namespace {

using std::chrono::seconds;

constexpr CompanyId kA{1};
constexpr CompanyId kB{2};

class WaitingLineTest : public testing::Test {
 protected:
  Ticket enter(CompanyId company, Priority priority, std::int64_t tokens = 100,
               std::optional<Instant> wanted_by = {}) {
    return line.enter({company, priority, tokens, wanted_by, false}, Instant::max(), now);
  }
  Ticket serve_first() {
    const auto ticket = line.first(now)->ticket;
    line.serve(ticket);
    return ticket;
  }

  Instant now{std::chrono::hours(1)};
  WaitingLine line{seconds(60)};
};

TEST_F(WaitingLineTest, serves_by_priority_then_age) {
  const auto bulk = enter(kA, Priority::bulk);
  const auto normal = enter(kA, Priority::normal);
  const auto second = enter(kA, Priority::normal);
  const auto critical = enter(kA, Priority::critical);

  EXPECT_EQ(serve_first(), critical);
  EXPECT_EQ(serve_first(), normal);
  EXPECT_EQ(serve_first(), second);
  EXPECT_EQ(serve_first(), bulk);
  EXPECT_EQ(line.first(now), nullptr);
}

TEST_F(WaitingLineTest, serves_a_companys_requests_by_when_they_are_wanted) {
  const auto any = enter(kA, Priority::normal);
  const auto late = enter(kA, Priority::normal, 100, now + seconds(20));
  const auto soon = enter(kA, Priority::normal, 100, now + seconds(10));

  EXPECT_EQ(serve_first(), soon);
  EXPECT_EQ(serve_first(), late);
  EXPECT_EQ(serve_first(), any);
}

TEST_F(WaitingLineTest, does_not_let_a_company_go_first_by_wanting_everything_at_once) {
  std::map<CompanyId, int> served;
  for (int i = 0; i < 20; ++i) {
    enter(kA, Priority::normal, 100, now);
    enter(kB, Priority::normal);
  }

  for (int i = 0; i < 20; ++i) {
    ++served[line.first(now)->request.company];
    serve_first();
  }

  EXPECT_EQ(served[kA], 10);
  EXPECT_EQ(served[kB], 10);
}

TEST_F(WaitingLineTest, counts_tokens_and_not_requests) {
  std::map<CompanyId, std::int64_t> tokens;
  for (int i = 0; i < 100; ++i) {
    enter(kA, Priority::normal, 1000);
    for (int k = 0; k < 10; ++k) enter(kB, Priority::normal, 100);
  }

  for (int i = 0; i < 500; ++i) {
    const auto& request = line.first(now)->request;
    tokens[request.company] += request.tokens;
    serve_first();
    EXPECT_LE(std::abs(tokens[kA] - tokens[kB]), 1000) << i;
  }
}

TEST_F(WaitingLineTest, reckons_with_what_was_used_in_the_end) {
  for (int i = 0; i < 4; ++i) {
    enter(kA, Priority::normal, 100);
    enter(kB, Priority::normal, 100);
  }
  serve_first();  // A's.
  serve_first();  // B's.

  line.charge(kA, 150);

  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(line.first(now)->request.company, kB);
    serve_first();
  }
  EXPECT_EQ(line.first(now)->request.company, kA);
}

TEST_F(WaitingLineTest, gives_no_credit_for_time_without_requests) {
  for (int i = 0; i < 100; ++i) enter(kA, Priority::normal);
  for (int i = 0; i < 50; ++i) serve_first();

  for (int i = 0; i < 50; ++i) enter(kB, Priority::normal);

  std::map<CompanyId, int> served;
  for (int i = 0; i < 20; ++i) {
    ++served[line.first(now)->request.company];
    serve_first();
  }
  EXPECT_NEAR(served[kB], 10, 1);
}

TEST_F(WaitingLineTest, starts_a_newcomer_level_with_those_who_wait_though_another_is_far_ahead) {
  const CompanyId newcomer{3};
  for (int i = 0; i < 20; ++i) enter(kB, Priority::bulk);
  for (int i = 0; i < 100; ++i) {  // A is far ahead, by priority.
    enter(kA, Priority::critical);
    serve_first();
  }

  for (int i = 0; i < 20; ++i) enter(newcomer, Priority::bulk);

  std::map<CompanyId, int> served;
  for (int i = 0; i < 20; ++i) {
    ++served[line.first(now)->request.company];
    serve_first();
  }
  EXPECT_NEAR(served[newcomer], 10, 1);
}

TEST_F(WaitingLineTest, moves_what_waits_up_until_it_is_first) {
  const auto bulk = enter(kB, Priority::bulk);
  Ticket served{};
  int steps = 0;

  while (served != bulk && steps < 1000) {
    enter(kA, Priority::critical, 1, now);
    enter(kA, Priority::critical, 1, now);
    served = serve_first();
    now += seconds(1);
    ++steps;
  }

  EXPECT_GE(steps, 120);  // Two priorities up.
  EXPECT_LE(steps, 122);
}

TEST_F(WaitingLineTest, lets_the_old_backlog_of_one_who_is_served_go_before_nobody) {
  for (int i = 0; i < 1000; ++i) enter(kA, Priority::bulk);
  for (int i = 0; i < 600; ++i) {
    serve_first();
    now += seconds(1);
  }

  const auto normal = enter(kB, Priority::normal);

  EXPECT_EQ(serve_first(), normal);
}

TEST_F(WaitingLineTest, says_when_somebody_moves_up) {
  enter(kA, Priority::normal);
  EXPECT_FALSE(line.next_ageing(now));
  now += seconds(10);
  enter(kB, Priority::bulk);

  EXPECT_EQ(line.next_ageing(now), now + seconds(50));
  EXPECT_EQ(line.next_ageing(now + seconds(50)), now + seconds(60));
  EXPECT_EQ(line.next_ageing(now + seconds(60)), now + seconds(120));
  EXPECT_FALSE(line.next_ageing(now + seconds(120)));
}

TEST_F(WaitingLineTest, finds_the_first_critical_one_behind_others) {
  enter(kA, Priority::bulk);
  now += seconds(120);
  const auto critical = enter(kB, Priority::critical);

  EXPECT_EQ(line.first(now)->request.company, kA);
  EXPECT_EQ(line.first_critical(now)->ticket, critical);
}

TEST_F(WaitingLineTest, forgets_who_left) {
  const auto first = line.enter({kA, Priority::normal, 1, {}, false}, now + seconds(1), now);
  const auto second = line.enter({kA, Priority::normal, 1, {}, false}, now + seconds(2), now);
  EXPECT_EQ(line.first_to_end()->ticket, first);

  line.leave(first);

  EXPECT_EQ(line.first_to_end()->ticket, second);
  EXPECT_EQ(line.first(now)->ticket, second);
  EXPECT_EQ(line.size(), 1U);
}

}  // namespace
}  // namespace samtale

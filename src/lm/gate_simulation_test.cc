// Goal: what a gate promises holds whatever comes: arrivals, latencies, 429s, outages and jumps of
// the clock by chance; a seed repeats a run.
// Method: GateWorld drives the gate's policy with a simulated clock and provider. It watches
// Retry-After windows, deadlines and the critical reserve itself; the rest is counted here.
#include <gtest/gtest.h>

#include <cmath>
#include <ranges>

#include "lm/testing/gate_world.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most - least + 1)));
  }
  Duration time(Duration least, Duration most) {
    return Duration(between(least.count(), most.count()));
  }
  bool one_in(std::uint64_t count) { return random_.one_in(count); }

 private:
  SimRandom random_;
};

GateWorld::Answer answer_of(Duration took, std::int64_t tokens) {
  return {.took = took, .report = {.fault = {}, .wait = {}, .hints = {}, .tokens = tokens}};
}

GateWorld::Answer fault_of(Duration took, ChatFault fault, std::optional<Duration> wait = {}) {
  return {.took = took, .report = {.fault = fault, .wait = wait, .hints = {}, .tokens = 0}};
}

GateWorld::Answer any_answer(Chance& chance, const GateRequest& request) {
  const auto took = chance.time(milliseconds(5), seconds(4));
  if (chance.one_in(15)) {
    return fault_of(took, ChatFault::throttled,
                    chance.one_in(2) ? std::optional(chance.time({}, seconds(20))) : std::nullopt);
  }
  if (chance.one_in(15)) {
    const auto fault = static_cast<ChatFault>(chance.between(1, 5));
    return fault_of(took, fault,
                    chance.one_in(4) ? std::optional(chance.time({}, seconds(5))) : std::nullopt);
  }
  auto answer = answer_of(took, chance.between(1, request.tokens + request.tokens / 10));
  if (chance.one_in(20)) answer.report.hints.requests_left = chance.between(0, 40);
  if (chance.one_in(20)) answer.report.hints.tokens_left = chance.between(0, 20'000);
  return answer;
}

GateOptions any_options(Chance& chance) {
  GateOptions options;
  if (chance.one_in(2)) options.requests_per_minute = chance.between(1, 600);
  if (chance.one_in(2)) options.tokens_per_minute = chance.between(20'000, 300'000);
  options.critical_share = static_cast<double>(chance.between(0, 5)) / 10;
  options.failures_to_open = static_cast<int>(chance.between(1, 6));
  options.retries_min = static_cast<std::size_t>(chance.between(0, 10));
  return options;
}

// At most this much passes in any minute: `amount` of each that was sent.
template <class Amount>
void expect_rate(const GateWorld& world, double most, Amount amount) {
  std::vector<std::pair<Instant, double>> sent;
  for (const auto& life : world.lives()) {
    if (life.sent) sent.emplace_back(*life.sent, amount(life.request));
  }
  std::ranges::sort(sent);
  double sum = 0;
  std::size_t first = 0;
  for (const auto& [at, value] : sent) {
    sum += value;
    while (sent[first].first <= at - minutes(1)) sum -= sent[first++].second;
    ASSERT_LE(sum, most + 1e-3);
  }
}

void expect_retry_budget(const GateWorld& world, const GateOptions& options) {
  const auto& lives = world.lives();  // In the order in which they came.
  const auto was_taken = [](const GateWorld::Life& life) {
    return !life.refusal || *life.ended > life.came;
  };
  std::size_t first = 0;
  std::size_t first_of_minute = 0;
  double others = 0;
  double retries = 0;
  for (const auto& life : lives) {
    (life.request.is_retry ? retries : others) += was_taken(life) ? 1 : 0;
    // The budget counts whole seconds.
    for (; lives[first].came < life.came - seconds(61); ++first) {
      if (!lives[first].request.is_retry && was_taken(lives[first])) --others;
    }
    for (; lives[first_of_minute].came < life.came - seconds(59); ++first_of_minute) {
      if (lives[first_of_minute].request.is_retry && was_taken(lives[first_of_minute])) --retries;
    }
    // Those taken earlier were paid for by requests that are forgotten now.
    if (!life.request.is_retry || !was_taken(life)) continue;
    ASSERT_LE(retries, others * options.retry_share + static_cast<double>(options.retries_min));
  }
}

class GateSeedTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(GateSeedTest, keeps_its_promises) {
  Chance chance(GetParam());
  const auto options = any_options(chance);
  GateWorld world(options, [&](const GateRequest& request, std::size_t) {
    return any_answer(chance, request);
  });
  auto at = world.now();
  for (int i = 0; i < 1500; ++i) {
    at += chance.time({}, milliseconds(600));
    if (chance.one_in(300)) at += chance.time({}, minutes(20));  // A machine that slept.
    world.offer(at,
                {.company = CompanyId{chance.between(1, 5)},
                 .priority = static_cast<Priority>(chance.between(0, 2)),
                 .tokens = chance.between(1, 8000),
                 .wanted_by = chance.one_in(4) ? std::optional(at + chance.time({}, minutes(2)))
                                               : std::nullopt,
                 .is_retry = chance.one_in(5)},
                chance.time({}, minutes(2)));
  }

  world.run();

  std::uint64_t passed = 0;
  for (const auto& life : world.lives()) {
    ASSERT_TRUE(life.ended) << "lost";
    EXPECT_NE(life.sent.has_value(), life.refusal.has_value());
    if (life.refusal) {
      EXPECT_LE(*life.ended, life.deadline);
    }
    passed += life.sent ? 1 : 0;
  }
  const auto stats = world.stats();
  EXPECT_EQ(stats.waiting, 0U);
  EXPECT_EQ(stats.in_flight, 0U);
  EXPECT_EQ(stats.passed, passed);
  EXPECT_EQ(stats.passed + stats.refused, world.lives().size());
  EXPECT_GT(passed, 20U);
  if (options.requests_per_minute > 0) {
    const auto limit = static_cast<double>(options.requests_per_minute);
    // And one of each part, where the part holds less than one.
    expect_rate(world, limit + std::max(limit / 6, 1.0) + 2, [](const auto&) { return 1.0; });
  }
  expect_retry_budget(world, options);
}

INSTANTIATE_TEST_SUITE_P(seeds, GateSeedTest, testing::Range<std::uint64_t>(1, 201));

TEST(GateSimulationTest, passes_no_more_tokens_in_any_minute_than_the_limit_and_a_burst) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Chance chance(seed);
    // Each uses all it reserved, and none is larger than what its part of the bucket holds.
    GateWorld world({.tokens_per_minute = 60'000}, [&](const GateRequest& request, std::size_t) {
      return answer_of(chance.time(milliseconds(5), seconds(2)), request.tokens);
    });
    for (int i = 0; i < 3000; ++i) {
      world.offer(world.now() + chance.time({}, minutes(8)),
                  {.company = CompanyId{chance.between(1, 5)},
                   .priority = static_cast<Priority>(chance.between(0, 2)),
                   .tokens = chance.between(1, 2000),
                   .wanted_by = {}},
                  minutes(5));
    }

    world.run();

    const auto tokens = [](const GateRequest& request) {
      return static_cast<double>(request.tokens);
    };
    expect_rate(world, 60'000 + 10'000, tokens);
    double used = 0;
    for (const auto& life : world.lives()) used += life.sent ? tokens(life.request) : 0;
    EXPECT_GT(used, 60'000 * 8 * 0.95) << "and the limit is made use of";
  }
}

TEST(GateSimulationTest, sends_nothing_inside_a_retry_after_window_in_ten_minutes_of_storm) {
  Chance chance(7);
  int throttled = 0;
  GateWorld world({.concurrency_start = 64}, [&](const GateRequest& request, std::size_t) {
    if (!chance.one_in(5)) return answer_of(milliseconds(20), request.tokens);
    ++throttled;
    return fault_of(milliseconds(20), ChatFault::throttled, chance.time({}, seconds(10)));
  });
  for (int i = 0; i < 60'000; ++i) {
    world.offer(world.now() + milliseconds(10) * i,
                {CompanyId{chance.between(1, 9)}, Priority::normal, 100, {}, false}, seconds(30));
  }

  world.run();  // GateWorld looks at each that is sent.

  EXPECT_GT(throttled, 50);
}

TEST(GateSimulationTest, asks_a_provider_that_is_away_for_an_hour_one_at_a_time_and_seldom) {
  int asked = 0;
  const Instant back = Instant(std::chrono::hours(2));
  GateWorld* there = nullptr;
  GateWorld world({}, [&](const GateRequest& request, std::size_t in_flight) {
    if (there->now() >= back) return answer_of(milliseconds(20), request.tokens);
    ++asked;
    if (asked > 13) {
      EXPECT_EQ(in_flight, 1U);
    }
    return fault_of(milliseconds(20), ChatFault::away);
  });
  there = &world;
  for (int i = 0; i < 3700; ++i) {
    world.offer(world.now() + seconds(i), {CompanyId{1}, Priority::normal, 100, {}, false},
                seconds(30));
  }

  world.run();

  // 5 to open; then after 10, 20, 40, 80, 160 and 300 s, and each 300 s after that.
  EXPECT_LE(asked, 5 + 8 + 6 + 11);
  EXPECT_GE(asked, 5 + 6 + 8);
  EXPECT_TRUE(world.lives().back().sent) << "it goes on once the provider is back";
}

TEST(GateSimulationTest, is_fair_by_tokens_to_companies_with_a_backlog) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Chance chance(seed);
    std::map<CompanyId, std::int64_t> used;
    GateWorld world({.tokens_per_minute = 600'000}, [&](const GateRequest& request, std::size_t) {
      used[request.company] += request.tokens;
      return answer_of(chance.time(milliseconds(5), seconds(1)), request.tokens);
    });
    for (std::int64_t company = 1; company <= 5; ++company) {  // 5 asks for 5 times as much as 1.
      for (int i = 0; i < 3000; ++i) {
        world.offer(
            world.now(),
            {CompanyId{company}, Priority::bulk, chance.between(1, 1000) * company, {}, false},
            minutes(60));
      }
    }

    world.run(world.now() + minutes(4));

    const auto [least, most] = std::ranges::minmax(std::views::values(used));
    EXPECT_EQ(used.size(), 5U);
    EXPECT_GT(least, 300'000);
    EXPECT_LE(most - least, 2 * 5000);
  }
}

TEST(GateSimulationTest, keeps_the_share_of_the_rate_for_what_is_critical_and_starves_nobody) {
  Chance chance(3);
  GateWorld world({.requests_per_minute = 600}, [&](const GateRequest& request, std::size_t) {
    return answer_of(milliseconds(50), request.tokens);
  });
  for (int i = 0; i < 6000; ++i) {  // 20 a second where 10 may pass.
    const auto at = world.now() + milliseconds(50) * i;
    world.offer(at, {CompanyId{1}, Priority::normal, 100, at, false}, minutes(10));
    // 1.5 a second: within the 2 that are reserved.
    if (i % 13 == 0) {
      world.offer(at, {CompanyId{2}, Priority::critical, 100, {}, false}, minutes(10));
    }
    if (i % 600 == 0) {
      world.offer(at, {CompanyId{3}, Priority::bulk, 100, {}, false}, minutes(10));
    }
  }

  world.run();

  for (const auto& life : world.lives()) {
    ASSERT_TRUE(life.sent);
    if (life.request.priority == Priority::critical) {
      EXPECT_LE(*life.sent - life.came, seconds(1));
    }
    if (life.request.priority == Priority::bulk) {
      EXPECT_LE(*life.sent - life.came, seconds(70));
    }
  }
}

TEST(GateSimulationTest, starves_nobody_when_all_else_is_critical) {
  GateWorld world({.requests_per_minute = 600, .concurrency_start = 4, .concurrency_max = 4},
                  [&](const GateRequest& request, std::size_t) {
                    return answer_of(milliseconds(500), request.tokens);
                  });
  for (int i = 0; i < 6000; ++i) {
    world.offer(world.now() + milliseconds(50) * i,
                {CompanyId{1}, Priority::critical, 100, {}, false}, seconds(20));
  }
  world.offer(world.now(), {CompanyId{1}, Priority::bulk, 100, {}, false}, minutes(10));

  world.run();

  const auto bulk = std::ranges::find_if(world.lives(), [](const GateWorld::Life& life) {
    return life.request.priority == Priority::bulk;
  });
  ASSERT_TRUE(bulk->sent);
  EXPECT_LE(*bulk->sent - bulk->came, seconds(181));
}

TEST(GateSimulationTest, finds_how_much_a_provider_takes_at_once_by_its_429s) {
  int sent = 0;
  int throttled = 0;
  GateWorld world({.default_wait = milliseconds(100)},
                  [&](const GateRequest& request, std::size_t in_flight) {
                    ++sent;
                    if (in_flight <= 24) return answer_of(seconds(1), request.tokens);
                    ++throttled;
                    return fault_of(milliseconds(20), ChatFault::throttled);
                  });
  for (int i = 0; i < 60'000; ++i) {
    world.offer(world.now() + milliseconds(10) * i,
                {CompanyId{1}, Priority::critical, 1, {}, false}, seconds(10));
  }

  world.run();

  EXPECT_LT(throttled, sent / 50);
  EXPECT_GT(sent, 600 * 24 * 6 / 10) << "of what the provider could have done";
}

// Twenty small companies ask now and then, beside one (or none) that offers 10^5 bulk requests at
// once.
struct Waits {
  Duration small_mean{};
  Duration small_p99{};
  Duration critical_p99{};
};

Waits waits_beside(int bulk_requests) {
  Chance chance(11);
  GateWorld world({.concurrency_min = 8, .concurrency_start = 8, .concurrency_max = 8},
                  [&](const GateRequest& request, std::size_t) {
                    return answer_of(milliseconds(20), request.tokens);
                  });
  for (int i = 0; i < bulk_requests; ++i) {
    world.offer(world.now(), {CompanyId{1}, Priority::bulk, 1000, {}, false}, minutes(60));
  }
  for (int i = 0; i < 4000; ++i) {
    const auto at = world.now() + chance.time({}, minutes(4));
    world.offer(at, {CompanyId{2 + i % 20}, Priority::normal, 1000, {}, false}, minutes(1));
    if (i % 4 == 0) {
      world.offer(at, {CompanyId{2 + i % 20}, Priority::critical, 1000, {}, false}, minutes(1));
    }
  }

  world.run();

  std::vector<Duration> small;
  std::vector<Duration> critical;
  Duration sum{};
  for (const auto& life : world.lives()) {
    if (!life.sent) ADD_FAILURE() << life.refusal->message;
    if (life.request.priority == Priority::critical) critical.push_back(*life.sent - life.came);
    if (life.request.priority != Priority::normal) continue;
    small.push_back(*life.ended - life.came);
    sum += small.back();
  }
  std::ranges::sort(small);
  std::ranges::sort(critical);
  return {.small_mean = sum / static_cast<std::int64_t>(small.size()),
          .small_p99 = small[small.size() * 99 / 100],
          .critical_p99 = critical[critical.size() * 99 / 100]};
}

TEST(GateSimulationTest, lets_small_companies_wait_little_beside_a_hundred_thousand_bulk_requests) {
  const auto alone = waits_beside(0);

  const auto beside = waits_beside(100'000);

  EXPECT_LE(beside.critical_p99, milliseconds(100));
  EXPECT_LE(beside.small_mean, alone.small_mean * 2);
  EXPECT_LE(beside.small_p99, alone.small_p99 * 2);
  RecordProperty("critical_p99_us",
                 std::to_string(beside.critical_p99 / std::chrono::microseconds(1)));
  RecordProperty("small_mean_us", std::to_string(beside.small_mean / std::chrono::microseconds(1)));
  RecordProperty("small_p99_us", std::to_string(beside.small_p99 / std::chrono::microseconds(1)));
}

}  // namespace
}  // namespace samtale

// Router: sends a request to a node that has the slice of an index it is about.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/member.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "sys/random.h"

namespace samtale {

struct RouterStats {
  std::uint64_t sent = 0;
  std::uint64_t sent_again = 0;   // To another node, as the first had refused or was given up.
  std::uint64_t hedges = 0;       // To a second node, beside a first that was late.
  std::uint64_t hedges_won = 0;   // Of them, those whose answer was taken.
  std::uint64_t hedges_held = 0;  // Late, but not hedged: the budget was spent.
  std::uint64_t refused = 0;      // Nobody was there to be asked.
};

// Of two nodes that could answer, the one with fewer of our requests under way (Mitzenmacher 2001,
// "The Power of Two Choices in Randomized Load Balancing"). Where it is late, a second is asked
// beside it, and the first answer taken (Dean & Barroso 2013, "The Tail at Scale": hedged
// requests). One in twenty at the most, so that an overload, where all are late, is not doubled.
// Threads: any method from any thread; send() and the hedges block.
class Router {
 public:
  // All must outlive it.
  Router(HttpClient& http_client, Random& random, const Clock& clock)
      : http_client_(http_client), random_(random), clock_(clock) {}

  // Who is there now, but oneself.
  void set_members(std::vector<Member> members);

  // `call.url` is the path, `call.timeout` of one attempt. Where a node cannot be reached, is
  // starting, stopping or full (503), or is late, another one is asked, four at the most: the
  // request must change nothing. Errors: unavailable if no node that is there has the slice's
  // index, of at least that layout; else those of the last one asked.
  [[nodiscard]] Result<HttpAnswer> send(std::size_t slice, HttpCall call, std::uint64_t layout = 0);
  // Whether it would ask anybody.
  [[nodiscard]] bool knows_one(std::size_t slice, std::uint64_t layout) const;

  // Asks a second node for one request that is late; false if none is. Returns with its answer.
  bool hedge(const std::stop_token& stop = {});
  // The same until it is told to stop: each thread that runs it is one hedge at a time.
  void run_hedges(const std::stop_token& stop);

  // How long a node has not answered when it is late: the 95th percentile of the last answers, but
  // 10 ms to 1 s; half a second until there are enough.
  [[nodiscard]] Duration hedge_after() const;
  // … and when it is given up where another could answer: twice that, at least 1 s.
  [[nodiscard]] Duration give_up_after() const;

  [[nodiscard]] RouterStats stats() const;

 private:
  // One send(), as its own thread and that of its hedge see it.
  struct Race;
  using Late = std::multimap<Instant, std::shared_ptr<Race>>;
  struct Choice {
    std::string url;  // Empty: nobody has it that was not asked.
    bool is_last = true;
  };
  [[nodiscard]] Choice choose(Race& race, std::uint64_t RouterStats::*counter);
  [[nodiscard]] Result<HttpAnswer> ask(const Choice& choice, const Race& race,
                                       const std::stop_token& stop);
  void begin_watch(const std::shared_ptr<Race>& race);
  [[nodiscard]] Result<HttpAnswer> end_watch(Race& race, Result<HttpAnswer> first);
  [[nodiscard]] std::shared_ptr<Race> take_late();
  void note_answer(Duration took);
  [[nodiscard]] Duration percentile() const;

  // What is kept of the budget, of which a hedge takes 1: some more than come late when a node has
  // just stopped.
  static constexpr double kBudgetMax = 10;

  HttpClient& http_client_;
  Random& random_;
  const Clock& clock_;
  mutable std::mutex members_mutex_;
  std::vector<Member> members_;           // All below guarded by members_mutex_.
  std::map<std::string, int> under_way_;  // By URL.
  std::array<Duration, 256> recent_{};    // How long the last answers took.
  std::size_t answers_ = 0;
  Duration percentile_ = std::chrono::milliseconds(500);
  Late watched_;  // By when they are late.
  double budget_ = kBudgetMax;
  std::condition_variable_any watched_changed_;
  RouterStats stats_;
};

}  // namespace samtale

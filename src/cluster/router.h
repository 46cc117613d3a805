// Router: sends a request to a node that has the index it is about.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
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
  std::uint64_t sent_again = 0;  // To another node, as the first had not answered.
  std::uint64_t refused = 0;     // Nobody was there to be asked.
};

// Of two nodes that could answer, the one with fewer of our requests under way (Mitzenmacher 2001,
// "The Power of Two Choices in Randomized Load Balancing").
// Threads: any method from any thread; send() blocks.
class Router {
 public:
  // All must outlive it.
  Router(HttpClient& http_client, Random& random, const Clock& clock)
      : http_client_(http_client), random_(random), clock_(clock) {}

  // Who is there now, but oneself.
  void set_members(std::vector<Member> members);

  // `call.url` is the path, `call.timeout` of one attempt. Where a node cannot be reached, is
  // starting, stopping or full (503), or is late, another one is asked, four at the most: the
  // request must change nothing. Errors: unavailable if no node that is there has the partition's
  // index; else those of the last one asked.
  [[nodiscard]] Result<HttpAnswer> send(std::size_t partition, HttpCall call);

  // How long one node is waited for where another could answer: twice the 95th percentile of the
  // last answers, but 50 ms to 1 s, so that few are asked in vain (Dean & Barroso 2013, "The Tail
  // at Scale", hedged requests; here the first is given up). 1 s until there are enough.
  [[nodiscard]] Duration patience() const;

  [[nodiscard]] RouterStats stats() const;

 private:
  struct Choice {
    std::string url;  // Empty: nobody has it but `tried`.
    bool is_last = true;
  };
  [[nodiscard]] Choice choose(std::size_t partition, const std::vector<std::string>& tried);
  void note_answer(Duration took);

  HttpClient& http_client_;
  Random& random_;
  const Clock& clock_;
  mutable std::mutex members_mutex_;
  std::vector<Member> members_;           // All below guarded by members_mutex_.
  std::map<std::string, int> under_way_;  // By URL.
  std::array<Duration, 256> recent_{};    // How long the last answers took.
  std::size_t answers_ = 0;
  Duration patience_ = std::chrono::seconds(1);
  RouterStats stats_;
};

}  // namespace samtale

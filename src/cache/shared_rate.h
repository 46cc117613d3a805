// SharedRate: how the nodes that use one account of a provider divide its rate among themselves, by
// way of Redis or Valkey.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/redis_connection.h"
#include "sys/clock.h"
#include "sys/log.h"

namespace samtale {

struct SharedRateOptions {
  RedisAddress address;
  Duration timeout = std::chrono::milliseconds(30);  // Of one exchange, connecting included.
  // Who has not been heard of for so long has no part any more. Many times the time between two
  // exchanges.
  Duration lease = std::chrono::seconds(3);
};

struct RatePart {
  double part = 1;                        // Of the whole, 0 to 1.
  Instant closed_until = Instant::min();  // What another node was told: nothing before it.
};

// Each node tells now and then what it could use, and is told its part: a tenth of all is divided
// equally, so that who was idle may begin at once, and the rest by demand. What others hold is
// never given away: a node that wants more has it as soon as they have taken less. So all parts
// together are never more than the whole, but for what a node that was stopped for longer than its
// lease uses before its next exchange.
//
// Errors:  none. While Redis is away a node goes on with its last part, and at most with an equal
//          one of those it last knew of; one that never reached it takes itself for alone. Told
//          once ("cache.rate_alone", "cache.rate_shared").
// Threads: one at a time; a call blocks for `timeout` at most.
class SharedRate {
 public:
  // `account`: its name in Redis, so no secret. `node`: this process among all.
  SharedRate(const Clock& clock, Log& log, SharedRateOptions options, std::string_view account,
             std::string node);

  // `demand`: what this node could have used since the last exchange, in any unit that is the same
  // at all nodes. `closed_until`: before this the provider wants nothing.
  RatePart exchange(double demand, Instant closed_until);

  [[nodiscard]] const RatePart& last() const { return last_; }

 private:
  [[nodiscard]] Result<std::string> ask(Duration closed_for);

  const Clock& clock_;
  Log& log_;
  const SharedRateOptions options_;
  const std::string name_;
  const std::string node_;
  std::unique_ptr<RedisConnection> connection_;
  double demand_ = 0;  // Smoothed.
  int nodes_ = 1;      // That have a part, as last heard.
  int failures_ = 0;   // In a row.
  RatePart last_;
};

// What Redis answered: part, nodes, and for how long it is closed, in milliseconds; "0.5 2 0".
struct RateReply {
  double part = 0;
  int nodes = 0;
  Duration closed_for{};
};
// Nothing if it is no such reply.
[[nodiscard]] std::optional<RateReply> parse_rate_reply(std::string_view text);

}  // namespace samtale

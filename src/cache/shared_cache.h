// SharedCache: kept values that all nodes have in common, in Redis or Valkey. The second level
// below a Cache.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/cache_key.h"
#include "cache/redis_connection.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

struct SharedCacheOptions {
  RedisAddress address;
  Duration timeout = std::chrono::milliseconds(30);  // Of one call, connecting included.
  // After a failure nobody asks for so long; it doubles with each in a row, full jitter above half.
  Duration pause_base = std::chrono::milliseconds(100);
  Duration pause_longest = std::chrono::seconds(10);
  std::size_t connections_max = 8;
  // A value that nobody asks for is gone after this, give or take a tenth. Each that is found stays
  // for as long again, so those that are asked for do not expire, and none do together.
  Duration keep_for = std::chrono::hours(7 * 24);
};

// redis://[user@]host[:port][/database], redis:///… for this machine, or unix:///path[?db=n].
// Errors: invalid_argument, saying what is wrong. A password is none of it: it would be shown with
// the configuration.
[[nodiscard]] Result<RedisAddress> parse_redis_url(std::string_view url);

struct SharedCacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t errors = 0;   // Calls without an answer in time, or refused.
  std::uint64_t skipped = 0;  // Not asked: after a failure, or with all connections in use.
  std::uint64_t refused = 0;  // Values found that were not what was put: foreign, torn, damaged.
};

// What is passed in must outlive it.
// Threads: any method from any thread; a call blocks for `timeout` at most (a host's name is looked
//          up by the system, which may take longer).
// Errors:  none. A server that is away, slow, empty or wrong is a miss: whoever asks makes the
// value.
//          One that is away costs one caller the timeout once a pause, the rest nothing, and is
//          told once ("cache.redis_away", "cache.redis_back").
class SharedCache {
 public:
  // Asks nothing yet.
  SharedCache(const Clock& clock, Random& random, Log& log, SharedCacheOptions options);

  // Verified: it is the value that was put for this key, or nothing.
  [[nodiscard]] std::optional<std::string> get(const CacheKey& key);
  void put(const CacheKey& key, std::string_view value);
  // What get() gave was no value of its kind after all.
  void refuse();

  [[nodiscard]] SharedCacheStats stats() const;

 private:
  using Connection = std::unique_ptr<RedisConnection>;

  // Empty reply: nothing, or no answer. Counts all that goes wrong.
  std::optional<std::string> ask(std::span<const std::string_view> words);
  bool may_begin();
  Connection take_idle();
  void end(Connection connection, const Result<std::optional<std::string>>& answer);
  void refuse_locked();
  std::string expiry();

  const Clock& clock_;
  Random& random_;
  Log& log_;
  const SharedCacheOptions options_;
  mutable std::mutex connections_mutex_;  // Guards the rest.
  std::vector<Connection> idle_;
  std::size_t in_use_ = 0;
  int failures_ = 0;  // In a row.
  Instant paused_until_{};
  SharedCacheStats stats_;
};

}  // namespace samtale

// DatabaseWatch: looks at the PostgreSQL that servers share, for all who would else each have to:
// where others have written; that it has gone back, or would not survive a loss of power, which an
// operator must know.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/postgres_history.h"
#include "sys/clock.h"
#include "sys/log.h"

namespace samtale {

struct DatabaseWatchParts {
  std::function<Result<PostgresLook>()> look_back;
  std::function<Result<std::vector<std::string>>()> unsafe_settings;
  std::function<void(const PartitionNews&)> has_news;
  // Another database has taken over: what is remembered of the old one may be wrong.
  std::function<void()> has_failed_over;
};

// Threads: step from one, the others from any.
class DatabaseWatch {
 public:
  // `clock` and `log` must outlive it.
  DatabaseWatch(DatabaseWatchParts parts, const Clock& clock, Log& log)
      : parts_(std::move(parts)), clock_(clock), log_(log) {}

  // A worker's step, to be made as often as news should be known; returns 0. Errors: those of the
  // database.
  Result<std::size_t> step();

  [[nodiscard]] std::uint64_t failovers() const { return failovers_; }
  [[nodiscard]] std::uint64_t lost_writes() const { return lost_writes_; }
  [[nodiscard]] bool is_durable() const { return is_durable_; }

 private:
  Result<> look_at_settings();

  const DatabaseWatchParts parts_;
  const Clock& clock_;
  Log& log_;
  std::optional<Instant> settings_seen_;
  std::vector<std::string> unsafe_settings_;
  std::atomic<std::uint64_t> failovers_ = 0;
  std::atomic<std::uint64_t> lost_writes_ = 0;
  std::atomic<bool> is_durable_ = true;
};

}  // namespace samtale

// Pool: the connections a process shares.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "postgres/connection.h"

namespace samtale::postgres {

struct PoolOptions {
  Address address;
  std::size_t connections_max = 16;
  // Statements are prepared once a connection, and planned once for all values: planning takes
  // PostgreSQL longer than running most. Behind a pooler they are not, whatever is said here.
  bool names_statements = false;
  Duration acquire_timeout = std::chrono::seconds(5);     // For a free one; then to connect.
  Duration lifetime = std::chrono::minutes(30);           // So that a new server gets its share.
  Duration statement_timeout = std::chrono::seconds(30);  // Of one pipeline.
};

struct PoolStats {
  std::size_t leased = 0;
  std::size_t idle = 0;
  // Since the start:
  std::uint64_t opened = 0;
  std::uint64_t waits = 0;    // For a connection to become free, …
  std::uint64_t refused = 0;  // … in vain.
  Duration waited{};          // All together.
};

class Pool;

// A connection of one's own until it ends. One that is of no more use is not given back.
class Lease {
 public:
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  [[nodiscard]] Connection& operator*() const { return *connection_; }
  [[nodiscard]] Connection* operator->() const { return connection_.get(); }

 private:
  friend class Pool;
  Lease(Pool& pool, std::unique_ptr<Connection> connection, Instant opened)
      : pool_(&pool), connection_(std::move(connection)), opened_(opened) {}

  Pool* pool_;
  std::unique_ptr<Connection> connection_;
  Instant opened_;
};

// Threads: any method from any thread; leases must end before the pool.
// Errors:  those of Connection::open; unavailable if none becomes free in time.
// Order:   the connection used last is used next, so that spare ones grow old and go.
class Pool {
 public:
  Pool(PoolOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] Result<Lease> acquire();

  [[nodiscard]] const PoolOptions& options() const { return options_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Instant deadline() const { return clock_.now() + options_.statement_timeout; }
  [[nodiscard]] PoolStats stats() const;

 private:
  friend class Lease;
  struct Idle {
    std::unique_ptr<Connection> connection;
    Instant opened;
  };

  [[nodiscard]] bool wait_for_a_free_one(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Result<std::unique_ptr<Connection>> open(Instant deadline) const;
  void give_back(std::unique_ptr<Connection> connection, Instant opened);
  [[nodiscard]] bool is_fresh(const Idle& idle) const;

  const PoolOptions options_;
  const Clock& clock_;
  mutable std::mutex idle_mutex_;
  std::condition_variable one_is_free_;
  std::vector<Idle> idle_;  // Both guarded by idle_mutex_.
  PoolStats stats_;         // But for `idle`.
};

}  // namespace samtale::postgres

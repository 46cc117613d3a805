// RabbitLane: the way of one kind of job through the broker: lent by the outbox, published,
// delivered to whoever asks, claimed in the outbox. Private to queue/.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "queue/postgres_queue.h"
#include "queue/rabbit_session.h"
#include "queue/rabbit_topology.h"

namespace samtale {

struct RabbitCounters {
  std::atomic<std::uint64_t> published = 0;
  std::atomic<std::uint64_t> confirmed = 0;
  std::atomic<std::uint64_t> delivered = 0;
  std::atomic<std::uint64_t> redelivered = 0;  // Of them, those that somebody may have had before.
  std::atomic<std::uint64_t> stale = 0;        // Of them, of jobs that are no longer lent so.
  std::atomic<std::uint64_t> parked = 0;       // Of them, those that cannot be read.
  std::atomic<std::uint64_t> buried = 0;       // Dead letters made jobs that are given up.
};

struct RabbitLaneOptions {
  std::size_t window = 0;  // Jobs that may wait in the broker beyond what is asked for.
  // A message that waits longer, also at a server that is busy, is sent again.
  Duration lent_for = std::chrono::seconds(10);
};

// Threads: any; one works with the broker, and others wait for it, unless the broker is away.
// Memory:  deliveries that are not claimed yet: at most the largest limit, for each priority.
class RabbitLane {
 public:
  // All must outlive it.
  RabbitLane(std::string kind, PostgresQueue& outbox, const RabbitTopology& topology,
             const Clock& clock, Random& random, Log& log, const RabbitSessionOptions& session,
             const RabbitLaneOptions& options, RabbitCounters& counters);

  // As Queue::take(). While the broker is away the outbox hands out what it has.
  [[nodiscard]] Result<std::vector<Job>> take(std::size_t limit, Duration lease);

  [[nodiscard]] bool is_away() const { return session_.is_away(); }

 private:
  struct Held {
    LentJob job;
    std::uint64_t tag = 0;
  };

  [[nodiscard]] Result<std::vector<Job>> take_locked(std::size_t limit, Duration lease);
  [[nodiscard]] Result<std::vector<Job>> without_broker(const Error& error,
                                                        std::span<const LentJob> lent,
                                                        std::size_t limit, Duration lease);
  [[nodiscard]] bool is_new();
  // The broker's part: what has come is held, what is lent is sent.
  Result<> receive(amqp::Connection& connection);
  Result<> send(amqp::Connection& connection, std::span<const LentJob> lent);
  Result<> count(amqp::Connection& connection, Priority urgency);
  Result<> count_all(amqp::Connection& connection);
  Result<> park(amqp::Connection& connection, const amqp::Delivery& delivery);

  [[nodiscard]] Result<std::vector<Job>> claim(amqp::Connection& connection, std::size_t limit,
                                               Duration lease);
  [[nodiscard]] std::vector<Held> next_held(std::size_t limit) const;
  void let_go(std::span<const Held> held);
  [[nodiscard]] std::size_t held_count() const;
  [[nodiscard]] std::size_t waiting_count() const;

  const std::string kind_;
  PostgresQueue& outbox_;
  const RabbitTopology& topology_;
  const RabbitLaneOptions options_;
  RabbitCounters& counters_;
  std::mutex session_mutex_;  // Held while the broker is asked: a connection is one thread's.
  RabbitSession session_;     // All below guarded by it.
  std::uint64_t generation_ = 0;
  std::array<std::deque<Held>, 3> held_;  // By urgency, in the order in which they came.
  std::array<std::size_t, 3> waiting_{};  // In the broker, when it was last asked.
};

}  // namespace samtale

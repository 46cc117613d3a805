// RabbitSession: a connection to the broker that is opened again after a failure, after a pause.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "amqp/connection.h"
#include "base/result.h"
#include "queue/queue.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

struct RabbitSessionOptions {
  amqp::Address address;
  Duration timeout = std::chrono::seconds(5);                    // Of one call.
  std::size_t body_bytes_max = amqp::Connection::kBodyBytesMax;  // Of a delivery: cut after it.
  // After each failure in a row nobody asks for so long.
  RetryPolicy pause{.base = std::chrono::milliseconds(100), .longest = std::chrono::seconds(10)};
};

// What is passed in must outlive it.
// Threads: one at a time, but is_away() from any.
// Errors:  none: a broker that is away is told once ("queue.broker_away", "queue.broker_back"), one
//          whose queues are not as they should be as an error ("queue.topology_wrong").
class RabbitSession {
 public:
  // Consumes `queues`, each of which must be there, as `others` must, to which it may publish.
  RabbitSession(std::string name, std::vector<amqp::QueueSpec> queues,
                std::vector<amqp::QueueSpec> others, const Clock& clock, Random& random, Log& log,
                const RabbitSessionOptions& options);

  // Null while the broker is away. `prefetch`: messages that may be on their way here, of a queue;
  // for more than it was opened with, it is opened anew.
  [[nodiscard]] amqp::Connection* connection(std::uint16_t prefetch);
  // What was not acknowledged will be delivered again, perhaps to another.
  void failed(const Error& error);
  // The broker has done what it was asked.
  void worked();

  [[nodiscard]] bool is_away() const { return is_away_; }
  [[nodiscard]] Instant deadline() const { return clock_.now() + options_.timeout; }
  // Counts what was opened: a delivery belongs to one of them.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  [[nodiscard]] Result<std::unique_ptr<amqp::Connection>> open(std::uint16_t prefetch) const;

  const std::string name_;
  const std::vector<amqp::QueueSpec> queues_;
  const std::vector<amqp::QueueSpec> others_;
  const Clock& clock_;
  Random& random_;
  Log& log_;
  const RabbitSessionOptions options_;
  std::unique_ptr<amqp::Connection> connection_;
  std::uint16_t prefetch_ = 0;
  std::uint64_t generation_ = 0;
  int failures_ = 0;  // In a row.
  Instant paused_until_{};
  Instant used_at_{};
  std::atomic<bool> is_away_ = false;
};

}  // namespace samtale

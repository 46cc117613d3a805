// RabbitTopology: the queues that jobs go through in a broker, and whether they are there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/connection.h"
#include "base/result.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

// Quorum queues of RabbitMQ 3.10 know no priorities: each kind has a queue for each.
class RabbitTopology {
 public:
  // Handed out so often without an answer, a message goes to the dead letters. A connection that is
  // cut counts, so it is more than the attempts of a job.
  static constexpr std::int32_t kDeliveriesMax = 10;
  static constexpr std::size_t kEventLanes = 8;
  static constexpr std::int64_t kEventLaneBytesMax = std::int64_t{1} << 30;

  // Names begin with `prefix`: "samtale.embed.critical". Kinds that are not listed go another way.
  RabbitTopology(std::string prefix, std::vector<std::string> kinds)
      : prefix_(std::move(prefix)), kinds_(std::move(kinds)) {}

  [[nodiscard]] const std::vector<std::string>& kinds() const { return kinds_; }
  [[nodiscard]] std::vector<amqp::QueueSpec> all() const;
  [[nodiscard]] amqp::QueueSpec of(std::string_view kind, Priority urgency) const;
  // Of accepted events: so that one company's flood delays an eighth of the others. Full, one
  // refuses more; what nobody can take effect of is parked.
  [[nodiscard]] std::vector<amqp::QueueSpec> event_lanes() const;
  [[nodiscard]] std::string event_lane(CompanyId company) const;
  [[nodiscard]] amqp::QueueSpec dead() const { return {.name = prefix_ + ".dead"}; }
  // Of messages that nobody here can read: kept for who can.
  [[nodiscard]] amqp::QueueSpec parked() const { return {.name = prefix_ + ".parked"}; }

 private:
  const std::string prefix_;
  const std::vector<std::string> kinds_;
};

inline constexpr Priority kPriorities[] = {Priority::critical, Priority::normal, Priority::bulk};

// conflict, saying what is wrong and what helps, where the queue is missing or another. Makes none.
Result<> check_queue(amqp::Connection& connection, const amqp::QueueSpec& queue, Instant deadline);

struct QueueCheck {
  std::string queue;
  std::size_t messages = 0;  // That wait in it.
  std::string problem;       // Empty: it is as it should be.
  bool is_fixed = false;     // It was not, and is now.
};
// Of all queues. With `fix` those that are missing are made, and those that are others (not
// durable, of other limits) are removed, with their messages, and made: the jobs are not in them.
// `timeout`: of each call. Errors: those of amqp::Connection.
[[nodiscard]] Result<std::vector<QueueCheck>> check_topology(amqp::Connection& connection,
                                                             const RabbitTopology& topology,
                                                             bool fix, const Clock& clock,
                                                             Duration timeout);

}  // namespace samtale

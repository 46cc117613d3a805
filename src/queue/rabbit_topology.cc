#include "queue/rabbit_topology.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace samtale {

amqp::QueueSpec RabbitTopology::of(std::string_view kind, Priority urgency) const {
  constexpr std::array<const char*, 3> kNames = {"critical", "normal", "bulk"};
  return {.name = prefix_ + "." + std::string(kind) + "." +
                  kNames.at(static_cast<std::size_t>(urgency)),
          .deliveries_max = kDeliveriesMax,
          .dead_letters = dead().name};
}

std::vector<amqp::QueueSpec> RabbitTopology::event_lanes() const {
  std::vector<amqp::QueueSpec> lanes;
  for (std::size_t i = 0; i < kEventLanes; ++i) {
    lanes.push_back({.name = prefix_ + ".accepted." + std::to_string(i),
                     .deliveries_max = kDeliveriesMax,
                     .dead_letters = parked().name,
                     .bytes_max = kEventLaneBytesMax});
  }
  return lanes;
}

std::string RabbitTopology::event_lane(CompanyId company) const {
  const auto lane = static_cast<std::uint64_t>(number(company)) % kEventLanes;
  return prefix_ + ".accepted." + std::to_string(lane);
}

std::vector<amqp::QueueSpec> RabbitTopology::all() const {
  std::vector<amqp::QueueSpec> queues{dead(), parked()};
  std::ranges::move(event_lanes(), std::back_inserter(queues));
  for (const auto& kind : kinds_) {
    for (const auto urgency : kPriorities) queues.push_back(of(kind, urgency));
  }
  return queues;
}

// Declaring a queue that is there says whether it is the one; who takes it away in between finds it
// made again.
Result<> check_queue(amqp::Connection& connection, const amqp::QueueSpec& queue, Instant deadline) {
  SAMTALE_TRY(const bool is_there, connection.has_queue(queue.name, deadline));
  if (!is_there) {
    return fail(ErrorCode::conflict,
                "queue " + queue.name + " is not there; `samtale topology check --fix` makes it");
  }
  auto declared = connection.declare(queue, deadline);
  if (!declared && declared.error().code == ErrorCode::conflict) {
    return fail(ErrorCode::conflict, "queue " + queue.name +
                                         " is another than is wanted: " + declared.error().message +
                                         "; `samtale topology check --fix` makes it anew");
  }
  return declared;
}

Result<std::vector<QueueCheck>> check_topology(amqp::Connection& connection,
                                               const RabbitTopology& topology, bool fix,
                                               const Clock& clock, Duration timeout) {
  const auto deadline = [&] { return clock.now() + timeout; };
  std::vector<QueueCheck> checks;
  for (const auto& queue : topology.all()) {
    QueueCheck check{.queue = queue.name};
    auto found = check_queue(connection, queue, deadline());
    if (!found && found.error().code != ErrorCode::conflict) return std::unexpected(found.error());
    if (!found) check.problem = found.error().message;
    if (!found && fix) {
      SAMTALE_TRY_VOID(connection.remove(queue.name, deadline()));
      SAMTALE_TRY_VOID(connection.declare(queue, deadline()));
      check.is_fixed = true;
    }
    if (check.problem.empty() || check.is_fixed) {
      SAMTALE_TRY(check.messages, connection.waiting(queue.name, deadline()));
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace samtale

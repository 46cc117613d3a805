// ReplicatedEvents: gives events their effect that nodes have accepted and put into a broker,
// whether those nodes are still there or not.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "ingest/apply_events.h"
#include "queue/rabbit_session.h"
#include "queue/rabbit_topology.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

struct ReplicatedEventsStats {
  std::uint64_t applied = 0;
  std::uint64_t passed = 0;  // Their own node, or somebody else, had been faster.
  std::uint64_t parked = 0;  // They cannot be read here.
};

// A message is acknowledged once its event's effect is committed, so one may come again, to another
// too: an event takes effect once (ingest/apply_events.h).
// Threads: step from one; stats from any.
// Memory:  256 events, each cut after a little more than a megabyte.
// Errors:  those of the store; the events are kept. Of the broker none: see RabbitSession.
class ReplicatedEvents {
 public:
  // What is passed in must outlive it.
  ReplicatedEvents(Store& store, const RabbitTopology& topology, const Clock& clock, Random& random,
                   Log& log, RabbitSessionOptions options);

  // Takes what has come; returns how many events.
  Result<std::size_t> step();

  [[nodiscard]] bool is_away() const { return session_.is_away(); }
  [[nodiscard]] ReplicatedEventsStats stats() const {
    return {.applied = applied_, .passed = passed_, .parked = parked_};
  }

 private:
  struct Held {
    std::vector<ReadEvent> events;
    std::vector<std::uint64_t> tags;
  };

  Result<> receive(amqp::Connection& connection);
  Result<> park(amqp::Connection& connection, const amqp::Delivery& delivery);
  Result<> apply(Partition partition, std::span<const ReadEvent> events);

  Store& store_;
  const std::string parked_name_;
  RabbitSession session_;
  std::uint64_t generation_ = 0;  // Of the session that what is held came by.
  std::map<Partition, Held> held_;
  std::atomic<std::uint64_t> applied_ = 0;
  std::atomic<std::uint64_t> passed_ = 0;
  std::atomic<std::uint64_t> parked_ = 0;
};

}  // namespace samtale

#include "relay/replicated_events.h"

#include <array>
#include <utility>

#include "relay/event_message.h"

namespace samtale {
namespace {

constexpr std::uint16_t kPrefetch = 32;  // Of each lane.
// Than the events that are sent: the heads of record and message.
constexpr std::size_t kBodyBytesMax = std::size_t{1100} << 10;

RabbitSessionOptions with_long_bodies(RabbitSessionOptions options) {
  options.body_bytes_max = kBodyBytesMax;
  return options;
}

// What of the events has not taken effect by way of its own log.
Result<std::vector<ReadEvent>> not_passed(StoreWriter& writer, std::span<const ReadEvent> events) {
  std::map<LogId, LogPosition> offsets;
  std::vector<ReadEvent> left;
  for (const auto& event : events) {
    auto found = offsets.find(event.place.log);
    if (found == offsets.end()) {
      SAMTALE_TRY(const auto offset, writer.log_offset(event.place.log));
      found = offsets.emplace(event.place.log, offset).first;
    }
    if (event.place.position >= found->second) left.push_back(event);
  }
  return left;
}

}  // namespace

ReplicatedEvents::ReplicatedEvents(Store& store, const RabbitTopology& topology, const Clock& clock,
                                   Random& random, Log& log, RabbitSessionOptions options)
    : store_(store),
      parked_name_(topology.parked().name),
      session_("replicated events", topology.event_lanes(), {topology.parked()}, clock, random, log,
               with_long_bodies(std::move(options))) {}

Result<std::size_t> ReplicatedEvents::step() {
  auto* const connection = session_.connection(kPrefetch);
  // What came by another session comes again.
  if (connection == nullptr || session_.generation() != generation_) held_.clear();
  if (connection == nullptr) return 0;
  generation_ = session_.generation();
  if (const auto received = receive(*connection); !received) {
    session_.failed(received.error());
    return 0;
  }
  session_.worked();

  std::size_t done = 0;
  Result<> all{};
  for (auto next = held_.begin(); next != held_.end();) {
    const auto found = next++;
    auto applied = apply(found->first, found->second.events);
    if (!applied) {
      all = std::move(applied);  // Of the others none waits for it.
      continue;
    }
    done += found->second.events.size();
    if (const auto told = connection->acknowledge(found->second.tags); !told) {
      session_.failed(told.error());
      return done;
    }
    held_.erase(found);
  }
  if (!all) return std::unexpected(std::move(all).error());
  return done;
}

Result<> ReplicatedEvents::receive(amqp::Connection& connection) {
  SAMTALE_TRY(const auto arrived, connection.arrived());
  for (const auto& delivery : arrived) {
    const auto message = decode_event_message(delivery.body);
    auto event = message ? read_event(message->place, message->payload)
                         : Result<ReadEvent>(std::unexpected(message.error()));
    if (!event) {
      SAMTALE_TRY_VOID(park(connection, delivery));
      continue;
    }
    auto& held = held_[store_.partition_of(event->company)];
    held.events.push_back(*std::move(event));
    held.tags.push_back(delivery.tag);
  }
  return {};
}

// Confirmed elsewhere before it is let go of here.
Result<> ReplicatedEvents::park(amqp::Connection& connection, const amqp::Delivery& delivery) {
  const std::array copy = {amqp::Message{.queue = parked_name_, .body = delivery.body}};
  SAMTALE_TRY_VOID(connection.publish(copy, session_.deadline()));
  ++parked_;
  return connection.acknowledge(std::array{delivery.tag});
}

Result<> ReplicatedEvents::apply(Partition partition, std::span<const ReadEvent> events) {
  std::size_t applied = 0;
  SAMTALE_TRY_VOID(store_.write(partition, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(const auto left, not_passed(writer, events));
    applied = left.size();
    return apply_events(writer, left, false);
  }));
  applied_ += applied;
  passed_ += events.size() - applied;
  return {};
}

}  // namespace samtale

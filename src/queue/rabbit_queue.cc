#include "queue/rabbit_queue.h"

#include <array>
#include <utility>

#include "queue/job_message.h"

namespace samtale {
namespace {

constexpr std::uint16_t kBuriedAtOnce = 100;

}  // namespace

RabbitQueue::RabbitQueue(PostgresQueue& outbox, const RabbitTopology& topology, const Clock& clock,
                         Random& random, Log& log, const RabbitQueueOptions& options)
    : outbox_(outbox),
      clock_(clock),
      options_(options),
      parked_(topology.parked().name),
      dead_("dead letters", {topology.dead()}, {topology.parked()}, clock, random, log,
            options.session) {
  for (const auto& kind : topology.kinds()) {
    lanes_.emplace(kind, std::make_unique<RabbitLane>(kind, outbox, topology, clock, random, log,
                                                      options.session, options.lane, counters_));
  }
}

Result<std::vector<Job>> RabbitQueue::take(std::string_view kind, std::size_t limit,
                                           Duration lease) {
  bury_dead();
  const auto lane = lanes_.find(kind);
  if (lane == lanes_.end()) return outbox_.take(kind, limit, lease);
  return lane->second->take(limit, lease);
}

// Whoever takes does it, now and then.
void RabbitQueue::bury_dead() {
  const std::unique_lock lock(dead_mutex_, std::try_to_lock);
  if (!lock || clock_.now() - buried_at_ < options_.bury_every) return;
  buried_at_ = clock_.now();
  auto* const connection = dead_.connection(kBuriedAtOnce);
  if (connection == nullptr) return;
  if (const auto done = bury(*connection); !done) {
    dead_.failed(done.error());
  } else {
    dead_.worked();
  }
}

// A job that is lent no more was handed out after all, by another message or none.
Result<> RabbitQueue::bury(amqp::Connection& connection) {
  SAMTALE_TRY(const auto arrived, connection.arrived());
  for (const auto& delivery : arrived) {
    const auto message = decode_job_message(delivery.body);
    if (!message) {
      const std::array copy = {amqp::Message{.queue = parked_, .body = delivery.body}};
      SAMTALE_TRY_VOID(connection.publish(copy, dead_.deadline()));
      ++counters_.parked;
    } else {
      const Job job{.id = message->job.id,
                    .partition = outbox_.partition_of(message->job.company),
                    .company = message->job.company,
                    .kind = message->kind,
                    .payload = {},
                    .key = {},
                    .fence = message->job.fence};
      auto given_up = outbox_.give_up(job, "the broker handed it out " +
                                               std::to_string(RabbitTopology::kDeliveriesMax) +
                                               " times, and whoever got it was lost");
      if (!given_up && given_up.error().code != ErrorCode::conflict) return given_up;
      if (given_up) ++counters_.buried;
    }
    SAMTALE_TRY_VOID(connection.acknowledge(std::array{delivery.tag}));
  }
  return {};
}

RabbitQueueStats RabbitQueue::broker_stats() const {
  RabbitQueueStats stats{.published = counters_.published,
                         .confirmed = counters_.confirmed,
                         .delivered = counters_.delivered,
                         .redelivered = counters_.redelivered,
                         .stale = counters_.stale,
                         .parked = counters_.parked,
                         .buried = counters_.buried,
                         .is_up = {}};
  for (const auto& [kind, lane] : lanes_) stats.is_up.emplace(kind, !lane->is_away());
  return stats;
}

}  // namespace samtale

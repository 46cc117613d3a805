#include "queue/rabbit_lane.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "queue/job_message.h"

namespace samtale {
namespace {

std::size_t place(Priority urgency) { return static_cast<std::size_t>(urgency); }

std::vector<amqp::QueueSpec> queues_of(const RabbitTopology& topology, const std::string& kind) {
  std::vector<amqp::QueueSpec> queues;
  for (const auto urgency : kPriorities) queues.push_back(topology.of(kind, urgency));
  return queues;
}

}  // namespace

RabbitLane::RabbitLane(std::string kind, PostgresQueue& outbox, const RabbitTopology& topology,
                       const Clock& clock, Random& random, Log& log,
                       const RabbitSessionOptions& session, const RabbitLaneOptions& options,
                       RabbitCounters& counters)
    : kind_(std::move(kind)),
      outbox_(outbox),
      topology_(topology),
      options_(options),
      counters_(counters),
      session_(kind_, queues_of(topology, kind_), {topology.parked()}, clock, random, log,
               session) {}

Result<std::vector<Job>> RabbitLane::take(std::size_t limit, Duration lease) {
  std::unique_lock lock(session_mutex_, std::defer_lock);
  // One looks whether the broker is back; the others need not wait for that.
  if (!session_.is_away()) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return outbox_.take(kind_, limit, lease);
  }
  return take_locked(limit, lease);
}

Result<std::vector<Job>> RabbitLane::take_locked(std::size_t limit, Duration lease) {
  if (limit == 0) return std::vector<Job>();
  constexpr std::size_t kPrefetchMax = std::numeric_limits<std::uint16_t>::max();
  limit = std::min(limit, kPrefetchMax);
  auto* const connection = session_.connection(static_cast<std::uint16_t>(limit));
  if (connection == nullptr) return outbox_.take(kind_, limit, lease);
  if (auto received = is_new() ? count_all(*connection) : receive(*connection); !received) {
    return without_broker(received.error(), {}, limit, lease);
  }
  const auto wanted = limit + options_.window;
  const auto ahead = held_count() + waiting_count();
  if (ahead < wanted) {
    SAMTALE_TRY(auto lending, outbox_.lend(kind_, wanted - ahead, options_.lent_for, lease));
    if (lending.taken) return std::vector{*std::move(lending.taken)};
    if (auto sent = send(*connection, lending.lent); !sent) {
      return without_broker(sent.error(), lending.lent, limit, lease);
    }
  } else if (held_count() == 0) {  // Others may have taken what waited.
    if (auto counted = count_all(*connection); !counted) {
      return without_broker(counted.error(), {}, limit, lease);
    }
  }
  session_.worked();
  return claim(*connection, limit, lease);
}

// What another connection brought comes again.
bool RabbitLane::is_new() {
  if (session_.generation() == generation_) return false;
  generation_ = session_.generation();
  held_ = {};
  return true;
}

// What is known to be lent is handed out as if it had never been. What waits in the broker is due
// again when its lending ends.
Result<std::vector<Job>> RabbitLane::without_broker(const Error& error,
                                                    std::span<const LentJob> lent,
                                                    std::size_t limit, Duration lease) {
  session_.failed(error);
  std::vector<LentJob> ours(lent.begin(), lent.end());
  for (auto& held : held_) {
    for (const auto& one : held) ours.push_back(one.job);
    held.clear();
  }
  if (!ours.empty()) SAMTALE_TRY_VOID(outbox_.take_back(kind_, ours));
  return outbox_.take(kind_, limit, lease);
}

Result<> RabbitLane::receive(amqp::Connection& connection) {
  SAMTALE_TRY(const auto arrived, connection.arrived());
  for (const auto& delivery : arrived) {
    ++counters_.delivered;
    if (delivery.is_redelivered) ++counters_.redelivered;
    const auto message = decode_job_message(delivery.body);
    if (!message || message->kind != kind_) {
      SAMTALE_TRY_VOID(park(connection, delivery));
      continue;
    }
    for (const auto urgency : kPriorities) {
      if (topology_.of(kind_, urgency).name != delivery.queue) continue;
      held_[place(urgency)].push_back({message->job, delivery.tag});
    }
  }
  return {};
}

// Confirmed elsewhere before it is let go of here.
Result<> RabbitLane::park(amqp::Connection& connection, const amqp::Delivery& delivery) {
  const auto parked = topology_.parked().name;
  const std::array messages = {amqp::Message{.queue = parked, .body = delivery.body}};
  SAMTALE_TRY_VOID(connection.publish(messages, session_.deadline()));
  ++counters_.parked;
  return connection.acknowledge(std::array{delivery.tag});
}

Result<> RabbitLane::send(amqp::Connection& connection, std::span<const LentJob> lent) {
  if (lent.empty()) return {};
  std::array<std::string, 3> names;
  std::array<bool, 3> is_used{};
  for (const auto urgency : kPriorities) names[place(urgency)] = topology_.of(kind_, urgency).name;
  std::vector<amqp::Message> messages;
  for (const auto& job : lent) {
    is_used[place(job.urgency)] = true;
    messages.push_back(
        {.queue = names[place(job.urgency)], .body = encode_job_message(kind_, job)});
  }
  counters_.published += messages.size();
  SAMTALE_TRY_VOID(connection.publish(messages, session_.deadline()));
  counters_.confirmed += messages.size();
  for (const auto urgency : kPriorities) {
    if (is_used[place(urgency)]) SAMTALE_TRY_VOID(count(connection, urgency));
  }
  return receive(connection);
}

Result<> RabbitLane::count(amqp::Connection& connection, Priority urgency) {
  const auto name = topology_.of(kind_, urgency).name;
  SAMTALE_TRY(waiting_[place(urgency)], connection.waiting(name, session_.deadline()));
  return {};
}

Result<> RabbitLane::count_all(amqp::Connection& connection) {
  for (const auto urgency : kPriorities) SAMTALE_TRY_VOID(count(connection, urgency));
  return receive(connection);
}

// Messages about jobs that are settled, or were handed out by another way, are let go of.
Result<std::vector<Job>> RabbitLane::claim(amqp::Connection& connection, std::size_t limit,
                                           Duration lease) {
  while (true) {
    const auto held = next_held(limit);
    if (held.empty()) return std::vector<Job>();
    std::vector<LentJob> lent;
    std::vector<std::uint64_t> tags;
    for (const auto& one : held) {
      lent.push_back(one.job);
      tags.push_back(one.tag);
    }
    SAMTALE_TRY(auto jobs, outbox_.claim(kind_, lent, lease));
    let_go(held);
    counters_.stale += held.size() - jobs.size();
    if (const auto done = connection.acknowledge(tags); !done) session_.failed(done.error());
    if (!jobs.empty() || session_.is_away()) return jobs;
  }
}

// The most urgent first, of the partition of the first.
std::vector<RabbitLane::Held> RabbitLane::next_held(std::size_t limit) const {
  std::vector<Held> next;
  for (const auto& held : held_) {
    for (const auto& one : held) {
      if (next.size() == limit) return next;
      const bool fits = next.empty() || outbox_.partition_of(one.job.company) ==
                                            outbox_.partition_of(next.front().job.company);
      if (fits) next.push_back(one);
    }
  }
  return next;
}

void RabbitLane::let_go(std::span<const Held> held) {
  for (auto& all : held_) {
    std::erase_if(all, [&](const Held& one) {
      return std::ranges::any_of(held, [&](const Held& gone) { return gone.tag == one.tag; });
    });
  }
}

std::size_t RabbitLane::held_count() const {
  return held_[0].size() + held_[1].size() + held_[2].size();
}

std::size_t RabbitLane::waiting_count() const { return waiting_[0] + waiting_[1] + waiting_[2]; }

}  // namespace samtale

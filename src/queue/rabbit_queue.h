// RabbitQueue: the queue of several servers that share a PostgreSQL, whose jobs are handed out by a
// RabbitMQ broker. PostgresQueue stays the record of what is not done: its outbox.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queue/postgres_queue.h"
#include "queue/rabbit_lane.h"
#include "queue/rabbit_session.h"
#include "queue/rabbit_topology.h"

namespace samtale {

struct RabbitQueueOptions {
  RabbitSessionOptions session;
  RabbitLaneOptions lane;
  // How often dead letters of the broker are looked for.
  Duration bury_every = std::chrono::seconds(1);
};

struct RabbitQueueStats {
  std::uint64_t published = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t delivered = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t stale = 0;
  std::uint64_t parked = 0;
  std::uint64_t buried = 0;
  std::map<std::string, bool> is_up;  // By kind: false while its jobs come without the broker.
};

// A job goes from its row (take() lends it) to the broker, from there to whichever server asks, and
// is claimed in its row again, with a fence that only one gets: a message that comes twice, late or
// after all else is let go of. From then on the broker has no part in it: a worker's lease, its end
// and its dead letters are the outbox's, as is what is committed with data. What the broker loses
// is lent again when its time ends; while it is away, or its queues are not as they should be, the
// outbox hands jobs out itself.
// Threads: any method from any thread.
// Order:   as the outbox lends, so fair within a process, but for what waits in the broker
// (`window`)
//          and on the way to servers that do not ask just now.
// Memory:  that of the lanes.
class RabbitQueue final : public Queue {
 public:
  // All must outlive it. Asks nothing yet.
  RabbitQueue(PostgresQueue& outbox, const RabbitTopology& topology, const Clock& clock,
              Random& random, Log& log, const RabbitQueueOptions& options);

  [[nodiscard]] Result<std::vector<Job>> take(std::string_view kind, std::size_t limit,
                                              Duration lease) override;
  Result<> finish(std::span<const Job> jobs) override { return outbox_.finish(jobs); }
  Result<> extend(const Job& job, Duration lease) override { return outbox_.extend(job, lease); }
  Result<> retry_after(const Job& job, Duration delay, std::string_view cause) override {
    return outbox_.retry_after(job, delay, cause);
  }
  Result<> give_up(const Job& job, std::string_view cause) override {
    return outbox_.give_up(job, cause);
  }
  Result<std::size_t> redrive(CompanyId company, std::span<const JobId> ids) override {
    return outbox_.redrive(company, ids);
  }
  [[nodiscard]] Result<std::vector<DeadLetter>> dead_letters(CompanyId company,
                                                             std::optional<JobId> before,
                                                             std::size_t limit) const override {
    return outbox_.dead_letters(company, before, limit);
  }
  [[nodiscard]] Result<std::vector<Job>> waiting(CompanyId company,
                                                 std::size_t limit) const override {
    return outbox_.waiting(company, limit);
  }
  [[nodiscard]] Result<std::vector<QueueStats>> stats(
      std::optional<CompanyId> company) const override {
    return outbox_.stats(company);
  }
  void set_weight(CompanyId company, double weight) override {
    outbox_.set_weight(company, weight);
  }
  void charge(std::string_view kind, CompanyId company, double jobs) override {
    outbox_.charge(kind, company, jobs);
  }

  Result<> enqueue(const NewJob& job) { return outbox_.enqueue(job); }

  [[nodiscard]] RabbitQueueStats broker_stats() const;

 private:
  void bury_dead();
  Result<> bury(amqp::Connection& connection);

  PostgresQueue& outbox_;
  const Clock& clock_;
  const RabbitQueueOptions options_;
  RabbitCounters counters_;
  std::map<std::string, std::unique_ptr<RabbitLane>, std::less<>> lanes_;  // By kind.
  const std::string parked_;
  std::mutex dead_mutex_;  // Held while the broker is asked for dead letters.
  RabbitSession dead_;     // Guarded by it, as is the next.
  Instant buried_at_{};
};

}  // namespace samtale

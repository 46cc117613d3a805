// RabbitReplicator: a broker confirms that it has each accepted event on a majority of its disks.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "ingest/replicator.h"
#include "model/ids.h"
#include "queue/rabbit_session.h"
#include "queue/rabbit_topology.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

struct ReplicatorOptions {
  RabbitSessionOptions session{.timeout = std::chrono::seconds(2)};  // A confirm's, too.
  std::size_t event_bytes_max = std::size_t{1} << 20;                // Longer ones stay here.
  std::size_t waiting_bytes_max = std::size_t{64} << 20;             // What is more stays here.
};

struct ReplicatorStats {
  std::uint64_t replicated = 0;  // Events.
  std::uint64_t kept_here = 0;   // Those that lie on this node alone, as far as it knows.
};

// The log is the spool: while the broker is away, or takes too long, events lie in this node's log
// alone, and their senders are told so at once; whoever reads the log gives them their effect.
// Threads: replicate, is_away and stats from any thread; run from one.
// Order:   an event's message may come after that of a later one.
class RabbitReplicator final : public Replicator {
 public:
  // `log`: this node's. What is passed in must outlive it.
  RabbitReplicator(LogId log, const RabbitTopology& topology, const Clock& clock, Random& random,
                   Log& lines, const ReplicatorOptions& options);

  void replicate(CompanyId company, LogPosition at, std::string payload, Done done) override;
  // Publishes what comes, a window at a time. Ends with nothing waiting; what comes later stays
  // here.
  void run(const std::stop_token& stop);

  [[nodiscard]] bool is_away() const { return session_.is_away(); }
  [[nodiscard]] ReplicatorStats stats() const {
    return {.replicated = replicated_, .kept_here = kept_here_};
  }

 private:
  struct Waiting {
    std::string lane;
    std::string message;
    Done done;
  };

  [[nodiscard]] std::vector<Waiting> next_window(const std::stop_token& stop);
  [[nodiscard]] bool publish(std::vector<Waiting>& window);

  const LogId log_;
  const RabbitTopology& topology_;
  const ReplicatorOptions options_;
  RabbitSession session_;  // Of run's thread.
  std::atomic<std::uint64_t> replicated_ = 0;
  std::atomic<std::uint64_t> kept_here_ = 0;
  std::mutex waiting_mutex_;  // Guards those below.
  std::condition_variable_any has_work_;
  std::vector<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool is_running_ = true;
};

}  // namespace samtale

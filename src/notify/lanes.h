// Lanes: whose turn it is to be told something, in memory: one delivery at a time to each
// subscription, and those that fail do not stand in the way of the others. Not a front door.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "notify/delivery_job.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

struct LanesOptions {
  std::size_t held_max = 512;  // Jobs in memory.
  std::size_t lane_max = 16;   // Of one subscription: what is sent within half a lease.
  // Subscriptions that failed last time and are tried at once: the other threads are for the
  // others.
  std::size_t failing_max = 2;
};

// A job that was taken from the queue.
struct HeldDelivery {
  Job job;
  DeliveryJob delivery;
  Instant taken_at{};
};

// Threads: any method from any thread.
// Memory:  `held_max` jobs, and a few words for each subscription that fails or has something to
// send.
class Lanes {
 public:
  explicit Lanes(const LanesOptions& options) : options_(options) {}

  [[nodiscard]] std::size_t room() const;  // Jobs that may be offered now.

  // Takes the job in, or says when it should come again: its subscription is being left alone, or
  // has as much waiting here as it can be sent for now.
  [[nodiscard]] std::optional<Duration> offer(HeldDelivery delivery, Instant now);

  // What may be sent now, of the subscription that was served longest ago; none: nothing. Until one
  // of the four below is called for it, the subscription is served by nobody else.
  [[nodiscard]] std::optional<HeldDelivery> next(Instant now);

  void succeeded(const std::string& subscription, Duration took, Instant now);
  // Leaves it alone for `pause`. Returns what was held for it, to be put back until then.
  [[nodiscard]] std::vector<HeldDelivery> failed(const std::string& subscription, Duration pause,
                                                 Instant now);
  void untried(const std::string& subscription);  // Nothing was sent.
  void gone(const std::string& subscription);     // It is no more: its failures are forgotten.

  // Failures in a row; 0 after a success, and after a restart.
  [[nodiscard]] std::size_t failures(const std::string& subscription) const;

  [[nodiscard]] std::vector<HeldDelivery> clear();  // Everything held, to be put back.

 private:
  struct Lane {
    std::deque<HeldDelivery> held;
    bool is_busy = false;
    std::size_t failures = 0;
    Instant paused_until{};
    Instant surplus_until{};   // By when it can have been sent what was turned away so far.
    Duration pace{};           // How long a delivery takes, smoothed.
    std::uint64_t served = 0;  // Grows: the lane with the least is next.
  };

  void release(std::map<std::string, Lane>::iterator lane);

  const LanesOptions options_;
  mutable std::mutex lanes_mutex_;
  std::map<std::string, Lane> lanes_;  // Guarded, as all below. By subscription.
  std::size_t held_ = 0;
  std::size_t failing_busy_ = 0;
  std::uint64_t served_ = 0;
};

}  // namespace samtale

// The loop of a worker behind the queue, and how it settles what failed.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "queue/queue.h"
#include "sys/bell.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

struct WorkerOptions {
  std::size_t batch = 64;                    // Jobs a step.
  Duration lease = std::chrono::minutes(2);  // Longer than any step that does not extend it.
  Duration idle_pause = std::chrono::milliseconds(10);
  Duration error_pause = std::chrono::seconds(1);
  // Rung when there may be something to do: then it is looked for at once, if the last look was
  // idle_pause ago, and else each look_every. Null: it is looked for each idle_pause.
  Bell* bell = nullptr;
  Duration look_every = std::chrono::milliseconds(200);
  RetryPolicy retry;
};

// A worker's step(): one bounded piece of work; returns how many jobs it took, 0 means idle. Safe
// to repeat after any crash or error. A simulation calls it; production calls run_worker.
using Step = std::function<Result<std::size_t>()>;

// Calls step until asked to stop, and rests when there is nothing to do or it fails (which is
// logged under `name`). An exception is logged like a failure.
void run_worker(const std::string& name, const Step& step, const WorkerOptions& options,
                Clock& clock, Log& log, const std::stop_token& stop);

// The leases of jobs that were just taken, over work that takes nobody knows how long.
// Threads: one.
class KeptLeases {
 public:
  // All must outlive it.
  KeptLeases(Queue& queue, std::span<const Job> jobs, Duration lease, const Clock& clock)
      : queue_(queue), jobs_(jobs), lease_(lease), clock_(clock), end_(clock.now() + lease) {}

  // At least half of the lease is left when it returns. Errors: those of Queue::extend.
  Result<> keep();

 private:
  Queue& queue_;
  const std::span<const Job> jobs_;
  const Duration lease_;
  const Clock& clock_;
  Instant end_;
};

// Puts a failed job back or gives it up, as the error and the policy say.
Result<> settle_failure(Queue& queue, const Job& job, const Error& error, const RetryPolicy& policy,
                        Random& random);

}  // namespace samtale

#include "queue/worker.h"

#include <exception>

namespace samtale {

void run_worker(const std::string& name, const Step& step, const WorkerOptions& options,
                Clock& clock, Log& log, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto taken = [&]() -> Result<std::size_t> {
      try {
        return step();
      } catch (const std::exception& error) {
        return fail(ErrorCode::unavailable, std::string("exception: ") + error.what());
      }
    }();
    if (!taken) {
      log.warn(name + ".step_failed", taken.error());
      clock.sleep_for(options.error_pause, stop);
    } else if (*taken == 0) {
      clock.sleep_for(options.idle_pause, stop);
    }
  }
}

Result<> settle_failure(Queue& queue, const Job& job, const Error& error, const RetryPolicy& policy,
                        Random& random) {
  const bool may_pass = retryable(error.code) || error.code == ErrorCode::conflict;
  auto settled =
      may_pass && job.attempt < policy.attempts
          ? queue.retry_after(job, backoff(policy, job.attempt, random.fraction()), error.message)
          : queue.give_up(job, error.message);
  // A lost lease means that another worker has the job: not our failure to settle.
  if (!settled && settled.error().code == ErrorCode::conflict) return {};
  return settled;
}

}  // namespace samtale

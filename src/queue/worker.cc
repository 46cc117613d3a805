#include "queue/worker.h"

#include <cstdint>
#include <exception>

namespace samtale {
namespace {

// Between a look that found nothing, before which the bell had been rung `heard` times, and the
// next.
void rest(const WorkerOptions& options, std::uint64_t heard, Clock& clock,
          const std::stop_token& stop) {
  auto pause = options.idle_pause;
  if (options.bell != nullptr) {
    const auto begin = clock.now();
    if (!options.bell->wait(heard, options.look_every, stop)) return;
    pause -= clock.now() - begin;
  }
  if (pause > Duration{}) clock.sleep_for(pause, stop);
}

}  // namespace

void run_worker(const std::string& name, const Step& step, const WorkerOptions& options,
                Clock& clock, Log& log, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto heard = options.bell != nullptr ? options.bell->rings() : 0;
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
      rest(options, heard, clock, stop);
    }
  }
}

Result<> KeptLeases::keep() {
  const auto now = clock_.now();
  if (end_ - now >= lease_ / 2) return {};
  for (const auto& job : jobs_) SAMTALE_TRY_VOID(queue_.extend(job, lease_));
  end_ = now + lease_;
  return {};
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

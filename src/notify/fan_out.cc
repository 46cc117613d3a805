#include "notify/delivery_job.h"
#include "notify/worker.h"
#include "queue/conversation_job.h"

namespace samtale {

NotifyWorker::NotifyWorker(Queue& queue, Store& store, const Subscriptions& subscriptions,
                           Random& random, const WorkerOptions& options)
    : queue_(queue),
      store_(store),
      subscriptions_(subscriptions),
      random_(random),
      options_(options) {}

// A transaction a job: one company at its limit of jobs holds up no other.
Result<> NotifyWorker::fan_out(const Job& job) {
  SAMTALE_TRY(const auto event, read_event(job));
  const auto listening = subscriptions_.listening(job.company, event.type);
  return store_.write(job.partition, [&](StoreWriter& writer) -> Result<> {
    for (const auto& subscription : listening) {
      const DeliveryJob delivery{.event = event,
                                 .message = message_id(job, subscription->id),
                                 .subscription = subscription->id};
      SAMTALE_TRY_VOID(writer.enqueue(to_job(job.company, delivery)));
    }
    return writer.finish({&job, 1});
  });
}

Result<std::size_t> NotifyWorker::step() {
  SAMTALE_TRY(const auto jobs, queue_.take(kNotifyJob, options_.batch, options_.lease));
  for (const auto& job : jobs) {
    if (auto done = fan_out(job); !done) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, done.error(), options_.retry, random_));
    }
  }
  return jobs.size();
}

}  // namespace samtale

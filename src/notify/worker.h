// NotifyWorker and DeliverWorker: from something that happened to signed webhooks at whoever asked
// for them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "metrics/metrics.h"
#include "notify/subscriptions.h"
#include "notify/webhook_sender.h"
#include "queue/queue.h"
#include "queue/worker.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

class Lanes;
struct DeliveryJob;
struct HeldDelivery;

// Answers the jobs kNotifyJob by one job "deliver" for each subscription that wants the event, in
// the transaction that finishes it. Threads: one. What is passed in must outlive it.
class NotifyWorker {
 public:
  NotifyWorker(Queue& queue, Store& store, const Subscriptions& subscriptions, Random& random,
               const WorkerOptions& options = {});
  Result<std::size_t> step();

 private:
  Result<> fan_out(const Job& job);

  Queue& queue_;
  Store& store_;
  const Subscriptions& subscriptions_;
  Random& random_;
  const WorkerOptions options_;
};

struct DeliverOptions {
  // The pauses between attempts; after one more failure the delivery is a dead letter. A fifth more
  // at most is added by chance. These are Standard Webhooks' own: 76 hours.
  std::vector<Duration> retry_schedule = {
      std::chrono::seconds(5), std::chrono::minutes(5), std::chrono::minutes(30),
      std::chrono::hours(2),   std::chrono::hours(5),   std::chrono::hours(10),
      std::chrono::hours(14),  std::chrono::hours(20),  std::chrono::hours(24)};
  // A subscription that fails is left alone for as long as its delivery would be, but no longer
  // than this: then something newer may find it well again.
  Duration lane_pause_max = std::chrono::minutes(5);
  Duration pause_after = std::chrono::hours(5 * 24);  // Of nothing but failures.
  Duration lease = std::chrono::minutes(10);          // Twice what a full lane may take, and more.
  std::size_t threads = 4;  // That will call step(): half of them serve those that fail.
};

// Answers the jobs "deliver". At least once: a receiver that has seen a webhook-id has seen the
// event. Threads: step from several, stop from any. What is passed in must outlive it. Order:
// within a subscription as the queue gives them, until one fails; no promise.
class DeliverWorker {
 public:
  DeliverWorker(Queue& queue, Store& store, Subscriptions& subscriptions,
                const WebhookSender& sender, Metrics& metrics, const Clock& clock, Random& random,
                Log& log, const DeliverOptions& options = {});
  ~DeliverWorker();  // Puts back what it holds; nobody may be in step().
  DeliverWorker(const DeliverWorker&) = delete;
  DeliverWorker& operator=(const DeliverWorker&) = delete;

  // One delivery, or a look into the queue.
  Result<std::size_t> step();
  void stop() { stopping_.request_stop(); }  // Ends what is on its way; step() then does nothing.

 private:
  struct Counters;

  Result<std::size_t> refill();
  Result<> take_in(const Job& job);
  Result<> deliver(const HeldDelivery& held);
  Result<> after_failure(const HeldDelivery& held, const SendReport& report);
  [[nodiscard]] Result<std::optional<std::string>> body_of(CompanyId company,
                                                           const DeliveryJob& delivery) const;
  Result<> give_up(const Job& job, DeliveryJob delivery, const std::string& cause);
  Result<> put_back(std::span<const HeldDelivery> deliveries, Duration delay);
  [[nodiscard]] Duration pause_of(std::size_t failures) const;

  Queue& queue_;
  Store& store_;
  Subscriptions& subscriptions_;
  const WebhookSender& sender_;
  const Clock& clock_;
  Random& random_;
  Log& log_;
  const DeliverOptions options_;
  const std::unique_ptr<Counters> counters_;
  const std::unique_ptr<Lanes> lanes_;
  std::mutex refill_mutex_;  // One thread at a time looks into the queue.
  std::stop_source stopping_;
};

}  // namespace samtale

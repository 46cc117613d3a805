#include "notify/worker.h"

#include <algorithm>
#include <utility>

#include "json/json.h"
#include "model/conversation.h"
#include "notify/delivery_job.h"
#include "notify/lanes.h"

namespace samtale {
namespace {

constexpr std::size_t kTakeMax = 32;
constexpr double kJitter = 0.2;

// A lost lease: somebody else has the job, and settles it.
Result<> unless_lost(Result<> settled) {
  if (!settled && settled.error().code == ErrorCode::conflict) return {};
  return settled;
}

LanesOptions lanes_options(const DeliverOptions& options) {
  LanesOptions lanes;
  lanes.failing_max = std::max<std::size_t>(options.threads / 2, 1);
  return lanes;
}

// Leaves the lane, whatever happens.
class Visit {
 public:
  Visit(Lanes& lanes, const std::string& subscription) : lanes_(lanes), name_(subscription) {}
  ~Visit() {
    if (!is_over_) lanes_.untried(name_);
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  void succeeded(Duration took, Instant now) {
    is_over_ = true;
    lanes_.succeeded(name_, took, now);
  }
  void gone() {
    is_over_ = true;
    lanes_.gone(name_);
  }
  std::vector<HeldDelivery> failed(Duration pause, Instant now) {
    is_over_ = true;
    return lanes_.failed(name_, pause, now);
  }

 private:
  Lanes& lanes_;
  const std::string& name_;
  bool is_over_ = false;
};

}  // namespace

struct DeliverWorker::Counters {
  explicit Counters(Metrics& metrics)
      : delivered(of(metrics, "delivered")),
        failed(of(metrics, "failed")),
        given_up(of(metrics, "given_up")),
        gone(of(metrics, "gone")),
        dropped(of(metrics, "dropped")) {}
  static Counter& of(Metrics& metrics, const char* outcome) {
    return metrics.counter("samtale_notify_deliveries_total",
                           "Attempts to deliver a webhook, by what became of them.",
                           {{"outcome", outcome}});
  }

  Counter& delivered;
  Counter& failed;    // To be tried again.
  Counter& given_up;  // Failed for the last time, or its subscription is paused.
  Counter& gone;      // The receiver wants no more.
  Counter& dropped;   // Nothing is left to tell, or nobody to tell it to.
};

DeliverWorker::DeliverWorker(Queue& queue, Store& store, Subscriptions& subscriptions,
                             const WebhookSender& sender, Metrics& metrics, const Clock& clock,
                             Random& random, Log& log, const DeliverOptions& options)
    : queue_(queue),
      store_(store),
      subscriptions_(subscriptions),
      sender_(sender),
      clock_(clock),
      random_(random),
      log_(log),
      options_(options),
      counters_(std::make_unique<Counters>(metrics)),
      lanes_(std::make_unique<Lanes>(lanes_options(options))) {}

DeliverWorker::~DeliverWorker() {
  const auto put = put_back(lanes_->clear(), Duration{});
  if (!put) log_.warn("notify.put_back_failed", put.error());  // Their leases end by themselves.
}

Result<std::size_t> DeliverWorker::step() {
  if (stopping_.stop_requested()) return 0;
  if (const auto held = lanes_->next(clock_.now())) {
    SAMTALE_TRY_VOID(deliver(*held));
    return 1;
  }
  return refill();
}

Result<std::size_t> DeliverWorker::refill() {
  const std::unique_lock lock(refill_mutex_, std::try_to_lock);
  if (!lock) return 0;
  const auto room = lanes_->room();
  SAMTALE_TRY(const auto jobs, queue_.take(kDeliverJob, std::min(room, kTakeMax), options_.lease));
  for (const auto& job : jobs) {
    SAMTALE_TRY_VOID(take_in(job));
  }
  return jobs.size();
}

Result<> DeliverWorker::take_in(const Job& job) {
  auto delivery = read_delivery(job);
  if (!delivery) return unless_lost(queue_.give_up(job, delivery.error().message));
  const auto now = clock_.now();
  const auto later =
      lanes_->offer({.job = job, .delivery = *std::move(delivery), .taken_at = now}, now);
  if (!later) return {};
  return unless_lost(queue_.retry_after(job, *later, "its subscription has others before it"));
}

Result<std::optional<std::string>> DeliverWorker::body_of(CompanyId company,
                                                          const DeliveryJob& delivery) const {
  const auto& event = delivery.event;
  SAMTALE_TRY(const auto summary, store_.find_summary(company, event.conversation));
  if (!summary) return std::nullopt;
  SAMTALE_TRY(const auto known, store_.analyses(company, event.conversation));
  json::Array analyses;
  std::int64_t revision = 0;
  for (const auto& one : known) {
    if (std::ranges::count(event.analyzers, one.analyzer) == 0) continue;
    SAMTALE_TRY(auto result, json::parse(one.result));
    json::Object object{{"analyzer", one.analyzer},
                        {"version", one.version},
                        {"method", one.method},
                        {"revision", one.revision},
                        {"labels", json::Array(one.labels.begin(), one.labels.end())},
                        {"score", one.score ? json::Value(*one.score) : json::Value()},
                        {"result", std::move(result)}};
    analyses.emplace_back(std::move(object));
    revision = std::max(revision, one.revision);
  }
  if (analyses.empty()) return std::nullopt;
  json::Object data{{"conversation_id", text(event.conversation)},
                    {"external_id", summary->head.external_id},
                    {"source", summary->head.source},
                    {"revision", revision},
                    {"analyses", std::move(analyses)}};
  return json::dump(json::Object{
      {"type", event.type}, {"timestamp", format_time(event.at)}, {"data", std::move(data)}});
}

Result<> DeliverWorker::deliver(const HeldDelivery& held) {
  const auto& [job, delivery, taken_at] = held;
  Visit visit(*lanes_, delivery.subscription);
  if (clock_.now() - taken_at > options_.lease / 2) {
    const auto ours = queue_.extend(job, options_.lease);
    if (!ours) return unless_lost(ours);
  }
  const auto subscription = subscriptions_.find(job.company, delivery.subscription);
  if (!subscription) {
    visit.gone();
    counters_->dropped.add();
    return unless_lost(queue_.finish({&job, 1}));
  }
  if (!subscription->paused_why.empty()) {
    return give_up(job, delivery, "its subscription is paused: " + subscription->paused_why);
  }
  SAMTALE_TRY(const auto body, body_of(job.company, delivery));
  if (!body) {
    counters_->dropped.add();
    return unless_lost(queue_.finish({&job, 1}));
  }

  const auto report = sender_.send(*subscription, delivery.message, *body, stopping_.get_token());
  const auto now = clock_.now();
  switch (report.outcome) {
    case SendOutcome::delivered:
      visit.succeeded(report.took, now);
      counters_->delivered.add();
      SAMTALE_TRY_VOID(unless_lost(queue_.finish({&job, 1})));
      return subscriptions_.note_delivered(job.company, delivery.subscription);
    case SendOutcome::gone: {
      visit.gone();
      counters_->gone.add();
      log_.info("notify.revoked", {{"subscription", delivery.subscription}, {"why", report.cause}});
      const auto revoked =
          subscriptions_.revoke(job.company, delivery.subscription, "the receiver " + report.cause);
      if (!revoked && revoked.error().code != ErrorCode::not_found) return revoked;
      return unless_lost(queue_.finish({&job, 1}));
    }
    case SendOutcome::stopped:
      return unless_lost(queue_.retry_after(job, Duration{}, "the server was stopping"));
    case SendOutcome::failed:
      break;
  }
  const auto in_row = lanes_->failures(delivery.subscription);
  const auto lane_pause = std::max(std::min(pause_of(in_row), options_.lane_pause_max),
                                   report.wait.value_or(Duration{}));
  const auto others = visit.failed(lane_pause, now);
  SAMTALE_TRY_VOID(put_back(others, lane_pause));
  return after_failure(held, report);
}

Result<> DeliverWorker::after_failure(const HeldDelivery& held, const SendReport& report) {
  const auto& [job, delivery, taken_at] = held;
  const auto failing_since = subscriptions_.note_failed(job.company, delivery.subscription);
  if (failing_since && clock_.wall_now() - *failing_since >= options_.pause_after) {
    const auto why =
        "nothing but failures since " + format_time(*failing_since) + ", at last: " + report.cause;
    log_.warn("notify.paused", {{"subscription", delivery.subscription}, {"why", why}});
    const auto paused = subscriptions_.pause(job.company, delivery.subscription, why);
    if (!paused && paused.error().code != ErrorCode::not_found) return paused;
    return give_up(job, delivery, "its subscription is paused: " + why);
  }
  const auto failures = static_cast<std::size_t>(delivery.failures);
  if (failures >= options_.retry_schedule.size()) {
    return give_up(job, delivery,
                   std::to_string(failures + 1) + " attempts failed, at last: " + report.cause);
  }
  counters_->failed.add();
  auto again = delivery;
  ++again.failures;
  auto next = to_job(job.company, again);
  next.priority = job.priority;
  next.delay = std::max(pause_of(failures), report.wait.value_or(Duration{}));
  return unless_lost(store_.write(job.partition, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.finish({&job, 1}));
    return writer.enqueue(next);
  }));
}

// A dead letter that is put back begins anew.
Result<> DeliverWorker::give_up(const Job& job, DeliveryJob delivery, const std::string& cause) {
  counters_->given_up.add();
  delivery.failures = 0;
  const auto letter = to_job(job.company, delivery);
  return unless_lost(store_.write(job.partition, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.finish({&job, 1}));
    return writer.add_dead_letter(letter, cause);
  }));
}

Result<> DeliverWorker::put_back(std::span<const HeldDelivery> deliveries, Duration delay) {
  for (const auto& held : deliveries) {
    SAMTALE_TRY_VOID(
        unless_lost(queue_.retry_after(held.job, delay, "its subscription is left alone")));
  }
  return {};
}

Duration DeliverWorker::pause_of(std::size_t failures) const {
  const auto& schedule = options_.retry_schedule;
  if (schedule.empty()) return Duration{};
  const auto pause = schedule[std::min(failures, schedule.size() - 1)];
  return std::chrono::duration_cast<Duration>(pause * (1 + kJitter * random_.fraction()));
}

}  // namespace samtale

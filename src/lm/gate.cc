#include "lm/gate.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lm/gate_policy.h"

namespace samtale {

// Each waiter sleeps on the clock until its deadline and is woken through a stop source of its own
// as soon as its fate is decided. One of them, the keeper, sleeps only until the next change.
class Gate::State {
 public:
  State(const GateOptions& options, Clock& clock) : clock_(clock), policy_(options, clock.now()) {}

  Result<> pass(const GateRequest& request, Instant deadline, const std::stop_token& stop);
  void report(const GateRequest& request, const GateReport& report, Duration took);
  void share(double part, Instant closed_until);
  bool is_closed_until(Instant deadline) const;
  GateStats stats() const;

 private:
  struct Sleeper {
    std::optional<Result<>> outcome;
    std::stop_source wake;
  };
  // To be woken once the mutex is free.
  using Woken = std::vector<std::stop_source>;

  // Each with mutex_ held.
  void decide(Instant now, Woken& woken);
  void wake_keeper(Instant now, Woken& woken);
  void end(Ticket ticket, Result<> outcome, Woken& woken);

  Result<> wait(Ticket ticket, Sleeper& me, Instant deadline, const std::stop_token& stop,
                std::unique_lock<std::mutex>& lock);
  // Without the mutex.
  void sleep(Duration length, std::stop_source wake, const std::stop_token& stop);

  Clock& clock_;
  mutable std::mutex mutex_;  // Guards the rest.
  GatePolicy policy_;
  std::unordered_map<Ticket, Sleeper*> sleepers_;
  std::optional<Ticket> keeper_;
  Instant keeper_until_ = Instant::max();
};

void Gate::State::end(Ticket ticket, Result<> outcome, Woken& woken) {
  const auto found = sleepers_.find(ticket);
  found->second->outcome = std::move(outcome);
  woken.push_back(found->second->wake);
  sleepers_.erase(found);
  if (keeper_ == ticket) keeper_.reset();
}

void Gate::State::decide(Instant now, Woken& woken) {
  for (auto& [ticket, refusal] : policy_.decide(now)) {
    end(ticket, refusal ? Result<>(std::unexpected(*std::move(refusal))) : Result<>(), woken);
  }
  wake_keeper(now, woken);
}

void Gate::State::wake_keeper(Instant now, Woken& woken) {
  if (sleepers_.empty()) return;
  if (keeper_) {
    const auto next = policy_.next_change(now);
    if (!next || *next >= keeper_until_) return;  // It will look again early enough.
  } else {
    keeper_ = sleepers_.begin()->first;
  }
  keeper_until_ = Instant::min();  // Being woken: it will look at once.
  woken.push_back(sleepers_.at(*keeper_)->wake);
}

void Gate::State::sleep(Duration length, std::stop_source wake, const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [&wake] { wake.request_stop(); });
  // A deadline may be the end of time, which a clock cannot add to now.
  clock_.sleep_for(std::min<Duration>(length, std::chrono::hours(1)), wake.get_token());
}

Result<> Gate::State::pass(const GateRequest& request, Instant deadline,
                           const std::stop_token& stop) {
  Sleeper me{.outcome = {}, .wake = std::stop_source(std::nostopstate)};
  std::unique_lock lock(mutex_);
  auto entered = policy_.enter(request, deadline, clock_.now());
  if (!entered) return std::unexpected(std::move(entered).error());
  sleepers_.emplace(*entered, &me);
  return wait(*entered, me, deadline, stop, lock);
}

Result<> Gate::State::wait(Ticket ticket, Sleeper& me, Instant deadline,
                           const std::stop_token& stop, std::unique_lock<std::mutex>& lock) {
  for (;;) {
    Woken woken;
    const auto now = clock_.now();
    decide(now, woken);
    if (!me.outcome && stop.stop_requested()) {
      policy_.leave(ticket);
      end(ticket, fail(ErrorCode::unavailable, "stopped while waiting to be sent"), woken);
      wake_keeper(now, woken);
    }
    auto until = deadline;
    if (!me.outcome) {
      me.wake = std::stop_source();
      if (keeper_ == ticket) {
        until = std::min(until, policy_.next_change(now).value_or(Instant::max()));
        keeper_until_ = until;
      }
    }
    const auto wake = me.wake;
    const bool is_over = me.outcome.has_value();
    lock.unlock();
    for (auto& source : woken) source.request_stop();
    if (is_over) return *std::move(me.outcome);
    sleep(until - now, wake, stop);
    lock.lock();
  }
}

void Gate::State::report(const GateRequest& request, const GateReport& report, Duration took) {
  Woken woken;
  {
    const std::lock_guard lock(mutex_);
    const auto now = clock_.now();
    policy_.report(request, report, took, now);
    decide(now, woken);
  }
  for (auto& source : woken) source.request_stop();
}

void Gate::State::share(double part, Instant closed_until) {
  Woken woken;
  {
    const std::lock_guard lock(mutex_);
    const auto now = clock_.now();
    policy_.share(part, closed_until, now);
    decide(now, woken);
  }
  for (auto& source : woken) source.request_stop();
}

bool Gate::State::is_closed_until(Instant deadline) const {
  const std::lock_guard lock(mutex_);
  return policy_.is_closed_until(deadline);
}

GateStats Gate::State::stats() const {
  const std::lock_guard lock(mutex_);
  return policy_.stats(clock_.now());
}

Gate::Gate(const GateOptions& options, Clock& clock)
    : state_(std::make_unique<State>(options, clock)) {}
Gate::~Gate() = default;

Result<> Gate::pass(const GateRequest& request, Instant deadline, const std::stop_token& stop) {
  return state_->pass(request, deadline, stop);
}

void Gate::report(const GateRequest& request, const GateReport& report, Duration took) {
  state_->report(request, report, took);
}

void Gate::share(double part, Instant closed_until) { state_->share(part, closed_until); }

bool Gate::is_closed_until(Instant deadline) const { return state_->is_closed_until(deadline); }

GateStats Gate::stats() const { return state_->stats(); }

}  // namespace samtale

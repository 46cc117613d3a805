#include "lm/hedger.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace samtale {
namespace {

constexpr Duration kLongestSleep = std::chrono::hours(1);

}  // namespace

Hedger::~Hedger() {
  std::stop_source wake(std::nostopstate);
  {
    const std::lock_guard lock(schedule_mutex_);
    thread_.request_stop();
    wake = wake_;
  }
  wake.request_stop();
}

Hedger::Work::Work(Hedger& hedger, Instant when, std::function<void(const std::stop_token&)> work)
    : hedger_(hedger),
      entry_(std::make_shared<Entry>(std::move(work))),
      place_(hedger.start(when, entry_)) {}

void Hedger::Work::end() {
  std::thread begun;
  {
    const std::lock_guard lock(hedger_.schedule_mutex_);
    if (std::exchange(entry_->is_waiting, false)) hedger_.schedule_.erase(place_);
    begun = std::move(entry_->thread);
  }
  if (begun.joinable()) begun.join();
}

Hedger::Schedule::iterator Hedger::start(Instant when, std::shared_ptr<Entry> entry) {
  std::stop_source wake(std::nostopstate);
  Schedule::iterator place;
  {
    const std::lock_guard lock(schedule_mutex_);
    place = schedule_.emplace(when, std::move(entry));
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& s) { run(s); });
    if (when < awake_at_) wake = wake_;
  }
  wake.request_stop();
  return place;
}

void Hedger::run(const std::stop_token& stop) {
  std::unique_lock lock(schedule_mutex_);
  while (!stop.stop_requested()) {
    const auto now = clock_.now();
    while (!schedule_.empty() && schedule_.begin()->first <= now) {
      const auto entry = schedule_.begin()->second;
      schedule_.erase(schedule_.begin());
      entry->is_waiting = false;
      try {
        entry->thread = std::thread([entry] { entry->work(entry->stop_source.get_token()); });
      } catch (const std::system_error&) {  // No thread to be had: the work is left undone.
      }
    }
    auto sleep = kLongestSleep;
    if (!schedule_.empty()) sleep = std::min(sleep, schedule_.begin()->first - now);
    awake_at_ = now + sleep;
    wake_ = std::stop_source();
    const auto woken = wake_.get_token();
    lock.unlock();
    clock_.sleep_for(sleep, woken);
    lock.lock();
  }
}

}  // namespace samtale

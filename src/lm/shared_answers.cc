#include "lm/shared_answers.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace samtale {
namespace {

// A deadline may be the end of time, which a clock cannot add to now.
constexpr Duration kLongestSleep = std::chrono::hours(1);

}  // namespace

SharedAnswers::Place SharedAnswers::enter(const Sha256& key, CompanyId company, Priority priority) {
  const std::lock_guard lock(answers_mutex_);
  if (auto kept = remembered_.find(key, clock_.now())) return {.remembered = std::move(kept)};
  auto& flight = flights_[key];
  const bool joins = flight != nullptr && flight->priority <= priority;
  if (joins) return {.flight = flight, .leads = !std::exchange(flight->is_led, true)};
  // One that is less urgent goes on with those who wait for it already, out of forget()'s sight.
  if (flight != nullptr) flight->may_be_kept = false;
  flight = std::make_shared<Flight>();
  flight->key = key;
  flight->company = company;
  flight->priority = priority;
  return {.flight = flight, .leads = true};
}

std::optional<SharedAnswers::Answer> SharedAnswers::wait(Flight& flight, Instant deadline,
                                                         const std::stop_token& stop) {
  std::unique_lock lock(answers_mutex_);
  for (;;) {
    if (flight.answer) return flight.answer;
    if (!std::exchange(flight.is_led, true)) return std::nullopt;
    const auto now = clock_.now();
    if (stop.stop_requested()) {
      return fail(ErrorCode::unavailable, "stopped while an identical request was under way");
    }
    if (now >= deadline) {
      return fail(ErrorCode::deadline_exceeded,
                  "no answer in time to an identical request that is under way");
    }
    auto wake = flight.waiting.emplace(flight.waiting.end());
    auto source = *wake;
    lock.unlock();
    {
      const std::stop_callback on_stop(stop, [&] { source.request_stop(); });
      clock_.sleep_for(std::min(deadline - now, kLongestSleep), source.get_token());
    }
    lock.lock();
    flight.waiting.erase(wake);
  }
}

void SharedAnswers::end(Flight& flight) {
  const auto found = flights_.find(flight.key);
  if (found != flights_.end() && found->second.get() == &flight) flights_.erase(found);
}

void SharedAnswers::finish(Flight& flight, const Answer& answer) {
  std::vector<std::stop_source> woken;
  {
    const std::lock_guard lock(answers_mutex_);
    flight.answer = answer;
    if (answer && flight.may_be_kept) {
      remembered_.put(flight.key, flight.company, *answer, clock_.now());
    }
    end(flight);
    woken.assign(flight.waiting.begin(), flight.waiting.end());
  }
  for (auto& source : woken) source.request_stop();
}

void SharedAnswers::leave(Flight& flight) {
  std::stop_source woken(std::nostopstate);
  {
    const std::lock_guard lock(answers_mutex_);
    flight.is_led = false;
    if (flight.waiting.empty()) {
      end(flight);
    } else {
      woken = flight.waiting.front();
    }
  }
  woken.request_stop();
}

void SharedAnswers::forget(CompanyId company) {
  const std::lock_guard lock(answers_mutex_);
  remembered_.forget(company);
  std::erase_if(flights_, [&](const auto& entry) {
    if (entry.second->company != company) return false;
    entry.second->may_be_kept = false;
    return true;
  });
}

}  // namespace samtale

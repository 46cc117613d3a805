// Hedger: begins a piece of work on another thread at a time to come, unless it is called off
// before.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "sys/clock.h"

namespace samtale {

// Threads: any method from any thread. One thread of its own that waits for the time, from the
// first start() on; one more for each piece of work that is under way.
class Hedger {
 public:
  // A piece of work; ends with its scope.
  class Work;

  explicit Hedger(Clock& clock) : clock_(clock) {}
  ~Hedger();  // All work must have ended.
  Hedger(const Hedger&) = delete;
  Hedger& operator=(const Hedger&) = delete;

 private:
  struct Entry {
    std::function<void(const std::stop_token&)> work;
    std::stop_source stop_source;
    bool is_waiting = true;  // Its time has not come.
    std::thread thread;      // From then on.
  };
  using Schedule = std::multimap<Instant, std::shared_ptr<Entry>>;

  Schedule::iterator start(Instant when, std::shared_ptr<Entry> entry);
  void run(const std::stop_token& stop);

  Clock& clock_;
  std::mutex schedule_mutex_;  // Guards the rest.
  Schedule schedule_;
  Instant awake_at_ = Instant::max();  // When the waiting thread will look again.
  std::stop_source wake_{std::nostopstate};
  std::jthread thread_;
};

class Hedger::Work {
 public:
  Work(Hedger& hedger, Instant when, std::function<void(const std::stop_token&)> work);
  ~Work() { end(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  // Asks it to end early; without effect where it has not begun. From any thread.
  void stop() { entry_->stop_source.request_stop(); }
  // Calls it off if it has not begun, else waits until it has ended.
  void end();

 private:
  Hedger& hedger_;
  const std::shared_ptr<Entry> entry_;
  const Schedule::iterator place_;  // While it is waiting.
};

}  // namespace samtale

// What the parts of one server share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "http/handler_pool.h"
#include "http/router.h"
#include "http/server.h"

namespace samtale::http {

// Threads: any; what changes is atomic.
struct ServerState {
  ServerState(std::vector<Route> the_routes, ServerOptions the_options, const Clock& the_clock,
              Random& the_random, Log& the_log, Observer the_observer)
      : routes(std::move(the_routes)),
        options(std::move(the_options)),
        clock(the_clock),
        random(the_random),
        log(the_log),
        observer(std::move(the_observer)),
        router(routes),
        handlers(options.handler_queue_max, clock, log) {}

  const std::vector<Route> routes;
  const ServerOptions options;
  const Clock& clock;
  Random& random;
  Log& log;
  const Observer observer;
  const Router router;
  HandlerPool handlers;

  std::atomic<std::uint64_t> connections = 0;
  std::atomic<std::uint64_t> in_flight = 0;
  std::atomic<std::uint64_t> refused_full = 0;
  std::atomic<std::size_t> buffered_bytes = 0;

  // Draining is over when nobody holds the server open, neither a connection nor a loop that still
  // accepts; or when a loop finds that the time is over.
  void hold_open() { holders_.fetch_add(1); }
  void let_go() {
    if (holders_.fetch_sub(1) == 1) end_drain();
  }
  void end_drain() {
    {
      const std::lock_guard lock(drain_mutex_);
      is_drain_over_ = true;
    }
    drain_over_.notify_all();
  }
  // True if nobody held the server open any more.
  [[nodiscard]] bool wait_for_drain() {
    std::unique_lock lock(drain_mutex_);
    drain_over_.wait(lock, [this] { return is_drain_over_; });
    return holders_.load() == 0;
  }

 private:
  std::atomic<std::size_t> holders_ = 0;
  std::mutex drain_mutex_;
  std::condition_variable drain_over_;
  bool is_drain_over_ = false;
};

}  // namespace samtale::http

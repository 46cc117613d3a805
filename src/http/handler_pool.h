// HandlerPool: the threads that run handlers, behind a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "http/outbox.h"
#include "http/server.h"

namespace samtale::http {

// A piece of a streamed body, alive until it is answered.
struct Piece {
  std::shared_ptr<BodyStream> stream;
  std::string lines;
  bool is_last = false;
};

// Work for a handler thread: a whole request, the head of a stream, or a piece of it.
struct Job {
  const Route* route = nullptr;
  Ticket ticket;
  std::variant<Request, std::shared_ptr<Piece>> work;
  bool is_stream_head = false;
};

// Runs it on the calling thread; what is thrown becomes a 500 and a line in the log.
void run_job(Job job, const Clock& clock, Log& log);

// A plain bounded queue wakes a thread for every item. An I/O loop has dozens at once, most done in
// microseconds: here a push takes them all under one lock and wakes one thread, which wakes the
// next only if there is work left for it.
// Threads: any method from any thread, but start and stop.
class HandlerPool {
 public:
  HandlerPool(std::size_t queue_max, const Clock& clock, Log& log)
      : queue_max_(queue_max), clock_(clock), log_(log) {}
  ~HandlerPool() { stop(); }

  Result<> start(std::size_t threads);
  // Waits for the handlers that run; what is queued is dropped. Idempotent.
  void stop();

  // Queues the jobs from the first; leaves in `jobs` those there was no room for. Pieces of streams
  // are always taken: there is at most one a connection, and their head has passed this gate.
  void push(std::vector<Job>& jobs);

  [[nodiscard]] std::size_t size() const;

 private:
  void work();
  // The first that may run now; the end if there is none. Under jobs_mutex_.
  [[nodiscard]] std::list<Job>::iterator next_job();

  const std::size_t queue_max_;
  const Clock& clock_;
  Log& log_;
  mutable std::mutex jobs_mutex_;
  std::condition_variable changed_;
  std::list<Job> jobs_;       // Guarded by jobs_mutex_, as all below but threads_.
  std::size_t idle_ = 0;      // Threads that wait.
  std::size_t slow_ = 0;      // Of the running jobs, those that may wait for long …
  std::size_t slow_max_ = 1;  // … at the most.
  bool is_waking_ = false;    // One of them was notified and has not run yet.
  bool is_stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace samtale::http

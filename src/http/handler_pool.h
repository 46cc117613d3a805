// HandlerPool: the threads that run handlers, behind a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
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
  std::size_t flow = 0;  // Whose it is: jobs of one wait for each other.
};

// Of a request: its credential; without one its path.
[[nodiscard]] std::size_t flow_of(const Request& request);

// Runs it on the calling thread; what is thrown becomes a 500 and a line in the log.
void run_job(Job job, const Clock& clock, Log& log);

// A plain bounded queue wakes a thread for every item. An I/O loop has dozens at once, most done in
// microseconds: here a push takes them all under one lock and wakes one thread, which wakes the
// next only if there is work left for it.
// Order:   between flows fair: each has the turn after its last one, and the least turn is next, so
//          a request waits for one of another's, not for all that it sent before. In order within a
//          flow, but for what is prompt.
// Source:  Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996, section 2; flows by a hash:
//          McKenney, "Stochastic Fairness Queueing", INFOCOM 1990.
// Threads: any method from any thread, but start and stop.
class HandlerPool {
 public:
  HandlerPool(std::size_t queue_max, const Clock& clock, Log& log)
      : queue_max_(queue_max), clock_(clock), log_(log) {}
  ~HandlerPool() { stop(); }

  Result<> start(std::size_t threads);
  // Waits for the handlers that run; what is queued is dropped. Idempotent.
  void stop();

  // Queues the jobs from the first; leaves in `jobs` those there was no room for: a flow may have
  // all of it but an eighth. Pieces of streams are always taken: there is at most one a connection,
  // and their head has passed this gate.
  void push(std::vector<Job>& jobs);

  [[nodiscard]] std::size_t size() const;

 private:
  using Jobs = std::multimap<std::uint64_t, Job>;  // By turn.

  void work();
  // The first that may run now; the end if there is none. Under jobs_mutex_, as the next three.
  [[nodiscard]] Jobs::iterator next_job();
  [[nodiscard]] bool has_room_for(std::size_t flow) const;
  void add(Job job);
  [[nodiscard]] Job take(Jobs::iterator next);

  const std::size_t queue_max_;
  const Clock& clock_;
  Log& log_;
  mutable std::mutex jobs_mutex_;
  std::condition_variable changed_;
  struct Flow {
    std::uint64_t next = 0;  // Turn.
    std::size_t waiting = 0;
  };
  Jobs jobs_;  // Guarded by jobs_mutex_, as all below but threads_.
  std::unordered_map<std::size_t, Flow> flows_;  // Of which jobs wait.
  std::uint64_t turn_ = 0;                       // Of the job that was begun last.
  std::size_t idle_ = 0;                         // Threads that wait.
  std::size_t slow_ = 0;      // Of the running jobs, those that may wait for long …
  std::size_t slow_max_ = 1;  // … at the most.
  bool is_waking_ = false;    // One of them was notified and has not run yet.
  bool is_stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace samtale::http

// Gate: decides when the next request goes to one provider account, and whose. Shared by all that
// use the account, so that its limits hold for all of them together.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>

#include "base/result.h"
#include "lm/chat.h"
#include "model/ids.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

struct GateOptions {
  // What is known of the account's limits at first; what the provider's headers name takes its
  // place. 0: not known, so none until then.
  std::int64_t requests_per_minute = 0;
  std::int64_t tokens_per_minute = 0;
  std::size_t concurrency_min = 1;
  std::size_t concurrency_start = 8;
  std::size_t concurrency_max = 64;
  double critical_share = 0.2;  // Of rate and concurrency, kept free of anything else; at most 0.9.
  Duration priority_step = std::chrono::minutes(1);  // Waiting moves a request up by one priority.
  int failures_to_open = 5;                          // In a row: the breaker opens …
  Duration open_for = std::chrono::seconds(10);      // … for so long, doubled each time …
  Duration open_longest = std::chrono::minutes(5);   // … to this.
  Duration default_wait = std::chrono::seconds(1);   // After a 429 without Retry-After; doubles.
  double retry_share = 0.1;      // Retries of a minute may be so many of its other requests …
  std::size_t retries_min = 10;  // … and this many more.
};

struct GateRequest {
  CompanyId company{};
  Priority priority = Priority::normal;
  std::int64_t tokens = 0;           // Reserved: input and output_tokens_max. Not negative.
  std::optional<Instant> wanted_by;  // Of one company and priority, the earlier goes first.
  bool is_retry = false;
};

// What became of a request that was let through.
struct GateReport {
  std::optional<ChatFault> fault;  // None: an answer.
  std::optional<Duration> wait;    // Retry-After.
  RateLimitHints hints;
  std::int64_t tokens = 0;  // Used in the end; 0: not known, so what was reserved.
};

struct GateStats {
  std::size_t waiting = 0;
  std::size_t in_flight = 0;
  std::size_t concurrency_limit = 0;
  bool is_open = true;  // False: the breaker or a Retry-After keeps everything back.
  Instant closed_until = Instant::min();  // The Retry-After, or what share() said.
  double part = 1;                        // Of the account's rates, as share() said.
  std::int64_t tokens_waiting = 0;
  std::int64_t tokens_passed = 0;
  std::uint64_t passed = 0;
  std::uint64_t refused = 0;
};

// Order:   by priority, then fairness between companies by tokens (start-time fair queueing), then
//          wanted_by, then age. Of the company that has had least, waiting moves a request up, at
//          best to critical. Who is first and does not fit is waited for: nothing smaller overtakes
//          it, but what is critical may use its reserve, and only that.
// Rate:    two token buckets, refilled continuously, each of a sixth of a minute's worth; a request
//          that is larger waits for a full one and leaves it in debt. Tokens that were reserved and
//          not used go back. What the provider says is left corrects a bucket downward only. All of
//          it for this gate's part of the account (share()).
// Quota clock: after a 429 or 503 with Retry-After nothing passes before it ends, whoever asks. A
//          Retry-After of more than a day counts as a day.
// Concurrency: AIMD: up by one per full round of answers in usual time; halved at a 429 or when
//          latency passes twice the usual (at most once a round trip).
// Breaker: opens after failures in a row (away, late, broken); then one probe at a time.
// Time:    all by `clock`; nothing here sleeps except pass(), and that on `clock`, so that a
//          simulation of one thread may call it.
// Threads: any method from any thread.
// Memory:  some hundred bytes a waiter, and a company that was lately served.
// Source:  Chiu & Jain 1989 (AIMD); Goyal, Vin, Cheng 1996 (fair queueing); Nygard, "Release It!"
//          (circuit breaker).
class Gate {
 public:
  Gate(const GateOptions& options, Clock& clock);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Waits until the request may be sent. Each success must be followed by one report() of the same
  // request. Errors: deadline_exceeded if `deadline` passes or cannot be met (a Retry-After that
  // ends later); unavailable if the breaker is open past it or `stop` is requested;
  // resource_exhausted for a retry past the retry budget or a request of more tokens than a minute
  // allows.
  Result<> pass(const GateRequest& request, Instant deadline, const std::stop_token& stop);
  // `took`: from pass() to the answer.
  void report(const GateRequest& request, const GateReport& report, Duration took);

  // The account is used by others too, who see no report of this one's: `part` of its rates is for
  // this gate (at least a thousandth; 1 until told), and nothing passes before `closed_until`.
  void share(double part, Instant closed_until);

  // Whether a request would be kept back by breaker or Retry-After until after `deadline`: then
  // another provider is the better choice.
  [[nodiscard]] bool is_closed_until(Instant deadline) const;
  [[nodiscard]] GateStats stats() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace samtale

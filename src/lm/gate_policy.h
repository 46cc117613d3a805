// GatePolicy: what a gate decides, without a lock, a thread or a clock of its own. Gate is a thin
// shell around it; tests and simulations drive it by instants they choose.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "lm/gate.h"
#include "lm/gate_limits.h"
#include "lm/waiting_line.h"

namespace samtale {

// Threads: one at a time.
// Order:   instants never go back from call to call.
class GatePolicy {
 public:
  struct Decision {
    Ticket ticket{};
    std::optional<Error> refusal;  // None: it passes.
  };

  GatePolicy(const GateOptions& options, Instant now);

  // Errors: see Gate::pass; those that are known at once.
  [[nodiscard]] Result<Ticket> enter(const GateRequest& request, Instant deadline, Instant now);
  // Who may pass now and who never will, in order. They wait no longer.
  [[nodiscard]] std::vector<Decision> decide(Instant now);
  void leave(Ticket ticket);  // It must be waiting.
  void report(const GateRequest& request, const GateReport& report, Duration took, Instant now);

  void share(double part, Instant closed_until, Instant now);

  // When decide() may let somebody pass if nothing else happens before; empty if only a report or
  // somebody new can change that. After decide(now).
  [[nodiscard]] std::optional<Instant> next_change(Instant now) const;

  [[nodiscard]] bool is_closed_until(Instant deadline) const;
  [[nodiscard]] GateStats stats(Instant now) const;

 private:
  struct Turn {
    Ticket ticket{};
    Priority priority{};
    std::int64_t tokens = 0;
    Claim claim{};
  };

  // Why a request with this deadline will never pass, if that is certain.
  [[nodiscard]] std::optional<Error> hopeless(Instant deadline, Instant now) const;
  [[nodiscard]] Result<> check(const GateRequest& request, Instant deadline, Instant now);
  // Who would be next by order and concurrency, buckets not asked: the first, and a critical one
  // that may overtake it.
  [[nodiscard]] std::vector<Turn> turns(Instant now) const;
  [[nodiscard]] bool has_place(Claim claim) const;
  [[nodiscard]] Instant ready_at(std::int64_t tokens, Claim claim) const;
  void let_pass(const Turn& turn, Instant now);
  void learn(const RateLimitHints& hints);
  void settle(const GateRequest& request, const GateReport& report);

  const double critical_share_;
  WaitingLine line_;
  ReservedBucket requests_;
  ReservedBucket tokens_;
  QuotaClock quota_clock_;
  Breaker breaker_;
  AdaptiveLimit concurrency_;
  RetryBudget retries_;
  std::size_t in_flight_ = 0;
  std::size_t critical_in_flight_ = 0;
  std::uint64_t passed_ = 0;
  std::uint64_t refused_ = 0;
  std::int64_t tokens_passed_ = 0;
};

}  // namespace samtale

// WaitingLine: who waits at a gate, and who of them is first. Knows nothing of limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "lm/gate.h"

namespace samtale {

enum class Ticket : std::uint64_t {};  // Of one that waits; grows.

struct Waiter {
  Ticket ticket{};
  GateRequest request;
  Instant came;
  Instant deadline;
  Instant wanted_by;  // Never before it came, nor later than it may age.
};

// Order:   by priority, then the company that had fewest tokens (start-time fair queueing), then
//          wanted_by, then age. Of the company that is furthest behind, a request moves up one
//          priority for each step it has waited, at best to critical: so nobody starves, since who
//          gets nothing is soon furthest behind, and the old backlog of one that is served goes
//          before nobody. wanted_by comes after fairness, or a company would go first by wanting
//          everything at once.
// Threads: one at a time.
// Memory:  about 400 bytes a waiter, 100 a company that was lately served.
// Source:  Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996, section 2. But a newcomer
//          starts level with the company furthest behind that waits, not with the last one served:
//          that may be far ahead, by priority.
class WaitingLine {
 public:
  explicit WaitingLine(Duration priority_step) : priority_step_(priority_step) {}

  Ticket enter(const GateRequest& request, Instant deadline, Instant now);
  // The ticket must be waiting.
  void leave(Ticket ticket);
  void serve(Ticket ticket);  // Charges the company, and takes it out.
  // A request of the company used so many tokens more (fewer, if below 0) than it was charged.
  void charge(CompanyId company, std::int64_t tokens);

  [[nodiscard]] std::size_t size() const { return waiters_.size(); }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }  // Of all that wait.
  // Null if nobody waits.
  [[nodiscard]] const Waiter* first(Instant now) const;
  [[nodiscard]] const Waiter* first_critical(Instant now) const;
  [[nodiscard]] const Waiter* first_to_end() const;  // By deadline.
  // When somebody moves up one priority, which may change who is first. Empty if nobody will.
  [[nodiscard]] std::optional<Instant> next_ageing(Instant now) const;

 private:
  using FlowKey = std::pair<CompanyId, Priority>;
  using Flow = std::set<std::pair<Instant, Ticket>>;  // By wanted_by.
  struct Company {
    double served = 0;  // Virtual time: tokens.
    std::size_t waiting = 0;
  };

  [[nodiscard]] double served(CompanyId company) const;
  [[nodiscard]] double least_served() const;  // Of those who wait; there must be one.
  [[nodiscard]] std::int64_t steps_waited(const Waiter& waiter, Instant now) const;
  const Waiter* best(Instant now, bool critical_only) const;
  Waiter take_out(Ticket ticket);
  void forget_idle();

  const Duration priority_step_;
  std::uint64_t last_ticket_ = 0;
  double virtual_now_ = 0;
  std::int64_t tokens_ = 0;
  std::size_t forget_at_ = 64;
  std::unordered_map<Ticket, Waiter> waiters_;
  std::set<std::pair<Instant, Ticket>> by_deadline_;
  std::map<FlowKey, Flow> flows_;  // Those with somebody waiting.
  std::unordered_map<std::int64_t, Company> companies_;
};

}  // namespace samtale

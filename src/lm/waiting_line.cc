#include "lm/waiting_line.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "lm/gate_limits.h"

namespace samtale {

Ticket WaitingLine::enter(const GateRequest& request, Instant deadline, Instant now) {
  const auto ticket = static_cast<Ticket>(++last_ticket_);
  // One that wants nothing goes before those that come once it is as old as bulk work can get.
  const auto latest = later(now, 3 * priority_step_);
  const auto wanted_by = std::clamp(request.wanted_by.value_or(latest), now, latest);
  tokens_ += request.tokens;
  waiters_.emplace(ticket, Waiter{ticket, request, now, deadline, wanted_by});
  by_deadline_.emplace(deadline, ticket);

  flows_[{request.company, request.priority}].emplace(wanted_by, ticket);
  auto& company = companies_[number(request.company)];
  // Time without requests is no credit.
  if (company.waiting == 0) company.served = std::max(company.served, virtual_now_);
  ++company.waiting;
  return ticket;
}

Waiter WaitingLine::take_out(Ticket ticket) {
  const auto found = waiters_.find(ticket);
  SAMTALE_CHECK(found != waiters_.end(), "who leaves the line was waiting in it");
  auto waiter = found->second;
  waiters_.erase(found);
  tokens_ -= waiter.request.tokens;
  by_deadline_.erase({waiter.deadline, ticket});
  const auto flow = flows_.find({waiter.request.company, waiter.request.priority});
  flow->second.erase({waiter.wanted_by, ticket});
  if (flow->second.empty()) flows_.erase(flow);
  --companies_.at(number(waiter.request.company)).waiting;
  return waiter;
}

void WaitingLine::leave(Ticket ticket) { take_out(ticket); }

void WaitingLine::serve(Ticket ticket) {
  virtual_now_ = std::max(virtual_now_, least_served());
  const auto waiter = take_out(ticket);
  // At least one: what costs nothing would be first for ever.
  charge(waiter.request.company, std::max<std::int64_t>(waiter.request.tokens, 1));
  forget_idle();
}

void WaitingLine::charge(CompanyId company, std::int64_t tokens) {
  const auto found = companies_.find(number(company));
  // One that is forgotten is behind the others, and starts level with them when it comes back.
  if (found != companies_.end()) found->second.served += static_cast<double>(tokens);
}

void WaitingLine::forget_idle() {
  if (companies_.size() < forget_at_) return;
  std::erase_if(companies_, [this](const auto& entry) {
    return entry.second.waiting == 0 && entry.second.served <= virtual_now_;
  });
  forget_at_ = std::max<std::size_t>(64, companies_.size() * 2);
}

double WaitingLine::served(CompanyId company) const {
  return companies_.at(number(company)).served;
}

double WaitingLine::least_served() const {
  auto least = served(flows_.begin()->first.first);
  for (const auto& [key, flow] : flows_) least = std::min(least, served(key.first));
  return least;
}

std::int64_t WaitingLine::steps_waited(const Waiter& waiter, Instant now) const {
  return (now - waiter.came) / priority_step_;
}

const Waiter* WaitingLine::best(Instant now, bool critical_only) const {
  if (flows_.empty()) return nullptr;
  const auto least = least_served();
  const Waiter* best = nullptr;
  std::tuple<std::int64_t, double, Instant, Ticket> best_rank;
  for (const auto& [key, flow] : flows_) {
    const auto [company, priority] = key;
    if (critical_only && priority != Priority::critical) continue;
    const auto [wanted_by, ticket] = *flow.begin();
    const auto& waiter = waiters_.at(ticket);
    const auto had = served(company);
    auto place = static_cast<std::int64_t>(priority);
    if (had <= least) place = std::max<std::int64_t>(place - steps_waited(waiter, now), 0);
    const std::tuple rank(place, had, wanted_by, ticket);
    if (best != nullptr && rank >= best_rank) continue;
    best = &waiter;
    best_rank = rank;
  }
  return best;
}

const Waiter* WaitingLine::first(Instant now) const { return best(now, false); }

const Waiter* WaitingLine::first_critical(Instant now) const { return best(now, true); }

const Waiter* WaitingLine::first_to_end() const {
  if (by_deadline_.empty()) return nullptr;
  return &waiters_.at(by_deadline_.begin()->second);
}

std::optional<Instant> WaitingLine::next_ageing(Instant now) const {
  std::optional<Instant> next;
  for (const auto& [key, flow] : flows_) {
    if (key.second == Priority::critical || flows_.size() < 2) continue;
    const auto& waiter = waiters_.at(flow.begin()->second);
    const auto steps = steps_waited(waiter, now) + 1;
    if (steps > static_cast<std::int64_t>(key.second)) continue;  // As high as it gets.
    next = std::min(next.value_or(Instant::max()), later(waiter.came, steps * priority_step_));
  }
  return next;
}

}  // namespace samtale

#include "lm/sender.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "lm/model_name.h"

namespace samtale {
namespace {

// A closed gate that opens within this is waited for, although another account could be asked.
constexpr Duration kPatience = std::chrono::seconds(5);
// Where answers come faster than this, a second request would gain nothing.
constexpr Duration kHedgeSoonest = std::chrono::milliseconds(10);
// After a quiet time so many critical requests in a row may be sent twice.
constexpr double kHedgesSavedMax = 10;

}  // namespace

Sender::Sender(std::vector<LmAccount> accounts, Budget& budget, SchedulerMetrics& metrics,
               Clock& clock, Random& random, const LmSchedulerOptions& options)
    : accounts_(std::move(accounts)),
      budget_(budget),
      metrics_(metrics),
      clock_(clock),
      random_(random),
      options_(options),
      hedger_(clock) {
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    latencies_.push_back(std::make_unique<Latencies>());
  }
}

bool Sender::is_closed_long(std::size_t account, Instant deadline) const {
  return accounts_[account].gate->is_closed_until(std::min(deadline, clock_.now() + kPatience));
}

std::vector<std::size_t> Sender::order(Instant deadline) const {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < accounts_.size(); ++i) order.push_back(i);
  if (order.size() > 1) {
    std::ranges::stable_partition(order, [&](auto i) { return !is_closed_long(i, deadline); });
  }
  return order;
}

std::expected<ChatAnswer, SendFailure> Sender::send(Sending sending, Ledger& ledger,
                                                    Instant deadline, const std::stop_token& stop) {
  using End = SendFailure::End;
  const RetryPolicy pauses{.attempts = options_.tries_max,
                           .base = options_.retry_base,
                           .longest = options_.retry_longest};
  for (int number = 1;; ++number) {
    if (stop.stop_requested() || clock_.now() >= deadline) {
      return std::unexpected(failure_of(
          {ErrorCode::unavailable, "no time was left to send the request"}, deadline, stop));
    }
    sending.is_retry = number > 1;
    auto tried = try_once(sending, true, ledger, deadline, stop);
    if (auto* answer = std::get_if<ChatAnswer>(&tried)) return std::move(*answer);
    if (auto* over = std::get_if<OverBudget>(&tried)) {
      return std::unexpected(SendFailure{End::budget, std::move(over->error)});
    }
    if (auto* kept = std::get_if<KeptBack>(&tried)) {
      return std::unexpected(failure_of(std::move(kept->error), deadline, stop));
    }
    auto& failure = std::get<ChatFailure>(tried);
    if (failure.fault == ChatFault::refused) {
      const bool is_request = failure.error.code == ErrorCode::invalid_argument;
      return std::unexpected(SendFailure{is_request ? End::request_refused : End::account_refuses,
                                         std::move(failure.error)});
    }
    const auto pause = backoff(pauses, number, random_.fraction());
    if (failure.fault == ChatFault::stopped || number >= options_.tries_max ||
        pause >= deadline - clock_.now() ||
        (sending.has_fallback && is_closed_long(sending.account, deadline))) {
      return std::unexpected(failure_of(std::move(failure.error), deadline, stop));
    }
    clock_.sleep_for(pause, stop);
  }
}

// The caller's own end before the account's.
SendFailure Sender::failure_of(Error error, Instant deadline, const std::stop_token& stop) const {
  using End = SendFailure::End;
  if (stop.stop_requested()) return {End::stopped, {ErrorCode::unavailable, "stopped"}};
  if (clock_.now() >= deadline) {
    error.code = ErrorCode::deadline_exceeded;
    return {End::late, std::move(error)};
  }
  error.code = ErrorCode::unavailable;
  return {End::account_away, std::move(error)};
}

Sender::Try Sender::try_once(const Sending& sending, bool may_hedge, Ledger& ledger,
                             Instant deadline, const std::stop_token& stop) {
  const TokenUsage most{.input = sending.input_tokens,
                        .output = static_cast<std::int64_t>(sending.request.output_tokens_max)};
  auto reservation = budget_.reserve(sending.task.company, bookings(sending, most));
  if (!reservation) return OverBudget{std::move(reservation).error()};
  auto passed = accounts_[sending.account].gate->pass(gate_request(sending), deadline, stop);
  if (!passed) {
    budget_.cancel(*reservation);
    return KeptBack{std::move(passed).error()};
  }
  const auto after = may_hedge ? hedge_after(sending) : std::nullopt;
  if (after) return race(sending, *reservation, *after, ledger, deadline, stop);
  return ask(sending, *reservation, ledger, deadline, stop);
}

Sender::Try Sender::ask(const Sending& sending, const Budget::Reservation& reservation,
                        Ledger& ledger, Instant deadline, const std::stop_token& stop) {
  const auto& account = accounts_[sending.account];
  const auto started = clock_.now();
  const auto until = std::min(deadline - started, options_.call_timeout);
  auto outcome = account.model->ask(sending.request, started + until, stop);
  const auto took = clock_.now() - started;

  TokenUsage used;
  if (outcome.answer) {
    used = outcome.answer->usage;
    latencies_[sending.account]->add(took);
  } else if (outcome.answer.error().may_have_cost) {
    used.input = sending.input_tokens;
  }
  GateReport report{.hints = outcome.hints, .tokens = used.input + used.output};
  if (!outcome.answer) {
    report.fault = outcome.answer.error().fault;
    report.wait = outcome.answer.error().wait;
  }
  account.gate->report(gate_request(sending), report, took);
  metrics_.sent(sending.account, outcome, took);
  const auto& asked = sending.request.model;
  if (outcome.answer && !is_model_meant(asked.empty() ? account.model->default_model() : asked,
                                        outcome.answer->model)) {
    metrics_.other_model(sending.account);
  }

  ++ledger.requests;
  if (outcome.answer || outcome.answer.error().may_have_cost) {
    const auto booked = bookings(sending, used);
    for (const auto& booking : booked) metrics_.cost(booking.amount.micro_usd);
    ledger.usage += used;
    ledger.book(budget_.settle(reservation, booked, 1));
  } else {
    budget_.cancel(reservation);
  }
  if (outcome.answer) return std::move(*outcome.answer);
  return std::move(outcome.answer.error());
}

Sender::Try Sender::race(const Sending& sending, const Budget::Reservation& reservation,
                         Duration hedge_after, Ledger& ledger, Instant deadline,
                         const std::stop_token& stop) {
  std::stop_source first_stop;
  std::optional<ChatAnswer> second_answer;
  Ledger second_ledger;
  earn_hedge();
  Hedger::Work second(hedger_, clock_.now() + hedge_after, [&](const std::stop_token& token) {
    if (!take_hedge()) return;
    auto request = sending.request;
    request.idempotency_key = sending.hedge_key;
    const Sending again{.task = sending.task,
                        .request = request,
                        .account = sending.account,
                        .input_tokens = sending.input_tokens};
    metrics_.hedge();
    auto tried = try_once(again, false, second_ledger, deadline, token);
    if (auto* answer = std::get_if<ChatAnswer>(&tried)) {
      second_answer = std::move(*answer);
      first_stop.request_stop();
    }
  });
  const std::stop_callback on_stop(stop, [&] {
    first_stop.request_stop();
    second.stop();
  });
  auto first = ask(sending, reservation, ledger, deadline, first_stop.get_token());
  if (std::holds_alternative<ChatAnswer>(first)) second.stop();
  second.end();
  ledger.add(std::move(second_ledger));
  if (second_answer && !std::holds_alternative<ChatAnswer>(first)) {
    return std::move(*second_answer);
  }
  return first;
}

std::optional<Duration> Sender::hedge_after(const Sending& sending) const {
  if (!options_.hedge_critical || sending.task.priority != Priority::critical) return std::nullopt;
  const auto p95 = latencies_[sending.account]->p95();
  return p95 ? std::optional(std::max(*p95, kHedgeSoonest)) : std::nullopt;
}

void Sender::earn_hedge() {
  const std::lock_guard lock(hedges_mutex_);
  hedges_left_ = std::min(hedges_left_ + options_.hedge_share, kHedgesSavedMax);
}

bool Sender::take_hedge() {
  const std::lock_guard lock(hedges_mutex_);
  if (hedges_left_ < 1) return false;
  hedges_left_ -= 1;
  return true;
}

GateRequest Sender::gate_request(const Sending& sending) const {
  return {
      .company = sending.task.company,
      .priority = sending.task.priority,
      .tokens = sending.input_tokens + static_cast<std::int64_t>(sending.request.output_tokens_max),
      .wanted_by = sending.task.wanted_by,
      .is_retry = sending.is_retry};
}

std::vector<Booking> Sender::bookings(const Sending& sending, TokenUsage usage) const {
  const auto cost = cost_micro_usd(accounts_[sending.account].prices, usage.input,
                                   usage.cached_input, usage.output);
  return in_equal_shares(sending.task.analyzers,
                         {.tokens = usage.input + usage.output, .micro_usd = cost});
}

}  // namespace samtale

#include "lm/gate_policy.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"

namespace samtale {
namespace {

std::string seconds(Duration length) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(length).count()) + " s";
}

Breaker::Sign sign_of(const std::optional<ChatFault>& fault) {
  if (!fault) return Breaker::Sign::alive;
  switch (*fault) {
    case ChatFault::throttled:
    case ChatFault::refused:
      return Breaker::Sign::alive;  // It says no, so it is there.
    case ChatFault::away:
    case ChatFault::late:
    case ChatFault::broken:
      return Breaker::Sign::failed;
    case ChatFault::stopped:
      break;
  }
  return Breaker::Sign::nothing;
}

}  // namespace

GatePolicy::GatePolicy(const GateOptions& options, Instant now)
    : critical_share_(std::clamp(options.critical_share, 0.0, 0.9)),
      line_(options.priority_step),
      requests_(options.requests_per_minute, critical_share_, now),
      tokens_(options.tokens_per_minute, critical_share_, now),
      quota_clock_(options.default_wait, options.open_longest),
      breaker_(options),
      concurrency_(options.concurrency_min, options.concurrency_start, options.concurrency_max),
      retries_(options.retry_share, options.retries_min) {
  SAMTALE_CHECK(options.priority_step > Duration::zero(), "priority_step is longer than nothing");
}

std::optional<Error> GatePolicy::hopeless(Instant deadline, Instant now) const {
  const auto open_until = breaker_.open_until();
  if (open_until && (deadline <= now || *open_until >= deadline)) {
    return Error{ErrorCode::unavailable,
                 "the provider failed several times in a row and is left alone for " +
                     seconds(std::max<Duration>(*open_until - now, {})) +
                     " more; look at its status, or configure a second provider"};
  }
  const auto closed_until = quota_clock_.closed_until();
  if (closed_until > now && closed_until >= deadline) {
    return Error{ErrorCode::deadline_exceeded,
                 "the provider wants no requests for " + seconds(closed_until - now) +
                     " more, which is past the deadline; ask it for a higher limit, or configure a "
                     "second provider"};
  }
  if (deadline <= now) {
    return Error{ErrorCode::deadline_exceeded,
                 "not sent before its deadline: " + std::to_string(line_.size()) + " wait and " +
                     std::to_string(in_flight_) + " of " + std::to_string(concurrency_.value()) +
                     " are under way; give it longer, or raise the limits of the account"};
  }
  return std::nullopt;
}

Result<> GatePolicy::check(const GateRequest& request, Instant deadline, Instant now) {
  if (auto error = hopeless(deadline, now)) return std::unexpected(*std::move(error));
  if (tokens_.per_minute() > 0 && request.tokens > tokens_.per_minute()) {
    return fail(ErrorCode::resource_exhausted,
                "a request of up to " + std::to_string(request.tokens) +
                    " tokens is larger than the account's limit of " +
                    std::to_string(tokens_.per_minute()) +
                    " a minute: make it shorter, or ask the provider for more");
  }
  if (!request.is_retry) {
    retries_.asked(now);
  } else if (!retries_.take_retry(now)) {
    return fail(ErrorCode::resource_exhausted,
                "too many of the last minute's requests were retries: not tried again now");
  }
  return {};
}

Result<Ticket> GatePolicy::enter(const GateRequest& request, Instant deadline, Instant now) {
  SAMTALE_CHECK(request.tokens >= 0, "a request reserves no negative tokens");
  if (auto checked = check(request, deadline, now); !checked) {
    ++refused_;
    return std::unexpected(std::move(checked).error());
  }
  return line_.enter(request, deadline, now);
}

std::vector<GatePolicy::Decision> GatePolicy::decide(Instant now) {
  requests_.advance(now);
  tokens_.advance(now);
  std::vector<Decision> decisions;
  while (const auto* waiter = line_.first_to_end()) {
    auto error = hopeless(waiter->deadline, now);
    if (!error) break;
    decisions.push_back({waiter->ticket, std::move(error)});
    leave(waiter->ticket);
  }
  while (now >= quota_clock_.closed_until() && breaker_.may_pass(now)) {
    const auto next = turns(now);
    const auto ready = std::ranges::find_if(
        next, [&](const Turn& turn) { return ready_at(turn.tokens, turn.claim) <= now; });
    if (ready == next.end()) break;
    let_pass(*ready, now);
    decisions.push_back({ready->ticket, std::nullopt});
  }
  return decisions;
}

std::vector<GatePolicy::Turn> GatePolicy::turns(Instant now) const {
  std::vector<Turn> turns;
  const auto add = [&](const Waiter& waiter, Claim claim) {
    if (!has_place(claim)) return;
    turns.push_back({waiter.ticket, waiter.request.priority, waiter.request.tokens, claim});
  };
  const auto* first = line_.first(now);
  if (first == nullptr) return turns;
  const bool is_critical = first->request.priority == Priority::critical && critical_share_ > 0;
  add(*first, is_critical ? Claim::critical : Claim::general);
  if (is_critical || critical_share_ <= 0) return turns;
  if (const auto* critical = line_.first_critical(now)) add(*critical, Claim::overtaking);
  return turns;
}

bool GatePolicy::has_place(Claim claim) const {
  const auto most = concurrency_.value();
  // At least one is left to the others, or they would never pass.
  const auto reserved = std::min(
      most - 1, static_cast<std::size_t>(std::ceil(static_cast<double>(most) * critical_share_)));
  switch (claim) {
    case Claim::general:
      return in_flight_ < most && in_flight_ - critical_in_flight_ < most - reserved;
    case Claim::critical:
      // Its own places also just after the limit was halved under the others.
      return in_flight_ < most || critical_in_flight_ < reserved;
    case Claim::overtaking:
      return critical_in_flight_ < reserved;
  }
  return false;
}

Instant GatePolicy::ready_at(std::int64_t tokens, Claim claim) const {
  return std::max(requests_.ready_at(1, claim),
                  tokens_.ready_at(static_cast<double>(tokens), claim));
}

void GatePolicy::let_pass(const Turn& turn, Instant now) {
  line_.serve(turn.ticket);
  requests_.take(1, turn.claim);
  tokens_.take(static_cast<double>(turn.tokens), turn.claim);
  breaker_.passed(in_flight_, now);
  ++in_flight_;
  if (turn.priority == Priority::critical) ++critical_in_flight_;
  if (!has_place(Claim::general)) concurrency_.filled();
  ++passed_;
  tokens_passed_ += turn.tokens;
}

void GatePolicy::leave(Ticket ticket) {
  line_.leave(ticket);
  ++refused_;
}

void GatePolicy::report(const GateRequest& request, const GateReport& report, Duration took,
                        Instant now) {
  const bool is_critical = request.priority == Priority::critical;
  SAMTALE_CHECK(in_flight_ > 0 && (!is_critical || critical_in_flight_ > 0),
                "a report follows a request that passed");
  --in_flight_;
  if (is_critical) --critical_in_flight_;
  requests_.advance(now);
  tokens_.advance(now);

  const auto sent_at = now - std::max<Duration>(took, {});
  breaker_.reported(sign_of(report.fault), sent_at, now);
  if (!report.fault) {
    quota_clock_.answered(sent_at);
    settle(request, report);
  }
  if (!report.fault || report.fault == ChatFault::late) concurrency_.took(took, sent_at, now);
  if (report.fault == ChatFault::throttled) {
    quota_clock_.throttled(report.wait, sent_at, now);
    concurrency_.throttled(sent_at, now);
  } else if (report.fault && report.wait) {
    quota_clock_.closed_by(*report.wait, now);
  }
  learn(report.hints);
}

void GatePolicy::share(double part, Instant closed_until, Instant now) {
  requests_.advance(now);
  tokens_.advance(now);
  requests_.set_part(part);
  tokens_.set_part(part);
  if (closed_until > now) quota_clock_.closed_by(closed_until - now, now);
}

void GatePolicy::settle(const GateRequest& request, const GateReport& report) {
  // One who does not say what it used has used what it reserved. So has one that failed: else a
  // company whose requests all fail would always be first.
  if (report.tokens <= 0) return;
  tokens_.give_back(static_cast<double>(request.tokens - report.tokens));
  line_.charge(request.company, report.tokens - request.tokens);
}

void GatePolicy::learn(const RateLimitHints& hints) {
  if (hints.requests_per_minute) requests_.learn_rate(*hints.requests_per_minute);
  if (hints.tokens_per_minute) tokens_.learn_rate(*hints.tokens_per_minute);
  if (hints.requests_left) requests_.learn_left(*hints.requests_left, hints.requests_reset);
  if (hints.tokens_left) tokens_.learn_left(*hints.tokens_left, hints.tokens_reset);
}

std::optional<Instant> GatePolicy::next_change(Instant now) const {
  if (line_.size() == 0 || breaker_.is_probing()) return std::nullopt;
  const auto opens =
      std::max(quota_clock_.closed_until(), breaker_.open_until().value_or(Instant::min()));
  if (opens > now) return opens;
  auto next = line_.next_ageing(now);
  for (const auto& turn : turns(now)) {
    next = std::min(next.value_or(Instant::max()), ready_at(turn.tokens, turn.claim));
  }
  return next;
}

bool GatePolicy::is_closed_until(Instant deadline) const {
  return quota_clock_.closed_until() >= deadline ||
         breaker_.open_until().value_or(Instant::min()) >= deadline;
}

GateStats GatePolicy::stats(Instant now) const {
  return {.waiting = line_.size(),
          .in_flight = in_flight_,
          .concurrency_limit = concurrency_.value(),
          .is_open = breaker_.is_closed() && now >= quota_clock_.closed_until(),
          .closed_until = quota_clock_.closed_until(),
          .part = requests_.part(),
          .tokens_waiting = line_.tokens(),
          .tokens_passed = tokens_passed_,
          .passed = passed_,
          .refused = refused_};
}

}  // namespace samtale

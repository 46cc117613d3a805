#include "lm/ladder.h"

#include <algorithm>
#include <utility>

#include "lm/task_key.h"

namespace samtale {
namespace {

// Of an answer that could not be used, as it is shown to the model again.
constexpr std::size_t kShownBytesMax = 8'000;
constexpr std::size_t kCauseBytesMax = 300;

std::string shortened(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  auto end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace

Ladder::Ladder(Sender& sender, SchedulerMetrics& metrics, const LmSchedulerOptions& options,
               const LmTask& task, const Sha256& key, const JsonSchema& schema)
    : sender_(sender),
      metrics_(metrics),
      options_(options),
      task_(task),
      key_(key),
      schema_(schema),
      nonce_(answer_nonce(key)) {}

Climbed Ladder::climb(Instant deadline, const std::stop_token& stop) {
  const auto order = sender_.order(deadline);
  for (std::size_t i = 0; i < order.size() && !has_ended_; ++i) {
    if (i > 0) metrics_.repair(Rung::account);
    climb_account(order[i], i + 1 < order.size(), deadline, stop);
  }
  if (!has_ended_) end_with_causes();
  auto& outcome = climbed_.outcome;
  outcome.spend = std::move(ledger_.spend);
  outcome.usage = ledger_.usage;
  outcome.requests = ledger_.requests;
  return std::move(climbed_);
}

void Ladder::climb_account(std::size_t account, bool has_fallback, Instant deadline,
                           const std::stop_token& stop) {
  account_ = account;
  request_ = with_nonce(task_.request, nonce_);
  was_repaired_ = false;
  for (auto step = Step::again; step == Step::again;) {
    request_.idempotency_key = idempotency_key(key_, rung());
    auto answer = sender_.send(
        {.task = task_,
         .request = request_,
         .hedge_key =
             task_.priority == Priority::critical ? idempotency_key(key_, rung() + " hedge") : "",
         .account = account,
         .input_tokens = estimate_input_tokens(request_),
         .has_fallback = has_fallback},
        ledger_, deadline, stop);
    step = answer ? take(*answer) : take(std::move(answer).error());
  }
}

std::string Ladder::rung() const {
  return std::to_string(account_) + " " + std::to_string(request_.output_tokens_max) +
         (was_repaired_ ? " repair" : "");
}

Ladder::Step Ladder::take(const ChatAnswer& answer) {
  if (answer.finish == Finish::content_filter) {
    return end(Refusal::filtered,
               {ErrorCode::invalid_argument,
                "the provider's content filter stopped the answer (content_filter)"});
  }
  if (answer.finish == Finish::length) return longer();
  auto judgement = judge(task_, schema_, nonce_, answer);
  if (!judgement.value) return repair(answer, judgement);
  if (judgement.was_repaired) metrics_.repair(Rung::text);
  climbed_.outcome.answer = std::move(*judgement.value);
  climbed_.outcome.model = answer.model;
  has_ended_ = true;
  return Step::ended;
}

Ladder::Step Ladder::longer() {
  const auto limit = request_.output_tokens_max;
  note("the answer was longer than " + std::to_string(limit) + " tokens");
  if (limit >= options_.output_tokens_max) {
    gave_broken_ = true;
    end_with_causes();
    return Step::ended;
  }
  request_.output_tokens_max = std::min(limit * 2, options_.output_tokens_max);
  metrics_.repair(Rung::longer);
  return Step::again;
}

Ladder::Step Ladder::repair(const ChatAnswer& answer, const Judgement& judgement) {
  note((was_repaired_ ? "after a repair prompt, " : "") + judgement.wrong);
  if (was_repaired_) {
    gave_broken_ = true;
    return Step::next_account;
  }
  was_repaired_ = true;
  metrics_.repair(Rung::prompt);
  const auto told = "Your answer could not be used: " + judgement.wrong +
                    "\nAnswer again, with the whole JSON object and nothing else.\n" +
                    nonce_line(nonce_);
  if (judgement.is_ours) {
    request_.messages.push_back({"assistant", shortened(answer.text, kShownBytesMax)});
    request_.messages.push_back({"user", told});
  } else {
    request_.messages.back().content += "\n\n" + told;
  }
  return Step::again;
}

Ladder::Step Ladder::take(SendFailure failure) {
  using End = SendFailure::End;
  switch (failure.end) {
    case End::stopped:
      climbed_.is_own_failure = true;
      return end(Refusal::stopped, std::move(failure.error));
    case End::late:
      climbed_.is_own_failure = true;
      return end(Refusal::late, std::move(failure.error));
    case End::budget:
      climbed_.is_own_failure = true;
      return end(Refusal::budget, std::move(failure.error));
    case End::request_refused:
      return end(Refusal::refused, std::move(failure.error));
    case End::account_away:
      is_away_ = true;
      break;
    case End::account_refuses:
      break;
  }
  note(failure.error.message);
  return Step::next_account;
}

void Ladder::note(const std::string& what) {
  causes_.push_back(sender_.accounts()[account_].model->name() + ": " +
                    shortened(what, kCauseBytesMax));
}

Ladder::Step Ladder::end(Refusal why, Error error) {
  if (!causes_.empty()) {
    error.message += " (before that: ";
    for (const auto& cause : causes_)
      error.message += (&cause == causes_.data() ? "" : "; ") + cause;
    error.message += ")";
  }
  metrics_.refuse(why);
  climbed_.outcome.answer = std::unexpected(std::move(error));
  has_ended_ = true;
  return Step::ended;
}

void Ladder::end_with_causes() {
  std::string causes;
  for (const auto& cause : std::exchange(causes_, {})) {
    causes += (causes.empty() ? "" : "; ") + cause;
  }
  // Where an account was away, the same task may be answered later.
  if (is_away_ || !gave_broken_) {
    end(is_away_ ? Refusal::away : Refusal::refused,
        {ErrorCode::unavailable, "no provider gave an answer: " + causes});
  } else {
    end(Refusal::broken, {ErrorCode::corrupt, "failed with cause: " + causes});
  }
}

}  // namespace samtale

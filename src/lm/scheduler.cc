#include "lm/scheduler.h"

#include <utility>

#include "base/check.h"
#include "lm/judge.h"
#include "lm/ladder.h"
#include "lm/scheduler_metrics.h"
#include "lm/sender.h"
#include "lm/shared_answers.h"

namespace samtale {
namespace {

std::vector<std::string> names(const std::vector<LmAccount>& accounts) {
  SAMTALE_CHECK(!accounts.empty(), "a scheduler needs an account to send to");
  std::vector<std::string> out;
  for (const auto& account : accounts) out.push_back(account.model->name());
  return out;
}

// Leads a flight and ends it, whatever is thrown on the way: others wait for it.
class Lead {
 public:
  Lead(SharedAnswers& shared, SharedAnswers::Flight& flight) : shared_(shared), flight_(flight) {}
  ~Lead() {
    if (!has_ended_) shared_.leave(flight_);
  }
  Lead(const Lead&) = delete;
  Lead& operator=(const Lead&) = delete;

  void finish(const SharedAnswers::Answer& answer) {
    has_ended_ = true;
    shared_.finish(flight_, answer);
  }

 private:
  SharedAnswers& shared_;
  SharedAnswers::Flight& flight_;
  bool has_ended_ = false;
};

}  // namespace

class LmScheduler::State {
 public:
  State(std::vector<LmAccount> accounts, Budget& budget, Metrics& metrics, Clock& clock,
        Random& random, const LmSchedulerOptions& options)
      : options_(options),
        metrics_(metrics, names(accounts)),
        shared_(clock, options.remembered_bytes_max, options.remembered_for),
        sender_(std::move(accounts), budget, metrics_, clock, random, options) {}

  LmOutcome run(const LmTask& task, Instant deadline, const std::stop_token& stop);
  void forget(CompanyId company) { shared_.forget(company); }
  Sha256 key_of(const LmTask& task) const {
    return task_key(task, sender_.accounts().front().model->default_model());
  }

 private:
  LmOutcome lead(const LmTask& task, const Sha256& key, SharedAnswers::Flight& flight,
                 Instant deadline, const std::stop_token& stop);
  LmOutcome give(Sharing how, const KeptAnswer& answer);

  const LmSchedulerOptions options_;
  SchedulerMetrics metrics_;
  SchemaCache schemas_;
  SharedAnswers shared_;
  Sender sender_;
};

LmOutcome LmScheduler::State::give(Sharing how, const KeptAnswer& answer) {
  metrics_.shared(how);
  return {.answer = answer.value, .is_shared = true, .model = answer.model};
}

LmOutcome LmScheduler::State::run(const LmTask& task, Instant deadline,
                                  const std::stop_token& stop) {
  SAMTALE_CHECK(!task.analyzers.empty(), "a task is booked on an analyzer");
  const auto key = key_of(task);
  const auto place = shared_.enter(key, task.company, task.priority);
  if (place.remembered) return give(Sharing::remembered, *place.remembered);
  if (!place.leads) {
    auto joined = shared_.wait(*place.flight, deadline, stop);
    if (joined && *joined) return give(Sharing::joined, ***joined);
    if (joined) {
      return {.answer = std::unexpected(std::move(*joined).error()), .is_shared = true};
    }
  }
  return lead(task, key, *place.flight, deadline, stop);
}

LmOutcome LmScheduler::State::lead(const LmTask& task, const Sha256& key,
                                   SharedAnswers::Flight& flight, Instant deadline,
                                   const std::stop_token& stop) {
  Lead lead(shared_, flight);
  const auto schema = schemas_.find_or_compile(task.request.schema);
  if (!schema) {
    metrics_.refuse(Refusal::refused);
    lead.finish(std::unexpected(schema.error()));
    return {.answer = std::unexpected(schema.error())};
  }
  auto climbed = Ladder(sender_, metrics_, options_, task, key, **schema).climb(deadline, stop);
  auto& outcome = climbed.outcome;
  if (outcome.answer) {
    lead.finish(std::make_shared<const KeptAnswer>(*outcome.answer, outcome.model));
  } else if (!climbed.is_own_failure) {
    lead.finish(std::unexpected(outcome.answer.error()));
  }
  return std::move(outcome);
}

LmScheduler::LmScheduler(std::vector<LmAccount> accounts, Budget& budget, Metrics& metrics,
                         Clock& clock, Random& random, const LmSchedulerOptions& options)
    : state_(
          std::make_unique<State>(std::move(accounts), budget, metrics, clock, random, options)) {}
LmScheduler::~LmScheduler() = default;

LmOutcome LmScheduler::run(const LmTask& task, Instant deadline, const std::stop_token& stop) {
  return state_->run(task, deadline, stop);
}

Sha256 LmScheduler::key_of(const LmTask& task) const { return state_->key_of(task); }

void LmScheduler::forget(CompanyId company) { state_->forget(company); }

}  // namespace samtale

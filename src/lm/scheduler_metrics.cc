#include "lm/scheduler_metrics.h"

#include <chrono>

namespace samtale {
namespace {

// In the order of Finish, then of ChatFault.
constexpr std::array<std::string_view, 10> kOutcomeNames = {
    "answer", "length", "content_filter", "other",   "throttled",
    "away",   "late",   "broken",         "refused", "stopped"};
constexpr std::size_t kFaultsFrom = 4;
constexpr std::array<std::string_view, 3> kDirections = {"input", "cached_input", "output"};
constexpr std::array<std::string_view, 2> kSharings = {"joined", "remembered"};
constexpr std::array<std::string_view, 4> kRungs = {"text", "longer", "prompt", "account"};
constexpr std::array<std::string_view, 8> kRefusals = {"budget",  "kept_back", "away",    "late",
                                                       "stopped", "filtered",  "refused", "broken"};

// One counter for each name, in their order.
template <std::size_t kCount>
std::array<Counter*, kCount> counters(Metrics& metrics, const std::string& name,
                                      const std::string& help, const std::string& label,
                                      const std::array<std::string_view, kCount>& values,
                                      Labels labels = {}) {
  std::array<Counter*, kCount> out{};
  for (std::size_t i = 0; i < kCount; ++i) {
    labels[label] = values[i];
    out[i] = &metrics.counter(name, help, labels);
  }
  return out;
}

}  // namespace

SchedulerMetrics::SchedulerMetrics(Metrics& metrics, const std::vector<std::string>& providers)
    : tokens_(counters(metrics, "samtale_lm_tokens_total",
                       "Tokens of language models, as their providers count them.", "direction",
                       kDirections)),
      cost_(&metrics.counter("samtale_lm_cost_micro_usd_total",
                             "Cost of language models at the configured prices.", {})),
      hedges_(&metrics.counter("samtale_lm_hedges_total",
                               "Critical requests that were sent a second time.", {})),
      shared_(counters(metrics, "samtale_lm_shared_total",
                       "Tasks answered by the answer to an identical one.", "how", kSharings)),
      repairs_(counters(metrics, "samtale_lm_repairs_total",
                        "Answers that could not be used, by what was done next.", "rung", kRungs)),
      refusals_(counters(metrics, "samtale_lm_refused_total", "Tasks that ended without an answer.",
                         "why", kRefusals)) {
  for (const auto& name : providers) {
    auto& provider = providers_.emplace_back();
    provider.outcomes =
        counters(metrics, "samtale_lm_requests_total", "Requests sent to language models.",
                 "outcome", kOutcomeNames, {{"provider", name}});
    provider.seconds =
        &metrics.histogram("samtale_lm_request_seconds",
                           "Time a language model takes for an answer.", {{"provider", name}});
    provider.other_models =
        &metrics.counter("samtale_lm_other_model_total",
                         "Answers that name another model than was asked.", {{"provider", name}});
  }
}

void SchedulerMetrics::sent(std::size_t account, const ChatOutcome& outcome, Duration took) {
  auto& provider = providers_[account];
  if (!outcome.answer) {
    provider.outcomes[kFaultsFrom + index(outcome.answer.error().fault)]->add();
    return;
  }
  provider.outcomes[index(outcome.answer->finish)]->add();
  provider.seconds->observe(std::chrono::duration<double>(took).count());
  const auto& usage = outcome.answer->usage;
  tokens_[0]->add(static_cast<double>(usage.input));
  tokens_[1]->add(static_cast<double>(usage.cached_input));
  tokens_[2]->add(static_cast<double>(usage.output));
}

}  // namespace samtale

#include "server/language_model.h"

#include <utility>

#include "server/options.h"

namespace samtale {

Result<LanguageModels::Account> LanguageModels::make_account(const char* section,
                                                             const LmConfig& config,
                                                             HttpClient& http_client,
                                                             Clock& clock) {
  SAMTALE_TRY(auto options, chat_options(section, config));
  Account account;
  SAMTALE_TRY(account.model, make_openai_chat(http_client, clock, std::move(options)));
  account.gate = std::make_unique<Gate>(gate_options(config), clock);
  account.prices = token_prices(config);
  return account;
}

Result<std::unique_ptr<LanguageModels>> LanguageModels::make(const Config& config,
                                                             HttpClient& http_client, Store& store,
                                                             const BudgetPolicy& budgets,
                                                             Metrics& metrics, Clock& clock,
                                                             Random& random) {
  std::unique_ptr<LanguageModels> made(new LanguageModels());
  SAMTALE_TRY(auto first, make_account("lm", config.lm, http_client, clock));
  made->accounts_.push_back(std::move(first));
  if (!config.lm_fallback.url.empty()) {
    SAMTALE_TRY(auto second, make_account("lm_fallback", config.lm_fallback, http_client, clock));
    made->accounts_.push_back(std::move(second));
  }
  std::vector<LmAccount> accounts;
  for (const auto& account : made->accounts_) {
    accounts.push_back({account.model.get(), account.gate.get(), account.prices});
  }
  made->budget_ = std::make_unique<Budget>(store, budgets, clock);
  LmSchedulerOptions options;
  options.call_timeout = config.analyze.request_timeout;
  made->scheduler_ = std::make_unique<LmScheduler>(std::move(accounts), *made->budget_, metrics,
                                                   clock, random, options);
  made->analyst_ =
      std::make_unique<LmAnalyst>(*made->scheduler_, store, clock, analyst_options(config));
  if (config.analyze.batch) {
    SAMTALE_TRY(auto chat, chat_options("lm", config.lm));
    SAMTALE_TRY(made->batches_, make_openai_batches(http_client, clock, std::move(chat)));
  }
  made->export_metrics(metrics);
  return made;
}

void LanguageModels::export_metrics(Metrics& metrics) {
  const auto gauge = [&](const char* name, const char* help, auto read) {
    metrics.gauge(name, help, [this, read] {
      std::vector<Sample> samples;
      for (const auto& account : accounts_) {
        samples.push_back({{{"provider", account.model->name()}}, read(account.gate->stats())});
      }
      return samples;
    });
  };
  gauge("samtale_lm_waiting", "Requests that wait for their turn.",
        [](const GateStats& stats) { return static_cast<double>(stats.waiting); });
  gauge("samtale_lm_in_flight", "Requests under way.",
        [](const GateStats& stats) { return static_cast<double>(stats.in_flight); });
  gauge("samtale_lm_concurrency_limit", "Requests that may be under way, as found so far.",
        [](const GateStats& stats) { return static_cast<double>(stats.concurrency_limit); });
  gauge("samtale_lm_open", "0 while a Retry-After or the circuit breaker keeps all requests back.",
        [](const GateStats& stats) { return stats.is_open ? 1.0 : 0.0; });
}

}  // namespace samtale

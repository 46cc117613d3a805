#include "server/language_model.h"

#include <utility>

#include "base/bytes.h"
#include "server/options.h"

namespace samtale {
namespace {

constexpr std::size_t kNodeBytes = 10;

}  // namespace

Result<LanguageModels::Account> LanguageModels::make_account(const char* section,
                                                             const LmConfig& config,
                                                             HttpClient& http_client,
                                                             Clock& clock) {
  SAMTALE_TRY(auto options, chat_options(section, config));
  Account account;
  account.name = hex(view(sha256(options.url + "\n" + options.key)));
  SAMTALE_TRY(account.model, make_openai_chat(http_client, clock, std::move(options)));
  account.gate = std::make_unique<Gate>(gate_options(config), clock);
  account.prices = token_prices(config);
  return account;
}

Result<std::unique_ptr<LanguageModels>> LanguageModels::make(const Config& config,
                                                             HttpClient& http_client, Store& store,
                                                             const BudgetPolicy& budgets,
                                                             Metrics& metrics, Clock& clock,
                                                             Random& random, Log& log) {
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
  SAMTALE_TRY_VOID(made->share_accounts(config, clock, random, log));
  made->export_metrics(metrics);
  return made;
}

Result<> LanguageModels::share_accounts(const Config& config, Clock& clock, Random& random,
                                        Log& log) {
  SAMTALE_TRY(const auto options, shared_rate_options(config));
  if (!options) return {};
  const auto node = hex(random.bytes(kNodeBytes));
  for (auto& account : accounts_) {
    account.rate = std::make_unique<SharedRate>(clock, log, *options, account.name, node);
  }
  return {};
}

void LanguageModels::share_rates() {
  for (auto& account : accounts_) {
    const auto stats = account.gate->stats();
    const auto demand = stats.tokens_waiting + stats.tokens_passed -
                        std::exchange(account.passed_before, stats.tokens_passed);
    const auto part = account.rate->exchange(static_cast<double>(demand), stats.closed_until);
    account.gate->share(part.part, part.closed_until);
  }
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
  gauge("samtale_lm_rate_part", "Of the account's limits, this node's part.",
        [](const GateStats& stats) { return stats.part; });
  gauge("samtale_lm_open", "0 while a Retry-After or the circuit breaker keeps all requests back.",
        [](const GateStats& stats) { return stats.is_open ? 1.0 : 0.0; });
}

}  // namespace samtale

// LanguageModels: what asks language models, wired as the configuration says.
#pragma once

#include <memory>
#include <vector>

#include "analyze/lm_analyst.h"
#include "base/result.h"
#include "cache/shared_rate.h"
#include "config/config.h"
#include "lm/batch.h"
#include "lm/budget.h"
#include "lm/gate.h"
#include "lm/openai_chat.h"
#include "lm/scheduler.h"
#include "metrics/metrics.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

class LanguageModels {
 public:
  // What is passed in must outlive it. Errors: invalid_argument, naming the key.
  [[nodiscard]] static Result<std::unique_ptr<LanguageModels>> make(
      const Config& config, HttpClient& http_client, Store& store, const BudgetPolicy& budgets,
      Metrics& metrics, Clock& clock, Random& random, Log& log);

  // Whether other nodes may use the same accounts; then share_rates() is to be called about ten
  // times a second, by one thread.
  [[nodiscard]] bool has_shared_rates() const { return !accounts_.empty() && accounts_[0].rate; }
  void share_rates();

  [[nodiscard]] Budget& budget() { return *budget_; }
  [[nodiscard]] LmScheduler& scheduler() { return *scheduler_; }
  [[nodiscard]] LmAnalyst& analyst() { return *analyst_; }
  // Of the first account; null if batches are not configured.
  [[nodiscard]] BatchApi* batches() { return batches_.get(); }

 private:
  struct Account {
    std::string name;  // The same at all nodes; says nothing of its key.
    std::unique_ptr<ChatModel> model;
    std::unique_ptr<Gate> gate;
    TokenPrices prices;
    std::unique_ptr<SharedRate> rate;  // Null: the account is this process's alone.
    std::int64_t passed_before = 0;    // Tokens, at the last exchange.
  };

  LanguageModels() = default;
  [[nodiscard]] static Result<Account> make_account(const char* section, const LmConfig& config,
                                                    HttpClient& http_client, Clock& clock);
  Result<> share_accounts(const Config& config, Clock& clock, Random& random, Log& log);
  void export_metrics(Metrics& metrics);

  std::vector<Account> accounts_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<LmScheduler> scheduler_;
  std::unique_ptr<LmAnalyst> analyst_;
  std::unique_ptr<BatchApi> batches_;
};

}  // namespace samtale

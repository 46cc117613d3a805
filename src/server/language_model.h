// LanguageModels: what asks language models, wired as the configuration says.
#pragma once

#include <memory>
#include <vector>

#include "analyze/lm_analyst.h"
#include "base/result.h"
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
#include "sys/random.h"

namespace samtale {

class LanguageModels {
 public:
  // What is passed in must outlive it. Errors: invalid_argument, naming the key.
  [[nodiscard]] static Result<std::unique_ptr<LanguageModels>> make(
      const Config& config, HttpClient& http_client, Store& store, const BudgetPolicy& budgets,
      Metrics& metrics, Clock& clock, Random& random);

  [[nodiscard]] Budget& budget() { return *budget_; }
  [[nodiscard]] LmScheduler& scheduler() { return *scheduler_; }
  [[nodiscard]] LmAnalyst& analyst() { return *analyst_; }
  // Of the first account; null if batches are not configured.
  [[nodiscard]] BatchApi* batches() { return batches_.get(); }

 private:
  struct Account {
    std::unique_ptr<ChatModel> model;
    std::unique_ptr<Gate> gate;
    TokenPrices prices;
  };

  LanguageModels() = default;
  [[nodiscard]] static Result<Account> make_account(const char* section, const LmConfig& config,
                                                    HttpClient& http_client, Clock& clock);
  void export_metrics(Metrics& metrics);

  std::vector<Account> accounts_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<LmScheduler> scheduler_;
  std::unique_ptr<LmAnalyst> analyst_;
  std::unique_ptr<BatchApi> batches_;
};

}  // namespace samtale

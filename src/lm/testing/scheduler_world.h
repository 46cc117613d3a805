// SchedulerWorld: a scheduler with a real gate and a real budget, before scripted models.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "embed/testing/temporary_folder.h"
#include "lm/scheduler.h"
#include "lm/testing/fake_chat_model.h"
#include "sim/sim_random.h"
#include "store/sqlite_store.h"

namespace samtale {

// `TestClock`: SimClock or ManualClock.
template <class TestClock>
class SchedulerWorld {
 public:
  static constexpr CompanyId kCompany{7};

  class Limits final : public BudgetPolicy {
   public:
    [[nodiscard]] BudgetLimits of_company(CompanyId) const override { return company; }
    [[nodiscard]] BudgetLimits of_analyzer(CompanyId, std::string_view) const override {
      return {};
    }
    BudgetLimits company;
  };

  // Prices: 1 and 2 micro-USD a token.
  SchedulerWorld() {
    store_ = SqliteStore::open({.folder = folder_ / ".", .partitions = 1}, clock, random_).value();
    budget_ = std::make_unique<Budget>(*store_, limits, clock);
    add_account("fake");
  }

  FakeChatModel& add_account(const std::string& name) {
    models_.push_back(std::make_unique<FakeChatModel>(name));
    gates_.push_back(std::make_unique<Gate>(GateOptions{}, clock));
    return *models_.back();
  }
  FakeChatModel& model(std::size_t account = 0) { return *models_[account]; }
  Gate& gate(std::size_t account = 0) { return *gates_[account]; }

  // Made at the first use, with the accounts and options there are then. From any thread.
  LmScheduler& scheduler() {
    std::call_once(scheduler_is_made_, [&] {
      std::vector<LmAccount> accounts;
      for (std::size_t i = 0; i < models_.size(); ++i) {
        accounts.push_back({.model = models_[i].get(),
                            .gate = gates_[i].get(),
                            .prices = {.input = 1, .cached_input = 1, .output = 2}});
      }
      scheduler_ =
          std::make_unique<LmScheduler>(accounts, *budget_, *metrics_, clock, random_, options);
    });
    return *scheduler_;
  }

  static LmTask task(const std::string& question = "What is it about?") {
    LmTask task;
    task.company = kCompany;
    task.analyzers = {"summary"};
    task.request.messages = {{"system", "You read conversations."}, {"user", question}};
    task.request.schema_name = "result";
    task.request.schema = json::parse(R"({"type": "object", "additionalProperties": false,
        "required": ["nonce", "say"],
        "properties": {"nonce": {"type": "string"}, "say": {"type": "string"}}})")
                              .value();
    task.request.output_tokens_max = 100;
    return task;
  }
  LmOutcome run(const LmTask& task, Duration patience = std::chrono::minutes(10),
                const std::stop_token& stop = {}) {
    return scheduler().run(task, clock.now() + patience, stop);
  }

  // Of the text that /metrics shows; 0 if it is not there.
  [[nodiscard]] double metric(const std::string& series) const {
    const auto text = metrics_->text();
    const auto at = text.find("\n" + series + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + series.size() + 2));
  }

  // What is spent today, as if the outcome had been stored.
  static Spend sum(const LmOutcome& outcome) {
    Spend sum;
    for (const auto& change : outcome.spend) {
      sum.tokens += change.spent.tokens;
      sum.micro_usd += change.spent.micro_usd;
    }
    return sum;
  }

  TestClock clock;
  Limits limits;
  LmSchedulerOptions options;

 private:
  SimRandom random_{1};
  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::vector<std::unique_ptr<FakeChatModel>> models_;
  std::vector<std::unique_ptr<Gate>> gates_;
  std::once_flag scheduler_is_made_;
  std::unique_ptr<LmScheduler> scheduler_;
};

}  // namespace samtale

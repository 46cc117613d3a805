// BatchWorker: analyses that can wait, by the provider's Batch API at a part of the price.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "analyze/lm_analyst.h"
#include "analyze/worker.h"
#include "base/result.h"
#include "lm/batch.h"
#include "lm/budget.h"
#include "queue/queue.h"
#include "store/store.h"

namespace samtale {

struct BatchRow;

struct BatchWorkerOptions {
  std::size_t jobs_max = 500;                        // Conversations a batch.
  std::size_t bytes_max = std::size_t{16} << 20;     // Of its requests, where two will do.
  std::size_t open_max = 50;                         // Batches under way; the other jobs wait.
  Duration poll = std::chrono::minutes(1);           // Between looks at what is under way.
  Duration window = std::chrono::hours(24);          // Later than this is late.
  Duration cancel_grace = std::chrono::minutes(10);  // What a batch that is late may still bring.
  Duration find_grace = std::chrono::minutes(10);    // To find one whose handing in broke off.
  Duration call_timeout = std::chrono::minutes(2);
  Duration lease = std::chrono::minutes(10);
  Duration budget_pause = std::chrono::minutes(10);  // Of a job whose company may spend no more.
  RetryPolicy retry;
  TokenPrices prices;       // Of the Batch API.
  std::string mask_secret;  // As LmWorkerOptions'.
};

// Answers the jobs "lm_batch". Of each company's it makes one batch of all requests that need no
// other's answer first, keeps what it is about in the store, hands it in and looks after it. Its
// answers are proven and stored as the scheduler's are; then a job "lm" concludes from them, or
// another "lm_batch" asks what comes next. What is late, has failed or is of no use is left to
// that job "lm", which asks at once and at the full price. A kill at any point loses no job and
// books no answer twice: what is paid for is stored with its cost and the end of the batch in one
// transaction; a batch whose id was lost is found by its name. Threads: one. What is passed in
// must outlive it.
class BatchWorker {
 public:
  BatchWorker(AnalyzeParts parts, const LmAnalyst& analyst, const LmScheduler& scheduler,
              Budget& budget, BatchApi& api, const BatchWorkerOptions& options);
  Result<std::size_t> step(const std::stop_token& stop);

 private:
  struct Draft;
  using Lines = std::map<std::string, BatchLine, std::less<>>;

  [[nodiscard]] Result<> look_after_all();
  [[nodiscard]] Result<> look_after(CompanyId company, LmBatch batch);
  [[nodiscard]] Result<> find_lost(CompanyId company, LmBatch batch, const BatchRow& row);
  // Its end: what the lines answer is stored, the rest is asked again.
  [[nodiscard]] Result<> settle(CompanyId company, const LmBatch& batch, const BatchRow& row,
                                const Lines& lines, bool may_have_cost);
  [[nodiscard]] Result<> hand_in(CompanyId company, std::span<const Job> jobs);
  [[nodiscard]] Result<> add(const Job& job, Draft& draft);
  [[nodiscard]] Result<> send(CompanyId company, Draft& draft);
  [[nodiscard]] CallLimits limits() const {
    return {parts_.clock.now() + options_.call_timeout, stop_};
  }

  const AnalyzeParts parts_;
  const LmAnalyst& analyst_;
  const LmScheduler& scheduler_;
  Budget& budget_;
  BatchApi& api_;
  const BatchWorkerOptions options_;
  Counter& answered_;
  Counter& unusable_;
  Counter& unanswered_;
  std::stop_token stop_;  // Of the step.
  Instant next_look_ = Instant::min();
  bool is_away_ = false;                                   // At the last look, the provider was.
  std::size_t open_ = 0;                                   // Batches under way, at the last look.
  std::set<std::pair<CompanyId, std::string>> under_way_;  // Their requests' ids.
};

}  // namespace samtale

// The workers of analyses: AnalyzeWorker does what needs no language model at once, and leaves the
// rest to LmWorker, for which nothing waits.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/catalog.h"
#include "analyze/jobs.h"
#include "analyze/lm_analyst.h"
#include "base/result.h"
#include "embed/embedder.h"
#include "metrics/metrics.h"
#include "queue/conversation_job.h"
#include "queue/queue.h"
#include "queue/worker.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

// How rare words are at a company; null if its index is not here. Errors: unavailable: not yet
// known.
using WordStatisticsOf = std::function<Result<std::shared_ptr<const WordStatistics>>(CompanyId)>;
// Whether somebody at the company is to be told of new analyses.
using WantsNews = std::function<bool(CompanyId)>;

// Whether any of a company's analyzers is due for the conversation as it is now.
[[nodiscard]] bool wants_analysis(const AnalyzerCatalog& catalog, CompanyId company,
                                  const Conversation& conversation);

struct AnalyzeParts {
  Queue& queue;
  Store& store;
  const AnalyzerCatalog& catalog;
  const Clock& clock;
  Random& random;
  Metrics& metrics;
  WantsNews wants_news;
  // How long a provider may take over a batch; nothing: there is no Batch API.
  std::optional<Duration> batch_window = {};
};

// Answers the jobs "analyze": summary, sentiment, topics, the reports of personal data and of
// manipulation, extractive or by rules; with a language model configured, leaves a job "lm" for
// what it can say better ("lm_critical" or "lm_bulk" if it is, "lm_batch" if it can wait), in the
// same transaction. What was concluded from this very revision is not concluded again. A job waits
// while it is not known how rare the company's words are, however long. Threads: one. What is
// passed in must outlive it.
class AnalyzeWorker {
 public:
  AnalyzeWorker(AnalyzeParts parts, WordStatisticsOf words, bool has_language_model,
                const WorkerOptions& options = {});
  Result<std::size_t> step();

 private:
  struct Done;
  [[nodiscard]] Result<Done> analyse(const Job& job, const AnalysisJob& asked,
                                     const std::optional<StoredConversation>& found,
                                     std::span<const StoredAnalysis> known) const;

  const AnalyzeParts parts_;
  const WordStatisticsOf words_;
  const bool has_language_model_;
  const WorkerOptions options_;
};

struct LmWorkerOptions {
  WorkerOptions worker = {.batch = 1, .lease = std::chrono::minutes(15)};
  Duration job_timeout = std::chrono::minutes(10);
  Duration away_longest = std::chrono::hours(1);  // Between tries while budget or provider is away.
  std::string mask_secret;                        // 32 bytes: makes each company's key for masking.
};

// Answers the jobs of one kind: "lm_critical", "lm" or "lm_bulk". A budget that is spent and a
// provider that is away let the job wait, however long; an answer that stays wrong makes it a dead
// letter with its cause. Threads: one each; start as many as requests may be on their way. What is
// passed in must outlive it.
class LmWorker {
 public:
  LmWorker(AnalyzeParts parts, LmAnalyst& analyst, std::string_view kind,
           const LmWorkerOptions& options = {});
  Result<std::size_t> step(const std::stop_token& stop);

 private:
  [[nodiscard]] Result<> answer(const Job& job, const std::stop_token& stop);
  [[nodiscard]] Result<> settle(const Job& job, const StoredConversation& conversation,
                                const LmFindings& findings);
  [[nodiscard]] Duration pause(const Job& job, ErrorCode code);

  const AnalyzeParts parts_;
  LmAnalyst& analyst_;
  const std::string kind_;
  const LmWorkerOptions options_;
  Counter& made_;
  Counter& failed_;
  Counter& dropped_;
};

}  // namespace samtale

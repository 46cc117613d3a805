// AnalyzeWorker: concludes from conversations that have ended what their company wants to know.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/result.h"
#include "embed/embedder.h"
#include "queue/queue.h"
#include "queue/worker.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

// How rare words are at a company; null if it has nothing indexed.
using WordStatisticsOf = std::function<std::shared_ptr<const WordStatistics>(CompanyId)>;

// Answers the jobs "analyze" by the extractive analyses: summary, sentiment, topics. What was
// concluded from this very revision of the conversation is not concluded again.
// Threads: one. What is passed in must outlive it.
class AnalyzeWorker {
 public:
  AnalyzeWorker(Queue& queue, Store& store, WordStatisticsOf words, const Clock& clock,
                Random& random, const WorkerOptions& options = {});
  Result<std::size_t> step();

 private:
  [[nodiscard]] Result<std::vector<StoredAnalysis>> analyse(CompanyId company,
                                                            ConversationId id) const;

  Queue& queue_;
  Store& store_;
  const WordStatisticsOf words_;
  const Clock& clock_;
  Random& random_;
  const WorkerOptions options_;
};

// Asks for the analyses of a company's conversations that have ended: for those from before there
// were any. Does a page of the company's conversations after `cursor` (empty: the newest) and
// returns where to go on; empty at the end. `asked` grows by the conversations asked for.
Result<std::string> enqueue_analyses(Store& store, CompanyId company, const std::string& cursor,
                                     std::size_t& asked);

}  // namespace samtale

// Backfills: analyses over history. One is asked for, costed, watched, paused and taken up again;
// its jobs come page by page, so that history stays behind what happens now.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/catalog.h"
#include "analyze/lm_analyst.h"
#include "base/result.h"
#include "json/json.h"
#include "lm/budget.h"
#include "model/ids.h"
#include "queue/queue.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

// Which analyzers, on which conversations. Empty and nothing: all.
struct BackfillFilter {
  std::vector<std::string> analyzers;
  std::optional<WallTime> from;  // As in ConversationQuery.
  std::optional<WallTime> to;
  std::string channel;
  std::string source;
};
// Errors: invalid_argument with every mistake.
[[nodiscard]] Result<BackfillFilter> parse_backfill_filter(const json::Value& value);
[[nodiscard]] json::Value to_json(const BackfillFilter& filter);

struct BackfillEstimate {
  std::int64_t conversations = 0;
  std::int64_t analyses = 0;      // That a language model would make.
  std::int64_t input_tokens = 0;  // At the most: nothing of it being known.
  std::int64_t output_tokens = 0;
  std::int64_t micro_usd = 0;
  std::int64_t sampled = 0;  // Conversations that were read for it.
};
[[nodiscard]] json::Value to_json(const BackfillEstimate& estimate);

struct BackfillProgress {
  Campaign campaign;
  // Jobs of analyses of the company, whoever asked for them, those a batch is about too.
  std::int64_t waiting = 0;
};

struct BackfillOptions {
  std::size_t page = 50;  // Conversations a transaction.
  std::size_t waiting_max =
      200;                  // Jobs of the company, before the next page: so a pause is soon felt.
  std::size_t sample = 50;  // Conversations read for an estimate.
  std::size_t running_max = 5;  // A company.
  TokenPrices prices;
};

// Threads: any method from any thread; step() from one. What is passed in must outlive it.
class Backfills {
 public:
  // `analyst` is null where there is no language model.
  Backfills(Store& store, Queue& queue, const AnalyzerCatalog& catalog, const LmAnalyst* analyst,
            const Clock& clock, Random& random, const BackfillOptions& options = {});

  // Reads every summary the filter takes, and some of the conversations. invalid_argument for an
  // analyzer that is not there or not active.
  [[nodiscard]] Result<BackfillEstimate> estimate(CompanyId company,
                                                  const BackfillFilter& filter) const;
  // With its estimate. resource_exhausted past running_max.
  Result<Campaign> start(CompanyId company, const BackfillFilter& filter);
  [[nodiscard]] Result<std::vector<BackfillProgress>> list(CompanyId company) const;
  [[nodiscard]] Result<BackfillProgress> find(CompanyId company, std::string_view id) const;

  enum class Action : std::uint8_t { pause, resume, cancel };
  // not_found; conflict where it has ended.
  Result<Campaign> change(CompanyId company, std::string_view id, Action action);

  // Starts what is scheduled, and does the next page of every campaign that runs. Each page's jobs
  // and its cursor are one transaction.
  Result<std::size_t> step();

 private:
  [[nodiscard]] Result<std::vector<Analyzer>> analyzers_of(CompanyId company,
                                                           const BackfillFilter& filter) const;
  // In the queue.
  [[nodiscard]] Result<std::int64_t> waiting(CompanyId company) const;
  Result<Campaign> put_new(CompanyId company, const BackfillFilter& filter, std::string id_prefix);
  Result<std::size_t> run_schedules();
  [[nodiscard]] Result<bool> advance(CompanyId company, Campaign campaign);

  Store& store_;
  Queue& queue_;
  const AnalyzerCatalog& catalog_;
  const LmAnalyst* const analyst_;
  const Clock& clock_;
  Random& random_;
  const BackfillOptions options_;
};

}  // namespace samtale

#include <algorithm>
#include <utility>

#include "analyze/jobs.h"
#include "analyze/lm_work.h"
#include "analyze/worker.h"

namespace samtale {
namespace {

// Jobs are served fairly by what they cost; this many tokens are one ordinary job.
constexpr double kTokensAJob = 2'000;

}  // namespace

LmWorker::LmWorker(AnalyzeParts parts, LmAnalyst& analyst, std::string_view kind,
                   const LmWorkerOptions& options)
    : parts_(std::move(parts)),
      analyst_(analyst),
      kind_(kind),
      options_(options),
      made_(parts_.metrics.counter("samtale_analyses_total", "Analyses by a language model.",
                                   {{"outcome", "stored"}})),
      failed_(parts_.metrics.counter("samtale_analyses_total", "Analyses by a language model.",
                                     {{"outcome", "failed"}})),
      dropped_(parts_.metrics.counter(
          "samtale_analysis_citations_dropped_total",
          "Citations that were not in the turn they named, with what stood on them.", {})) {}

Result<std::size_t> LmWorker::step(const std::stop_token& stop) {
  SAMTALE_TRY(const auto jobs,
              parts_.queue.take(kind_, options_.worker.batch, options_.worker.lease));
  for (const auto& job : jobs) {
    const auto done = answer(job, stop);
    if (done) continue;
    if (retryable(done.error().code)) {
      SAMTALE_TRY_VOID(
          parts_.queue.retry_after(job, pause(job, done.error().code), done.error().message));
    } else {
      SAMTALE_TRY_VOID(
          settle_failure(parts_.queue, job, done.error(), options_.worker.retry, parts_.random));
    }
  }
  return jobs.size();
}

Result<> LmWorker::answer(const Job& job, const std::stop_token& stop) {
  SAMTALE_TRY(const auto asked, read_analysis_job(job));
  SAMTALE_TRY(const auto work, make_lm_work(parts_, job.company, asked, options_.mask_secret));
  if (work == nullptr) {
    return parts_.store.write(job.partition, [&](StoreWriter& writer) {
      return writer.finish({&job, 1});
    });
  }
  auto& order = work->order;
  order.priority = kind_ == kLmCriticalJob ? Priority::critical : job.priority;
  const auto now = parts_.clock.now();
  for (const auto& analyzer : order.analyzers) {
    if (!analyzer.deadline) continue;
    const auto waited = parts_.clock.wall_now() - job.enqueued_at;
    const auto wanted_by = now + std::max<Duration>(*analyzer.deadline - waited, Duration::zero());
    order.wanted_by = std::min(order.wanted_by.value_or(wanted_by), wanted_by);
  }
  return settle(job, work->conversation, analyst_.analyse(order, now + options_.job_timeout, stop));
}

Result<> LmWorker::settle(const Job& job, const StoredConversation& conversation,
                          const LmFindings& findings) {
  const auto& id = conversation.conversation.id;
  const auto waits = std::ranges::find_if(
      findings.failed, [](const LmFindings::Failed& one) { return retryable(one.error.code); });
  const bool is_settled = waits == findings.failed.end();
  // Before the job is settled: who has none left is charged nothing.
  const auto jobs = static_cast<double>(findings.tokens) / kTokensAJob - 1;
  if (jobs > 0) parts_.queue.charge(kind_, job.company, jobs);
  SAMTALE_TRY_VOID(parts_.store.write(job.partition, [&](StoreWriter& writer) -> Result<> {
    std::vector<std::string> names;
    for (const auto& [analyzer, version, analysis] : findings.found) {
      names.push_back(analyzer);
      SAMTALE_TRY_VOID(writer.put_analysis(job.company, id,
                                           {.analyzer = analyzer,
                                            .version = version,
                                            .method = std::string(kByLanguageModel),
                                            .revision = conversation.revision,
                                            .created_at = parts_.clock.wall_now(),
                                            .result = json::dump(analysis.result),
                                            .labels = analysis.labels,
                                            .score = analysis.score}));
    }
    if (!names.empty() && parts_.wants_news(job.company)) {
      SAMTALE_TRY_VOID(
          writer.enqueue(make_notify_job(job.company, id, names, conversation.revision)));
    }
    if (!is_settled) return {};
    for (const auto& [analyzer, error] : findings.failed) {
      const AnalysisJob again{.conversation = id, .analyzers = {analyzer}};
      SAMTALE_TRY_VOID(writer.add_dead_letter(make_analysis_job(kind_, job.company, again),
                                              analyzer + ": " + error.message));
    }
    SAMTALE_TRY_VOID(writer.keep_lm_results(job.company, id, findings.used_keys));
    return writer.finish({&job, 1});
  }));
  made_.add(static_cast<double>(findings.found.size()));
  failed_.add(static_cast<double>(findings.failed.size()));
  dropped_.add(static_cast<double>(findings.dropped));
  if (!is_settled) return std::unexpected(waits->error);
  return {};
}

Duration LmWorker::pause(const Job& job, ErrorCode code) {
  auto policy = options_.worker.retry;
  policy.longest = options_.away_longest;
  // A budget that is spent comes back with the day; asking more often than this is idle.
  constexpr Duration kBudgetLeast = std::chrono::minutes(1);
  const auto length = backoff(policy, job.attempt, parts_.random.fraction());
  return code == ErrorCode::resource_exhausted ? std::max(length, kBudgetLeast) : length;
}

}  // namespace samtale

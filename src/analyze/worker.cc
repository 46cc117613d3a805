#include "analyze/worker.h"

#include <algorithm>
#include <utility>

#include "analyze/due.h"
#include "analyze/extractive.h"
#include "analyze/finding.h"
#include "analyze/jobs.h"
#include "analyze/manipulation.h"
#include "store/by_company.h"

namespace samtale {
namespace {

constexpr std::string_view kByRules = "rules";
// Large companies take some seconds to be read.
constexpr auto kWordsPause = std::chrono::seconds(2);

Analysis offline(const Analyzer& analyzer, const Conversation& conversation,
                 const WordStatistics* words) {
  switch (analyzer.kind) {
    case AnalyzerKind::summary:
      return summarise(conversation);
    case AnalyzerKind::sentiment:
      return measure_sentiment(conversation);
    case AnalyzerKind::topics:
      return find_topics(conversation, words);
    case AnalyzerKind::manipulation:
      return report_manipulation(conversation);
    default:
      return report_pii(conversation);
  }
}

// The most urgent of them; but what fills in history stays behind what happens now.
Priority urgency(std::span<const Analyzer> analyzers, Priority asked) {
  if (asked == Priority::bulk) return Priority::bulk;
  auto most = Priority::bulk;
  for (const auto& analyzer : analyzers) most = std::min(most, analyzer.priority);
  return most;
}

// Where only a pause of the talk is waited for, the longest that all of them allow.
Duration quiet_time(std::span<const Analyzer> analyzers, const Conversation& conversation) {
  if (conversation.status == "ended") return {};
  Duration quiet{};
  for (const auto& analyzer : analyzers) {
    if (analyzer.trigger.on != TriggerOn::turn) return {};
    quiet = std::max(quiet, analyzer.trigger.quiet);
  }
  return quiet;
}

std::string_view lm_kind(std::span<const Analyzer> analyzers, Priority priority,
                         std::optional<Duration> batch_window) {
  if (priority == Priority::critical) return kLmCriticalJob;
  if (priority != Priority::bulk) return kLmJob;
  const bool can_wait = std::ranges::all_of(analyzers, [&](const Analyzer& analyzer) {
    return !analyzer.deadline || (batch_window && *analyzer.deadline >= *batch_window);
  });
  return batch_window && can_wait ? kLmBatchJob : kLmBulkJob;
}

}  // namespace

bool wants_analysis(const AnalyzerCatalog& catalog, CompanyId company,
                    const Conversation& conversation) {
  return std::ranges::any_of(*catalog.of(company), [&](const Analyzer& analyzer) {
    return is_due(analyzer, conversation);
  });
}

struct AnalyzeWorker::Done {
  ConversationId conversation;
  std::int64_t revision = 0;
  std::vector<StoredAnalysis> analyses;
  std::optional<NewJob> rest;  // For a language model.
};

AnalyzeWorker::AnalyzeWorker(AnalyzeParts parts, WordStatisticsOf words, bool has_language_model,
                             const WorkerOptions& options)
    : parts_(std::move(parts)),
      words_(std::move(words)),
      has_language_model_(has_language_model),
      options_(options) {}

// Errors: unavailable: the company's words are not known yet.
Result<AnalyzeWorker::Done> AnalyzeWorker::analyse(const Job& job, const AnalysisJob& asked,
                                                   const std::optional<StoredConversation>& found,
                                                   std::span<const StoredAnalysis> known) const {
  Done done{.conversation = asked.conversation};
  if (!found) return done;  // Deleted since it was queued.
  done.revision = found->revision;
  const auto& conversation = found->conversation;
  const auto due = chosen(*parts_.catalog.of(job.company), asked.analyzers, conversation);
  SAMTALE_TRY(const auto words, words_(job.company));
  std::vector<Analyzer> rest;
  for (const auto& analyzer : due) {
    if (has_offline_form(analyzer.kind) && !is_known(analyzer, found->revision, false, known)) {
      auto analysis = offline(analyzer, conversation, words.get());
      done.analyses.push_back(
          {.analyzer = analyzer.name,
           .version = analyzer.version,
           .method = std::string(is_by_rules(analyzer.kind) ? kByRules : kExtractive),
           .revision = found->revision,
           .created_at = parts_.clock.wall_now(),
           .result = json::dump(analysis.result),
           .labels = std::move(analysis.labels),
           .score = analysis.score});
    }
    if (has_language_model_ && !is_by_rules(analyzer.kind) &&
        !is_known(analyzer, found->revision, true, known)) {
      rest.push_back(analyzer);
    }
  }
  if (!rest.empty()) {
    const auto priority = urgency(rest, job.priority);
    done.rest = make_analysis_job(lm_kind(rest, priority, parts_.batch_window), job.company, asked);
    done.rest->priority = priority;
    done.rest->delay = quiet_time(rest, conversation);
  }
  return done;
}

Result<std::size_t> AnalyzeWorker::step() {
  SAMTALE_TRY(const auto jobs, parts_.queue.take(kAnalyzeJob, options_.batch, options_.lease));
  if (jobs.empty()) return 0;
  const auto fail_with = [&](const Job& job, const Error& error) {
    return settle_failure(parts_.queue, job, error, options_.retry, parts_.random);
  };
  std::vector<std::pair<Job, AnalysisJob>> readable;
  std::vector<std::pair<CompanyId, ConversationId>> wanted;
  for (const auto& job : jobs) {
    auto asked = read_analysis_job(job);
    if (!asked) {
      SAMTALE_TRY_VOID(fail_with(job, asked.error()));
      continue;
    }
    wanted.emplace_back(job.company, asked->conversation);
    readable.emplace_back(job, *std::move(asked));
  }
  const auto& store = parts_.store;
  const auto found = read_by_company<std::optional<StoredConversation>>(
      wanted, [&](CompanyId company, auto ids) { return store.find_conversations(company, ids); });
  const auto known = read_by_company<std::vector<StoredAnalysis>>(
      wanted, [&](CompanyId company, auto ids) { return store.analyses_of(company, ids); });
  std::vector<std::pair<Job, Done>> ready;
  for (std::size_t i = 0; i < readable.size(); ++i) {
    const auto& [job, asked] = readable[i];
    if (!found[i] || !known[i]) {
      SAMTALE_TRY_VOID(fail_with(job, !found[i] ? found[i].error() : known[i].error()));
      continue;
    }
    auto done = analyse(job, asked, *found[i], *known[i]);
    if (!done) {
      SAMTALE_TRY_VOID(parts_.queue.retry_after(job, kWordsPause, done.error().message));
      continue;
    }
    ready.emplace_back(job, *std::move(done));
  }
  if (ready.empty()) return jobs.size();
  const auto work = [&](StoreWriter& writer) -> Result<> {
    std::vector<Job> settled;
    for (const auto& [job, done] : ready) {
      settled.push_back(job);
      std::vector<std::string> names;
      for (const auto& analysis : done.analyses) {
        SAMTALE_TRY_VOID(writer.put_analysis(job.company, done.conversation, analysis));
        names.push_back(analysis.analyzer);
      }
      if (done.rest) SAMTALE_TRY_VOID(writer.enqueue(*done.rest));
      if (!names.empty() && parts_.wants_news(job.company)) {
        SAMTALE_TRY_VOID(
            writer.enqueue(make_notify_job(job.company, done.conversation, names, done.revision)));
      }
    }
    return writer.finish(settled);
  };
  const auto written = parts_.store.write(jobs.front().partition, work);
  if (!written) {
    for (const auto& [job, done] : ready) SAMTALE_TRY_VOID(fail_with(job, written.error()));
  }
  return jobs.size();
}

}  // namespace samtale

#include "analyze/worker.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "analyze/extractive.h"
#include "queue/conversation_job.h"

namespace samtale {
namespace {

// Grows when an analysis would say something else of the same conversation.
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kAnalyzers = 3;

StoredAnalysis to_store(std::string_view analyzer, Analysis analysis, std::int64_t revision,
                        WallTime now) {
  return {.analyzer = std::string(analyzer),
          .version = kVersion,
          .method = std::string(kExtractive),
          .revision = revision,
          .created_at = now,
          .result = json::dump(analysis.result),
          .labels = std::move(analysis.labels),
          .score = analysis.score};
}

bool is_of(const StoredAnalysis& analysis, std::int64_t revision) {
  return analysis.revision == revision && analysis.version == kVersion;
}

}  // namespace

AnalyzeWorker::AnalyzeWorker(Queue& queue, Store& store, WordStatisticsOf words, const Clock& clock,
                             Random& random, const WorkerOptions& options)
    : queue_(queue),
      store_(store),
      words_(std::move(words)),
      clock_(clock),
      random_(random),
      options_(options) {}

Result<std::vector<StoredAnalysis>> AnalyzeWorker::analyse(CompanyId company,
                                                           ConversationId id) const {
  std::vector<StoredAnalysis> made;
  SAMTALE_TRY(const auto found, store_.find_conversation(company, id));
  // Deleted, or opened again, since it was queued: its end will ask once more.
  if (!found || found->conversation.status != "ended") return made;
  SAMTALE_TRY(const auto known, store_.analyses(company, id));
  const auto is_known = [&](const StoredAnalysis& one) { return is_of(one, found->revision); };
  if (std::ranges::count_if(known, is_known) == kAnalyzers) return made;
  const auto words = words_(company);
  const auto now = clock_.wall_now();
  const auto& conversation = found->conversation;
  made.push_back(to_store("summary", summarise(conversation), found->revision, now));
  made.push_back(to_store("sentiment", measure_sentiment(conversation), found->revision, now));
  made.push_back(to_store("topics", find_topics(conversation, words.get()), found->revision, now));
  return made;
}

Result<std::size_t> AnalyzeWorker::step() {
  SAMTALE_TRY(const auto jobs, queue_.take(kAnalyzeJob, options_.batch, options_.lease));
  if (jobs.empty()) return 0;
  struct Done {
    Job job;
    ConversationId conversation;
    std::vector<StoredAnalysis> analyses;
  };
  std::vector<Done> ready;
  for (const auto& job : jobs) {
    auto one = [&]() -> Result<> {
      SAMTALE_TRY(const auto id, conversation_of(job));
      SAMTALE_TRY(auto analyses, analyse(job.company, id));
      ready.push_back({job, id, std::move(analyses)});
      return {};
    }();
    if (!one) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, one.error(), options_.retry, random_));
    }
  }
  if (ready.empty()) return jobs.size();
  const auto written = store_.write(jobs.front().partition, [&](StoreWriter& writer) -> Result<> {
    std::vector<Job> done;
    for (const auto& item : ready) {
      done.push_back(item.job);
      for (const auto& analysis : item.analyses) {
        SAMTALE_TRY_VOID(writer.put_analysis(item.job.company, item.conversation, analysis));
      }
    }
    return writer.finish(done);
  });
  if (!written) {
    for (const auto& item : ready) {
      SAMTALE_TRY_VOID(settle_failure(queue_, item.job, written.error(), options_.retry, random_));
    }
  }
  return jobs.size();
}

Result<std::string> enqueue_analyses(Store& store, CompanyId company, const std::string& cursor,
                                     std::size_t& asked) {
  ConversationQuery query;
  query.limit = 200;
  query.cursor = cursor;
  SAMTALE_TRY(const auto page, store.list_conversations(company, query));
  std::vector<ConversationId> ended;
  for (const auto& summary : page.conversations) {
    if (summary.head.status == "ended") ended.push_back(summary.head.id);
  }
  SAMTALE_TRY_VOID(store.write(store.partition_of(company), [&](StoreWriter& writer) -> Result<> {
    for (const auto& id : ended) {
      auto job = make_conversation_job(kAnalyzeJob, company, id);
      job.priority = Priority::bulk;
      SAMTALE_TRY_VOID(writer.enqueue(job));
    }
    return {};
  }));
  asked += ended.size();
  return page.next_cursor;
}

}  // namespace samtale

#include "ingest/workers.h"

#include <algorithm>
#include <limits>

#include "ingest/jobs.h"
#include "ingest/merge.h"
#include "providers/provider.h"
#include "store/by_company.h"

namespace samtale {

ChunkWorker::ChunkWorker(Queue& queue, Store& store, const ChunkPolicy& policy, Random& random,
                         WorkerOptions options, WantsAnalysis wants_analysis)
    : queue_(queue),
      store_(store),
      policy_(policy),
      random_(random),
      options_(options),
      wants_analysis_(std::move(wants_analysis)) {}

Result<std::size_t> ChunkWorker::step() {
  SAMTALE_TRY(const auto jobs, queue_.take(kChunkJob, options_.batch, options_.lease));
  if (jobs.empty()) return 0;

  std::vector<Job> readable;
  std::vector<std::pair<CompanyId, ConversationId>> wanted;
  for (const auto& job : jobs) {
    const auto id = conversation_of(job);
    if (!id) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, id.error(), options_.retry, random_));
      continue;
    }
    readable.push_back(job);
    wanted.emplace_back(job.company, *id);
  }
  const auto found = read_by_company<std::optional<StoredConversation>>(
      wanted, [&](CompanyId company, auto ids) { return store_.find_conversations(company, ids); });

  struct Cut {
    Job job;
    ConversationId conversation;
    std::vector<Chunk> chunks;
    bool is_analysed = false;
  };
  std::vector<Cut> ready;
  for (std::size_t i = 0; i < readable.size(); ++i) {
    const auto& job = readable[i];
    if (!found[i]) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, found[i].error(), options_.retry, random_));
      continue;
    }
    const auto& stored = *found[i];
    // Deleted since it was queued: nothing left to cut, the job is done.
    ready.push_back({job, wanted[i].second,
                     stored ? cut(stored->conversation, policy_) : std::vector<Chunk>{},
                     stored && wants_analysis_(job.company, stored->conversation)});
  }
  if (ready.empty()) return jobs.size();

  const auto written = store_.write(jobs.front().partition, [&](StoreWriter& writer) -> Result<> {
    std::vector<Job> done;
    for (const auto& item : ready) {
      done.push_back(item.job);
      SAMTALE_TRY_VOID(writer.put_chunks(item.job.company, item.conversation, item.chunks));
      if (item.is_analysed) {
        SAMTALE_TRY_VOID(writer.enqueue(make_analyze_job(item.job.company, item.conversation)));
      }
      if (item.chunks.empty()) continue;
      SAMTALE_TRY_VOID(
          writer.enqueue(make_conversation_job(kEmbedJob, item.job.company, item.conversation)));
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

EmbedWorker::EmbedWorker(Queue& queue, Store& store, Embedder& embedder, const Clock& clock,
                         Random& random, WorkerOptions options, Duration embed_timeout)
    : queue_(queue),
      store_(store),
      embedder_(embedder),
      clock_(clock),
      random_(random),
      options_(options),
      embed_timeout_(embed_timeout),
      lease_(std::max(options.lease, 2 * embed_timeout)),
      batch_(AdaptiveBatchOptions{.size_max = embedder.batch_max()}) {}

Result<std::size_t> EmbedWorker::step() {
  if (clock_.now() < away_until_) return 0;
  const auto limit = std::min(options_.batch, batch_.next_size(options_.batch));
  SAMTALE_TRY(const auto jobs, queue_.take(kEmbedJob, limit, lease_));
  if (jobs.empty()) return 0;
  KeptLeases leases(queue_, jobs, lease_, clock_);

  auto done = [&]() -> Result<> {
    SAMTALE_TRY(const auto wanted, find_wanted(jobs));
    std::vector<Outcome> outcomes(wanted.size());
    for (std::size_t at = 0; at < wanted.size();) {
      const auto size = std::min(wanted.size() - at, batch_.next_size(wanted.size() - at));
      SAMTALE_TRY_VOID(embed(std::span(wanted).subspan(at, size),
                             std::span(outcomes).subspan(at, size), leases));
      at += size;
    }
    SAMTALE_TRY_VOID(leases.keep());
    return store_.write(jobs.front().partition, [&](StoreWriter& writer) -> Result<> {
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto& [job, conversation, chunk] = wanted[i];
        const auto& outcome = outcomes[i];
        if (outcome.error.empty()) {
          SAMTALE_TRY_VOID(writer.put_embedding(job.company, conversation, chunk,
                                                {embedder_.model_id(), outcome.vector}));
          continue;
        }
        const auto what = "chunk " + std::to_string(chunk.ordinal) + ": " + outcome.error;
        SAMTALE_TRY_VOID(writer.put_embed_error(job.company, conversation, chunk, outcome.error));
        SAMTALE_TRY_VOID(writer.add_dead_letter(
            make_conversation_job(kEmbedJob, job.company, conversation), what));
      }
      return writer.finish(jobs);
    });
  }();
  if (done) {
    failures_ = 0;
    return jobs.size();
  }
  // An embedder that is away is not the jobs' fault: they wait for it, however long, and are not
  // sent at it one after the other meanwhile.
  auto retry = options_.retry;
  if (done.error().code == ErrorCode::unavailable ||
      done.error().code == ErrorCode::resource_exhausted) {
    retry.attempts = std::numeric_limits<int>::max();
    away_until_ = clock_.now() + backoff(retry, ++failures_, random_.fraction());
  }
  for (const auto& job : jobs) {
    SAMTALE_TRY_VOID(settle_failure(queue_, job, done.error(), retry, random_));
  }
  return jobs.size();
}

Result<std::vector<EmbedWorker::Wanted>> EmbedWorker::find_wanted(std::span<const Job> jobs) {
  std::vector<const Job*> readable;
  std::vector<std::pair<CompanyId, ConversationId>> asked;
  for (const auto& job : jobs) {
    const auto id = conversation_of(job);
    if (!id) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, id.error(), options_.retry, random_));
      continue;
    }
    readable.push_back(&job);
    asked.emplace_back(job.company, *id);
  }
  auto found = read_by_company<std::vector<StoredChunk>>(
      asked, [&](CompanyId company, auto ids) { return store_.chunks_of(company, ids); });
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < readable.size(); ++i) {
    if (!found[i]) return std::unexpected(std::move(found[i]).error());
    for (auto& stored : *found[i]) {
      // A redriven job tries the failed chunks again: its attempt has begun anew, theirs too.
      const bool has_vector = stored.embedding && stored.embedding->model == embedder_.model_id();
      if (!has_vector) wanted.push_back({*readable[i], asked[i].second, std::move(stored.chunk)});
    }
  }
  return wanted;
}

// Fills every outcome, or fails with an error that may pass. A batch that is refused is halved
// until the bad text stands alone: one bad chunk never condemns the others.
Result<> EmbedWorker::embed(std::span<const Wanted> wanted, std::span<Outcome> outcomes,
                            KeptLeases& leases) {
  SAMTALE_TRY_VOID(leases.keep());
  std::vector<std::string> texts;
  texts.reserve(wanted.size());
  for (const auto& item : wanted) texts.push_back(item.chunk.header + "\n" + item.chunk.text);

  const auto begin = clock_.now();
  auto vectors = embedder_.embed(texts, EmbedRole::passage, nullptr, embed_timeout_);
  // A refused text says nothing of the embedder's strength.
  const bool works = vectors || vectors.error().code == ErrorCode::invalid_argument;
  batch_.observe(wanted.size(), clock_.now() - begin, works);
  if (vectors) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) outcomes[i].vector = std::move((*vectors)[i]);
    return {};
  }
  if (retryable(vectors.error().code)) return std::unexpected(std::move(vectors).error());
  if (wanted.size() == 1) {
    outcomes.front().error = vectors.error().message;
    return {};
  }
  const auto half = wanted.size() / 2;
  SAMTALE_TRY_VOID(embed(wanted.first(half), outcomes.first(half), leases));
  return embed(wanted.subspan(half), outcomes.subspan(half), leases);
}

IdleWorker::IdleWorker(Queue& queue, Store& store, Random& random, WorkerOptions options)
    : queue_(queue), store_(store), random_(random), options_(options) {}

Result<std::size_t> IdleWorker::step() {
  SAMTALE_TRY(const auto jobs, queue_.take(kIdleJob, options_.batch, options_.lease));
  if (jobs.empty()) return 0;
  const auto written = store_.write(jobs.front().partition, [&](StoreWriter& writer) -> Result<> {
    for (const auto& job : jobs) {
      const auto id = conversation_of(job);
      if (!id) {
        SAMTALE_TRY_VOID(writer.add_dead_letter(
            {.company = job.company, .kind = job.kind, .payload = job.payload, .key = job.key},
            id.error().message));
        continue;
      }
      SAMTALE_TRY(auto found, writer.find_conversation(job.company, *id));
      if (!found || found->conversation.status == "ended") continue;
      SAMTALE_TRY(auto state, MergeState::parse(found->state));
      auto& conversation = found->conversation;
      // As of its last turn, so that anything said after that opens it again.
      ConversationPatch end;
      end.external_id = conversation.external_id;
      end.time = conversation.turns.empty()
                     ? found->received_at
                     : conversation.turns.back().at.value_or(found->received_at);
      end.status = "ended";
      end.end_reason = "idle";
      state.apply(end, "idle");
      conversation = state.build(job.company, conversation.source, conversation.external_id);
      found->state = state.serialise();
      SAMTALE_TRY_VOID(writer.put_conversation(job.company, *found));
      SAMTALE_TRY_VOID(writer.enqueue(make_analyze_job(job.company, *id)));
    }
    return writer.finish(jobs);
  });
  if (!written) {
    for (const auto& job : jobs) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, written.error(), options_.retry, random_));
    }
  }
  return jobs.size();
}

EraseWorker::EraseWorker(Queue& queue, Store& store, AcceptLog& accepted, Random& random,
                         WorkerOptions options)
    : queue_(queue), store_(store), accepted_(accepted), random_(random), options_(options) {}

Result<std::size_t> EraseWorker::step() {
  SAMTALE_TRY(const auto jobs,
              queue_.take(erase_kind(store_.log()), options_.batch, options_.lease));
  if (jobs.empty()) return 0;
  auto done = [&]() -> Result<> {
    for (const auto& job : jobs) {
      SAMTALE_TRY(const auto positions, positions_of(job));
      for (const auto position : positions) SAMTALE_TRY_VOID(accepted_.erase(position));
    }
    SAMTALE_TRY_VOID(store_.scrub(jobs.front().partition));
    return queue_.finish(jobs);
  }();
  if (!done) {
    for (const auto& job : jobs) {
      SAMTALE_TRY_VOID(settle_failure(queue_, job, done.error(), options_.retry, random_));
    }
  }
  return jobs.size();
}

Result<> erase_conversation(Store& store, CompanyId company, ConversationId id) {
  return store.write(store.partition_of(company), [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(const auto places, writer.erase_conversation(company, id));
    return enqueue_erasure(writer, company, store.log(), places);
  });
}

Result<std::size_t> enqueue_missing_embeddings(Store& store, const std::string& model) {
  constexpr std::size_t kPage = 100;
  std::size_t asked = 0;
  for (std::uint32_t i = 0; i < store.partitions(); ++i) {
    std::optional<std::pair<CompanyId, ConversationId>> after;
    while (true) {
      SAMTALE_TRY(const auto page, store.scan(Partition{i}, after, kPage));
      if (page.empty()) break;
      after = page.back();
      const auto found = read_by_company<std::vector<StoredChunk>>(
          page, [&](CompanyId company, auto ids) { return store.chunks_of(company, ids); });
      std::vector<std::pair<CompanyId, ConversationId>> lacking;
      for (std::size_t k = 0; k < page.size(); ++k) {
        if (!found[k]) return std::unexpected(found[k].error());
        const bool lacks = std::ranges::any_of(*found[k], [&](const StoredChunk& stored) {
          return stored.embed_error.empty() &&
                 (!stored.embedding || stored.embedding->model != model);
        });
        if (lacks) lacking.push_back(page[k]);
      }
      if (lacking.empty()) continue;
      SAMTALE_TRY_VOID(store.write(Partition{i}, [&](StoreWriter& writer) -> Result<> {
        for (const auto& [company, id] : lacking) {
          auto job = make_conversation_job(kEmbedJob, company, id);
          job.priority = Priority::bulk;
          SAMTALE_TRY_VOID(writer.enqueue(job));
        }
        return {};
      }));
      asked += lacking.size();
    }
  }
  return asked;
}

}  // namespace samtale

// The workers behind the queue: each takes jobs of one kind, does them, and settles them in the
// transaction of their effect.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "accept/accept_log.h"
#include "base/result.h"
#include "embed/adaptive_batch.h"
#include "embed/embedder.h"
#include "queue/queue.h"
#include "queue/worker.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"
#include "text/chunker.h"

namespace samtale {

// Threads (all below): one each; start several for more throughput. What is passed in must
// outlive them.

// Whether something is to be concluded from the conversation as it is now.
using WantsAnalysis = std::function<bool(CompanyId, const Conversation&)>;
[[nodiscard]] inline bool has_ended(CompanyId, const Conversation& conversation) {
  return conversation.status == "ended";
}

// Cuts conversations into chunks.
class ChunkWorker {
 public:
  ChunkWorker(Queue& queue, Store& store, const ChunkPolicy& policy, Random& random,
              WorkerOptions options = {}, WantsAnalysis wants_analysis = has_ended);
  Result<std::size_t> step();

 private:
  Queue& queue_;
  Store& store_;
  const ChunkPolicy& policy_;
  Random& random_;
  const WorkerOptions options_;
  const WantsAnalysis wants_analysis_;
};

// Gives chunks their vectors, in batches whose size follows the load and the embedder. Its jobs are
// its own however long they take: the lease is extended, and at least twice `embed_timeout`.
class EmbedWorker {
 public:
  EmbedWorker(Queue& queue, Store& store, Embedder& embedder, const Clock& clock, Random& random,
              WorkerOptions options = {}, Duration embed_timeout = std::chrono::minutes(1));
  Result<std::size_t> step();

 private:
  struct Wanted {
    Job job;
    ConversationId conversation;
    Chunk chunk;
  };
  struct Outcome {
    std::vector<float> vector;
    std::string error;  // Why this one will never get a vector.
  };

  Result<std::vector<Wanted>> find_wanted(std::span<const Job> jobs);
  Result<> embed(std::span<const Wanted> wanted, std::span<Outcome> outcomes, KeptLeases& leases);

  Queue& queue_;
  Store& store_;
  Embedder& embedder_;
  const Clock& clock_;
  Random& random_;
  const WorkerOptions options_;
  const Duration embed_timeout_;
  const Duration lease_;
  AdaptiveBatch batch_;
  int failures_ = 0;      // Of the embedder, in a row.
  Instant away_until_{};  // It is left alone until then.
};

// Ends conversations of streams without an end, once nothing more has come for a while.
class IdleWorker {
 public:
  IdleWorker(Queue& queue, Store& store, Random& random, WorkerOptions options = {});
  Result<std::size_t> step();

 private:
  Queue& queue_;
  Store& store_;
  Random& random_;
  const WorkerOptions options_;
};

// Makes what was deleted leave the files: the raw events of the log, then the free pages of the
// store.
class EraseWorker {
 public:
  EraseWorker(Queue& queue, Store& store, AcceptLog& accepted, Random& random,
              WorkerOptions options = {});
  Result<std::size_t> step();

 private:
  Queue& queue_;
  Store& store_;
  AcceptLog& accepted_;
  Random& random_;
  const WorkerOptions options_;
};

// Deletes a conversation for good (law 4): from every answer when this returns, from the bytes
// when the erase job it leaves has run. Fine if it was never there.
Result<> erase_conversation(Store& store, CompanyId company, ConversationId id);

// Asks for vectors for every conversation of the store that lacks one of this model: after a
// change of embedder. Returns how many conversations.
Result<std::size_t> enqueue_missing_embeddings(Store& store, const std::string& model);

}  // namespace samtale

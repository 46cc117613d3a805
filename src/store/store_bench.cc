// The hot batch: 256 events with their conversation and job, then 256 times chunks and job, then
// 1024 vectors. Floor: the bytes must pass the write-ahead log once and the database once, with one
// fdatasync a transaction (0.2 to 4 ms on a virtual disk).
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <random>

#include "base/bytes.h"
#include "base/check.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

constexpr std::size_t kBatch = 256;
constexpr std::size_t kChunksEach = 4;
constexpr std::size_t kDimensions = 384;
constexpr CompanyId kCompany{1};

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / "samtale-bench-XXXXXX") {
    SAMTALE_CHECK(mkdtemp(path_.data()) != nullptr, "the benchmark needs a temporary folder");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Bench {
  Bench()
      : store(SqliteStore::open({.folder = folder.path(), .vfs = "", .queue = {}}, clock, random)
                  .value()) {}

  // Words of a small vocabulary: compresses about as talk does.
  std::string talk(std::size_t words) {
    std::string text;
    for (std::size_t i = 0; i < words; ++i) {
      text += "w" + std::to_string(engine() % 2000) + " ";
    }
    return text;
  }
  void write(const std::function<Result<>(StoreWriter&)>& work) {
    const auto done = store->write(store->partition_of(kCompany), work);
    SAMTALE_CHECK(done, "the benchmark's disk is large enough and works");
    SAMTALE_CHECK(store->housekeep(), "nobody reads meanwhile");
  }
  ConversationId next_id() { return make_conversation_id(kCompany, "api", std::to_string(next++)); }

  Folder folder;
  SystemClock clock;
  SystemRandom random;
  std::mt19937_64 engine{1};
  std::size_t next = 0;
  LogPosition saved{};
  std::unique_ptr<SqliteStore> store;
};

StoredConversation make_conversation(Bench& bench, ConversationId id) {
  StoredConversation stored;
  stored.conversation.id = id;
  stored.conversation.source = "api";
  stored.conversation.external_id = text(id);
  stored.conversation.channel = "chat";
  for (int turn = 0; turn < 10; ++turn) {
    stored.conversation.turns.push_back({.id = std::to_string(turn),
                                         .role = "customer",
                                         .name = "Ann",
                                         .text = bench.talk(30),
                                         .at = {},
                                         .extra = {}});
  }
  stored.state = bench.talk(20);
  stored.received_at = bench.clock.wall_now();
  return stored;
}

void ingest(benchmark::State& state) {
  Bench bench;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<StoredConversation> batch;
    for (std::size_t i = 0; i < kBatch; ++i) {
      batch.push_back(make_conversation(bench, bench.next_id()));
    }
    state.ResumeTiming();
    bench.write([&](StoreWriter& writer) -> Result<> {
      for (const auto& stored : batch) {
        const auto key = text(stored.conversation.id);
        SAMTALE_TRY_VOID(writer.put_event(kCompany,
                                          {.key = key,
                                           .body_hash = std::string(view(sha256(key))),
                                           .place = {.position = LogPosition{bench.next}},
                                           .conversation = stored.conversation.id},
                                          stored.received_at));
        SAMTALE_TRY_VOID(writer.put_conversation(kCompany, stored));
        SAMTALE_TRY_VOID(
            writer.enqueue({.company = kCompany, .kind = "chunk", .payload = key, .key = key}));
      }
      return writer.set_log_offset(std::exchange(bench.saved, LogPosition{bench.next}),
                                   LogPosition{bench.next});
    });
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}
BENCHMARK(ingest)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

void chunk_and_embed(benchmark::State& state) {
  Bench bench;
  const std::vector<float> vector(kDimensions, 0.05F);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::pair<ConversationId, std::vector<Chunk>>> batch;
    for (std::size_t i = 0; i < kBatch; ++i) {
      auto& [id, chunks] = batch.emplace_back(bench.next_id(), std::vector<Chunk>());
      for (std::uint32_t ordinal = 0; ordinal < kChunksEach; ++ordinal) {
        chunks.push_back({.ordinal = ordinal,
                          .header = "chat 2026-01-01 Ann",
                          .text = bench.talk(100),
                          .policy = "turns-v1"});
      }
    }
    state.ResumeTiming();
    bench.write([&](StoreWriter& writer) -> Result<> {
      for (const auto& [id, chunks] : batch) {
        SAMTALE_TRY_VOID(writer.put_chunks(kCompany, id, chunks));
        SAMTALE_TRY_VOID(writer.enqueue(
            {.company = kCompany, .kind = "embed", .payload = text(id), .key = text(id)}));
      }
      return {};
    });
    bench.write([&](StoreWriter& writer) -> Result<> {
      for (const auto& [id, chunks] : batch) {
        for (const auto& chunk : chunks) {
          SAMTALE_TRY_VOID(
              writer.put_embedding(kCompany, id, chunk, {.model = "lexical", .vector = vector}));
        }
      }
      return {};
    });
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch * kChunksEach));
}
BENCHMARK(chunk_and_embed)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

// A job's life: enqueued with others, taken, finished with its effect.
void jobs(benchmark::State& state) {
  Bench bench;
  for (auto _ : state) {
    bench.write([&](StoreWriter& writer) -> Result<> {
      for (std::size_t i = 0; i < kBatch; ++i) {
        SAMTALE_TRY_VOID(writer.enqueue({.company = kCompany,
                                         .kind = "embed",
                                         .payload = "a payload of some bytes",
                                         .key = ""}));
      }
      return {};
    });
    const auto taken = bench.store->queue().take("embed", kBatch, std::chrono::minutes(1)).value();
    bench.write([&](StoreWriter& writer) { return writer.finish(taken); });
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}
BENCHMARK(jobs)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

// Beside a company with 10^6 jobs: what one take costs, and what opening the queue costs.
void take_beside_a_million(benchmark::State& state) {
  Bench bench;
  for (int i = 0; i < 100; ++i) {
    bench.write([&](StoreWriter& writer) -> Result<> {
      for (int job = 0; job < 10'000; ++job) {
        if (i == 99 && job == 9'999) break;  // The limit is 10^6.
        SAMTALE_TRY_VOID(
            writer.enqueue({.company = kCompany, .kind = "embed", .payload = "p", .key = ""}));
      }
      return {};
    });
  }
  for (auto _ : state) {
    const auto taken = bench.store->queue().take("embed", 32, std::chrono::minutes(1)).value();
    SAMTALE_CHECK(bench.store->queue().finish(taken), "nobody else takes");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * 32));
  const auto begin = bench.clock.now();
  SAMTALE_CHECK(bench.store->queue().stats(std::nullopt), "the disk works");
  state.counters["stats_ms"] =
      std::chrono::duration<double, std::milli>(bench.clock.now() - begin).count();
  bench.store.reset();
  const auto closed = bench.clock.now();
  bench.store = SqliteStore::open({.folder = bench.folder.path(), .vfs = "", .queue = {}},
                                  bench.clock, bench.random)
                    .value();
  state.counters["open_ms"] =
      std::chrono::duration<double, std::milli>(bench.clock.now() - closed).count();
}
BENCHMARK(take_beside_a_million)->Unit(benchmark::kMicrosecond)->UseRealTime()->MinTime(2);

// Transactions of one row each, by so many threads at once: what one fsync for many is worth.
void small_writes(benchmark::State& state) {
  static std::unique_ptr<Bench> bench;
  if (state.thread_index() == 0) bench = std::make_unique<Bench>();
  const auto analyzer = std::to_string(state.thread_index());
  for (auto _ : state) {
    bench->write([&](StoreWriter& writer) {
      const SpendChange change{
          .analyzer = analyzer, .day = "2026-01-01", .spent = {.tokens = 1}, .held = {}};
      return writer.add_spend(kCompany, std::span(&change, 1));
    });
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  if (state.thread_index() == 0) bench.reset();
}
BENCHMARK(small_writes)->Threads(1)->Threads(4)->Threads(16)->UseRealTime()->MinTime(1);

}  // namespace
}  // namespace samtale

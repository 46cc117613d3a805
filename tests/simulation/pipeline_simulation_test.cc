// Rooms: analyze accept embed index ingest metrics search sim store tenants
//
// Goal: laws 1 to 4 of the design hold whatever fails and whenever the process dies. Every event
// that was answered takes effect exactly once and becomes searchable; no answer holds another
// company's text; what was deleted stays deleted, in answers and in bytes.
// Method: one thread steps the real receiver, log, normalisers, workers, store and index over a
// disk in memory that loses power, tears writes and fails syncs, with an embedder that fails and
// stalls. A ledger beside it knows what was answered. At the end the faults stop and everything
// must drain. A failure prints its seed; `./dev sim --seed N` repeats it exactly.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "accept/accept_log.h"
#include "analyze/catalog.h"
#include "analyze/worker.h"
#include "base/bytes.h"
#include "ingest/normaliser.h"
#include "ingest/receiver.h"
#include "ingest/workers.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "search/search.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"
#include "sim/sim_vfs.h"
#include "store/sqlite_store.h"
#include "text/chunker.h"

namespace samtale {
namespace {

constexpr std::size_t kPartitions = 2;
constexpr std::int64_t kCompanies = 3;
constexpr std::uint64_t kConversations = 6;  // A company.
constexpr int kSteps = 400;
constexpr int kDrainSteps = 20'000;  // Far more than needed; running out of them means no progress.

// No company has changed an analyzer.
class EmptyRegistry final : public Registry {
 public:
  Result<CompanyId> add_company(const CompanyRecord&) override { return CompanyId{}; }
  Result<> update_company(const CompanyRecord&) override { return {}; }
  Result<> set_split(CompanyId, bool) override { return {}; }
  [[nodiscard]] Result<std::vector<CompanyRecord>> companies() const override { return none(); }
  Result<> put_key(const KeyRecord&) override { return {}; }
  [[nodiscard]] Result<std::vector<KeyRecord>> keys() const override { return none(); }
  Result<> put_endpoint(const EndpointRecord&) override { return {}; }
  [[nodiscard]] Result<std::vector<EndpointRecord>> endpoints() const override { return none(); }
  Result<> put_analyzer(const AnalyzerRecord&) override { return {}; }
  [[nodiscard]] Result<std::vector<AnalyzerRecord>> analyzers() const override { return none(); }
  Result<> put_subscription(const SubscriptionRecord&) override { return {}; }
  [[nodiscard]] Result<std::vector<SubscriptionRecord>> subscriptions() const override {
    return none();
  }
  Result<> put_lm_settings(const LmSettingsRecord&) override { return {}; }
  [[nodiscard]] Result<std::vector<LmSettingsRecord>> lm_settings() const override {
    return none();
  }
  [[nodiscard]] Result<std::uint64_t> version(RegistryPart) const override { return 0; }

 private:
  struct None {
    template <class Record>
    operator Result<std::vector<Record>>() const {
      return std::vector<Record>();
    }
  };
  static None none() { return {}; }
};

// Fails, and takes its time, while faults are on. Its vectors tell texts apart.
class FaultyEmbedder final : public Embedder {
 public:
  FaultyEmbedder(SimRandom& random, SimClock& clock) : random_(random), clock_(clock) {}

  [[nodiscard]] const std::string& model_id() const override { return model_; }
  [[nodiscard]] std::size_t dimension() const override { return 8; }
  [[nodiscard]] std::size_t batch_max() const override { return 4; }
  [[nodiscard]] bool needs_text_alone() const override { return true; }
  [[nodiscard]] Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts,
                                                              EmbedRole, const WordStatistics*,
                                                              Duration) override {
    if (has_faults) {
      clock_.advance(std::chrono::milliseconds(random_.below(500)));
      if (random_.one_in(8)) return fail(ErrorCode::unavailable, "sim: connection reset");
      if (random_.one_in(8)) return fail(ErrorCode::deadline_exceeded, "sim: no answer");
    }
    std::vector<std::vector<float>> vectors;
    for (const auto& text : texts) {
      std::vector<float> vector(dimension());
      const auto digest = sha256(text);
      float length = 0;
      for (std::size_t i = 0; i < vector.size(); ++i) {
        vector[i] = static_cast<float>(digest[i]) + 0.5F;
        length += vector[i] * vector[i];
      }
      for (float& x : vector) x /= std::sqrt(length);
      vectors.push_back(std::move(vector));
    }
    return vectors;
  }

  bool has_faults = true;

 private:
  SimRandom& random_;
  SimClock& clock_;
  const std::string model_ = "sim-8";
};

// One process: everything that is lost when it dies.
struct Process {
  std::unique_ptr<AcceptLog> log;
  std::unique_ptr<SqliteStore> store;
  std::optional<Receiver> receiver;
  std::optional<IndexBudget> budget;
  std::optional<IndexSet> indexes;
  std::vector<std::unique_ptr<Normaliser>> normalisers;
  std::vector<std::unique_ptr<IndexFollower>> followers;
  std::optional<ChunkWorker> chunk;
  std::optional<EmbedWorker> embed;
  std::optional<EraseWorker> erase;
  std::optional<AnalyzeWorker> analyze;
};

struct Sent {
  CompanyId company{};
  std::string conversation;
  std::string turn;
  std::string word;  // In this turn and nowhere else.
  ReceivedEvent event;
  bool is_answered = false;
};

class World {
 public:
  explicit World(std::uint64_t seed)
      : random_(seed),
        files_(random_),
        vfs_("sim-" + std::to_string(seed), files_, random_, clock_),
        embedder_(random_, clock_) {
    EXPECT_TRUE(files_.make_folder("/data"));
    EXPECT_TRUE(files_.sync_folder("/"));
  }

  void run() {
    for (int step = 0; step < kSteps; ++step) {
      if (!process_ && !boot()) continue;
      if (random_.one_in(40)) files_.stop_at_change(1 + random_.below(200));
      if (random_.one_in(80)) {
        files_.fail_sync(1 + random_.below(5), SimFault::io_error);
        has_sync_fault_ = true;
      }
      act();
      if (random_.one_in(60)) die();
      if (files_.is_down()) die();
    }
    settle();
    check();
  }

  [[nodiscard]] std::uint64_t rest_of_chance() { return random_.next(); }

 private:
  bool boot() {
    auto process = std::make_unique<Process>();
    auto log =
        open_accept_log(files_, "/data/accepted",
                        {.segment_bytes = 64 * 1024, .record_bytes_max = 16 * 1024}, clock_, log_);
    if (!log) return note_failed_boot(log.error());
    process->log = std::move(*log);
    SqliteStoreOptions options;
    options.folder = "/data";
    options.partitions = kPartitions;
    options.vfs = vfs_.name();
    options.readers_max = 0;
    options.queue.expiries_max = 1000;  // Deaths here are nobody's poison.
    auto store = SqliteStore::open(options, clock_, random_);
    if (!store) return note_failed_boot(store.error());
    process->store = std::move(*store);
    process->receiver.emplace(*process->log, nullptr);
    // All stay in memory, or one at a time.
    process->budget.emplace(random_.one_in(2) ? 0 : 1);
    process->indexes.emplace(embedder_.model_id(), embedder_.dimension(), IndexOptions(), nullptr,
                             nullptr, &*process->budget);
    auto& queue = process->store->queue();
    const WorkerOptions workers{.batch = 8, .retry = {.attempts = 1000}};
    for (std::uint32_t i = 0; i < kPartitions; ++i) {
      process->normalisers.push_back(
          std::make_unique<Normaliser>(*process->log, *process->store, Partition{i}, log_));
      process->followers.push_back(
          std::make_unique<IndexFollower>(*process->store, Partition{i}, *process->indexes));
      if (const auto loaded = process->followers.back()->load(); !loaded) {
        return note_failed_boot(loaded.error());
      }
    }
    process->chunk.emplace(queue, *process->store, policy_, random_, workers);
    process->embed.emplace(queue, *process->store, embedder_, clock_, random_, workers);
    process->erase.emplace(queue, *process->store, *process->log, random_, workers);
    const auto words = [this](CompanyId company) {
      // Who waits a moment; with faults it may be in vain.
      auto& follower = follower_of(company);
      for (int step = 0; step < 3; ++step) {
        auto index = follower.open(company, IndexFollower::Part::whole, {});
        if (index) return index;
        ignore(follower.step());
      }
      return follower.open(company, IndexFollower::Part::whole, {});
    };
    process->analyze.emplace(AnalyzeParts{.queue = queue,
                                          .store = *process->store,
                                          .catalog = catalog_,
                                          .clock = clock_,
                                          .random = random_,
                                          .metrics = *metrics_,
                                          .wants_news = [](CompanyId) { return false; }},
                             words, false, workers);
    process_ = std::move(process);
    return true;
  }

  // With faults on a start may fail; the next one must be tried on a working machine.
  bool note_failed_boot(const Error& error) {
    EXPECT_TRUE(embedder_.has_faults) << "does not start on a healthy disk: " << error.message;
    die();
    return false;
  }

  void die() {
    // What dies may try to tidy up; it must not reach the disk any more.
    // After a failed sync what the kernel still shows may never reach the disk. A process that
    // trusts it, and then loses power while it checkpoints, is beyond any database (ADR 0004): the
    // machine is restarted.
    if (has_sync_fault_ || random_.one_in(2)) {
      files_.crash();
    } else {
      files_.kill();
    }
    process_.reset();
    files_.start();
    has_sync_fault_ = false;
    clock_.advance(std::chrono::seconds(random_.below(200)));
  }

  void act() {
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
        send();
        break;
      case 3:
        send_again();
        break;
      case 4:
      case 5:
        process_->log->step();
        break;
      case 6:
        work();
        break;
      case 7:
        work();
        break;
      case 8:
        follow();
        break;
      case 9:
        erase_some();
        break;
      case 10:
        clock_.advance(std::chrono::milliseconds(random_.below(2000)));
        break;
      default:
        upkeep();
        break;
    }
  }

  void send() {
    const auto n = sent_.size();
    Sent sent;
    sent.company = CompanyId{1 + static_cast<std::int64_t>(random_.below(kCompanies))};
    sent.conversation = "c" + std::to_string(random_.below(kConversations));
    sent.turn = "t" + std::to_string(n);
    sent.word = "canary" + std::to_string(n) + "x" + std::to_string(number(sent.company));
    const std::string status = random_.one_in(4) ? R"("status":"ended",)" : "";
    const auto body = R"({"id":")" + sent.conversation + R"(",)" + status +
                      R"("append":true,"turns":[{"speaker":"customer","id":")" + sent.turn +
                      R"(","text":"hello )" + sent.word + R"("}]})";
    sent.event = {.company = sent.company,
                  .source = "api",
                  .provider = "native",
                  .key = make_event_key("api", "e" + std::to_string(n)),
                  .received_at = clock_.wall_now(),
                  .idle_timeout = {},
                  .body = body};
    sent_.push_back(std::move(sent));
    deliver(n);
  }

  void send_again() {
    if (!sent_.empty()) deliver(random_.below(sent_.size()));
  }

  void deliver(std::size_t n) {
    process_->receiver->receive(sent_[n].event, [this, n](Result<Accepted> result) {
      if (result) sent_[n].is_answered = true;
    });
  }

  void work() {
    switch (random_.below(5)) {
      case 0:
        normalise();
        break;
      case 1:
        ignore(process_->chunk->step());
        break;
      case 2:
        ignore(process_->embed->step());
        break;
      case 3:
        ignore(process_->analyze->step());
        break;
      default:
        ignore(process_->erase->step());
        break;
    }
  }

  void normalise() {
    for (auto& normaliser : process_->normalisers) ignore(normaliser->step());
  }
  void follow() {
    for (auto& follower : process_->followers) ignore(follower->step());
  }
  IndexFollower& follower_of(CompanyId company) {
    return *process_->followers[static_cast<std::size_t>(process_->store->partition_of(company))];
  }
  std::shared_ptr<const CompanyIndex> open(CompanyId company) {
    auto& follower = follower_of(company);
    while (true) {
      const auto index = follower.open(company, IndexFollower::Part::whole, {});
      if (index) return *index;
      count(follower.step());
    }
  }
  void upkeep() { [[maybe_unused]] const auto done = process_->store->housekeep(); }

  void erase_some() {
    if (!random_.one_in(8)) return;
    const auto company = CompanyId{1 + static_cast<std::int64_t>(random_.below(kCompanies))};
    const auto name = "c" + std::to_string(random_.below(kConversations));
    const auto id = make_conversation_id(company, "api", name);
    // Not known to be done means that it may be done: then nothing is said of it.
    unsure_.emplace(company, name);
    if (erase_conversation(*process_->store, company, id)) erased_.emplace(company, name);
  }

  static void ignore(const Result<std::size_t>&) {}  // Faults are on; what counts is the end.

  void settle() {
    embedder_.has_faults = false;
    die();  // Whatever was armed to fail is gone with this life.
    files_.stop_at_change(std::numeric_limits<std::uint64_t>::max());
    files_.fail_sync(0, SimFault::io_error);
    ASSERT_TRUE(boot());
    for (int step = 0, idle = 0; idle < 5; ++step) {
      ASSERT_LT(step, kDrainSteps) << "the queue does not drain";
      std::size_t done = process_->log->step();
      for (auto& it : process_->normalisers) done += count(it->step());
      done += count(process_->chunk->step()) + count(process_->embed->step()) +
              count(process_->erase->step()) + count(process_->analyze->step());
      for (auto& it : process_->followers) done += count(it->step());
      clock_.advance(std::chrono::minutes(2));  // Past every lease and pause.
      idle = done == 0 ? idle + 1 : 0;
    }
  }

  static std::size_t count(const Result<std::size_t>& step) {
    EXPECT_TRUE(step) << step.error().message;
    return step.value_or(0);
  }

  void check() {
    if (testing::Test::HasFatalFailure()) return;
    for (std::int64_t company = 1; company <= kCompanies; ++company) {
      const auto letters = process_->store->queue().dead_letters(CompanyId{company}, {}, 10);
      ASSERT_TRUE(letters);
      EXPECT_TRUE(letters->empty()) << letters->front().kind << ": " << letters->front().cause;
      for (std::uint64_t c = 0; c < kConversations; ++c) {
        check_conversation(CompanyId{company}, "c" + std::to_string(c));
      }
    }
    check_answers();
    check_bytes();
    EXPECT_TRUE(analysed_ > 0 || std::ranges::none_of(sent_, &Sent::is_answered));
    const auto answered = std::ranges::count_if(sent_, &Sent::is_answered);
    EXPECT_GT(answered, 10) << "too little happened for this to be a test";
  }

  void check_conversation(CompanyId company, const std::string& name) {
    const auto id = make_conversation_id(company, "api", name);
    const auto stored = process_->store->find_conversation(company, id);
    ASSERT_TRUE(stored);
    const auto analyses = process_->store->analyses(company, id);
    ASSERT_TRUE(analyses);
    if (erased_.contains({company, name})) {
      EXPECT_FALSE(stored->has_value()) << name << " came back";
      EXPECT_TRUE(analyses->empty()) << name << " left an analysis";
      return;
    }
    if (*stored) check_analyses(**stored, *analyses, company);
    std::multiset<std::string> turns;
    if (*stored) {
      for (const auto& turn : (*stored)->conversation.turns) turns.insert(turn.id);
    }
    for (const auto& sent : sent_) {
      if (sent.company != company || sent.conversation != name) {
        EXPECT_EQ(turns.count(sent.turn), 0U) << sent.turn << " in a foreign conversation";
      } else if (!unsure_.contains({company, name})) {
        EXPECT_LE(turns.count(sent.turn), 1U) << sent.turn << " took effect twice";
        if (sent.is_answered) {
          EXPECT_EQ(turns.count(sent.turn), 1U) << sent.turn << " was lost";
        }
      }
    }
  }

  // What has ended is analysed, as it is now, and by nothing that was said elsewhere.
  void check_analyses(const StoredConversation& stored, const std::vector<StoredAnalysis>& analyses,
                      CompanyId company) {
    if (stored.conversation.status != "ended") return;
    EXPECT_EQ(analyses.size(), 5U) << stored.conversation.external_id;
    for (const auto& analysis : analyses) {
      ++analysed_;
      EXPECT_EQ(analysis.revision, stored.revision) << analysis.analyzer << " is of the past";
      for (const auto& sent : sent_) {
        if (sent.company == company && sent.conversation == stored.conversation.external_id)
          continue;
        EXPECT_EQ(analysis.result.find(sent.word), std::string::npos)
            << sent.word << " in a foreign " << analysis.analyzer;
      }
    }
  }

  // Every word is found by its own company, in its conversation, and by no other.
  void check_answers() {
    QueryVectors query_vectors(embedder_, 0);
    NearCache near_cache(embedder_.model_id(), 0);
    Hydration hydration(*process_->store, std::size_t{1} << 20);
    const Searcher searcher(*process_->indexes, hydration, query_vectors, near_cache, clock_,
                            {.cursor_key = "key"});
    for (const auto& sent : sent_) {
      for (std::int64_t company = 1; company <= kCompanies; ++company) {
        SearchRequest request;
        request.query = sent.word;
        request.mode = SearchMode::keyword;
        const auto index = open(CompanyId{company});
        const auto answer = searcher.search(CompanyId{company}, request);
        ASSERT_TRUE(answer);
        std::set<std::string> found;
        for (const auto& hit : answer->hits) found.insert(hit.summary->head.external_id);
        const bool is_own = CompanyId{company} == sent.company;
        const std::pair of(sent.company, sent.conversation);
        if (!is_own || erased_.contains(of)) {
          EXPECT_TRUE(found.empty()) << sent.word << " found by company " << company;
        } else if (sent.is_answered && !unsure_.contains(of)) {
          EXPECT_EQ(found, std::set{sent.conversation}) << sent.word;
        }
      }
    }
    const auto size = process_->indexes->size();
    EXPECT_EQ(size.vectors, size.chunks) << "a chunk without a vector";
  }

  // Law 4: of a deleted conversation no byte is left in any file.
  void check_bytes() {
    for (const auto& path : files_.paths()) {
      const auto bytes = files_.contents(path);
      for (const auto& sent : sent_) {
        if (!erased_.contains({sent.company, sent.conversation})) continue;
        EXPECT_EQ(bytes.find(sent.word), std::string::npos) << sent.word << " is left in " << path;
      }
    }
  }

  SimRandom random_;
  SimClock clock_;
  EmptyRegistry registry_;
  const AnalyzerCatalog catalog_{registry_, clock_};
  const std::unique_ptr<Metrics> metrics_ = make_metrics();
  MemoryLog log_;
  SimFiles files_;
  SimVfs vfs_;
  FaultyEmbedder embedder_;
  const ChunkPolicy policy_;
  bool has_sync_fault_ = false;  // In this life.
  std::vector<Sent> sent_;
  std::set<std::pair<CompanyId, std::string>> erased_;  // Answered deletions.
  std::set<std::pair<CompanyId, std::string>> unsure_;  // Deletions tried.
  int analysed_ = 0;
  std::unique_ptr<Process> process_;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(PipelineSimulation, what_was_answered_is_found_once_and_what_was_deleted_is_gone) {
  const char* only = std::getenv("SAMTALE_SEED");
  const auto first = only != nullptr ? number_from("SAMTALE_SEED", 1) : 1;
  const auto count = only != nullptr ? 1 : number_from("SAMTALE_SEEDS", 200);
  for (auto seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("SAMTALE_SEED=" + std::to_string(seed));
    World(seed).run();
  }
}

TEST(PipelineSimulation, repeats_itself_for_one_seed) {
  const auto rest = [] {
    World world(42);
    world.run();
    return world.rest_of_chance();
  };

  EXPECT_EQ(rest(), rest());
}

}  // namespace
}  // namespace samtale

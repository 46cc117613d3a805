// Goal:   whenever the process is killed, the next one finds files that are whole, and answers as
//         if nothing had happened; what was gone stays gone, also from the files.
// Method: a process of its own fills an index from a store that outlives it (a script, and how far
//         it has come, in shared memory), then takes in changes while a second thread makes graphs
//         and files on the real disk. It is killed -9 at a random moment of what it is wanted to
//         die in. Then the files are verified, and an index that is opened over them is held
//         against brute force over the store. SAMTALE_INDEX_KILLS says how often (default 20, fewer
//         under a sanitizer; a release runs 200).
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "index/company_index_conformance.h"
#include "index/segment.h"
#include "index/segment_folder.h"
#include "index/testing/vectors.h"
#include "sim/memory_log.h"
#include "sys/clock.h"
#include "sys/files.h"

namespace samtale {
namespace {

using index_conformance::conversation;
using index_conformance::ModelIndex;
using Clock = std::chrono::steady_clock;

// Under a sanitizer each takes ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kKills = 4;
#else
constexpr int kKills = 20;
#endif
constexpr CompanyId kCompany{1};
constexpr std::size_t kDimension = 24;
constexpr std::size_t kGraphFrom = 400;
constexpr std::size_t kFloatFileBytes = 64 * kDimension * sizeof(float);

// What a process can be killed in.
enum Part : std::uint8_t {
  filling,
  taking,
  sealing,
  growing,
  renewing,
  writing,
  removing,
  ingesting
};
constexpr std::array kPartNames{"filling",  "taking",  "sealing",  "growing",
                                "renewing", "writing", "removing", "ingesting"};
constexpr std::size_t kParts = kPartNames.size();

// In memory that outlives the process.
struct Ledger {
  std::atomic<std::uint64_t> stored;  // Changes that the store has.
  std::atomic<std::uint32_t> part;    // What the process is in.
  std::array<std::atomic<std::uint32_t>, kParts> entered;
  std::array<std::atomic<std::int64_t>, kParts> took_ns;  // Each, the last time.
};

// The changes of a store, always the same: a company grows, changes and shrinks, again and again.
class Script {
 public:
  struct Change {
    int number = 0;
    const ModelIndex::Talk* talk = nullptr;  // Null: removed.
  };

  // With so many the company is large.
  static constexpr std::uint64_t kFirst = 700;

  explicit Script(std::uint64_t done) {
    while (done_ < done) next();
  }

  Change next() {
    const auto at = done_++;
    const auto position = at < kFirst ? 0 : (at - kFirst) % (kGrows + kChanges + kShrinks);
    if (position < kGrows) {
      numbers_.push_back(next_number_++);
      return put(numbers_.back(), at);
    }
    const auto some = std::mt19937_64(at)() % numbers_.size();
    if (position < kGrows + kChanges) return put(numbers_[some], at);
    const auto number = std::exchange(numbers_[some], numbers_.back());
    numbers_.pop_back();
    model_.talks.erase(conversation(number));
    return {number, nullptr};
  }
  [[nodiscard]] const std::vector<int>& numbers() const { return numbers_; }
  [[nodiscard]] const ModelIndex& model() const { return model_; }

 private:
  static constexpr std::uint64_t kGrows = 500;
  static constexpr std::uint64_t kChanges = 300;
  static constexpr std::uint64_t kShrinks = 500;

  Change put(int number, std::uint64_t version) {
    std::mt19937_64 random(version);
    const auto text = "all number" + std::to_string(number) + " version" + std::to_string(version);
    auto& talk = model_.talks[conversation(number)];
    talk = {.attributes = {}, .pieces = {{0, text, clustered(random, kDimension)}}};
    return {number, &talk};
  }

  std::uint64_t done_ = 0;
  int next_number_ = 0;
  std::vector<int> numbers_;
  ModelIndex model_;
};

// Tells the ledger what happens to the files.
class WatchedFiles final : public Files {
 public:
  explicit WatchedFiles(std::function<void(Part)> enter) : enter_(std::move(enter)) {}

  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override {
    if (create) enter_(writing);
    return files_->open(path, create);
  }
  Result<std::vector<std::string>> list(const std::string& folder) const override {
    return files_->list(folder);
  }
  Result<> make_folder(const std::string& path) override { return files_->make_folder(path); }
  Result<> rename(const std::string& from, const std::string& to) override {
    return files_->rename(from, to);
  }
  Result<> remove(const std::string& path) override {
    enter_(removing);
    return files_->remove(path);
  }
  Result<> sync_folder(const std::string& path) override { return files_->sync_folder(path); }
  Result<std::unique_ptr<Scratch>> map_scratch(const std::string& folder, std::size_t size,
                                               bool at_random) override {
    return files_->map_scratch(folder, size, at_random);
  }

 private:
  const std::unique_ptr<Files> files_ = make_system_files();
  const std::function<void(Part)> enter_;
};

std::unique_ptr<CompanyIndex> filled_index(const Script& script, SegmentFolder& folder) {
  auto index = make_company_index(kDimension,
                                  {.graph_from = kGraphFrom, .float_file_bytes = kFloatFileBytes},
                                  {.folder = &folder, .company = kCompany});
  for (const auto& [id, talk] : script.model().talks) {
    SAMTALE_CHECK(index->put(id, {}, ModelIndex::chunks(talk)).has_value(), "there is room");
  }
  return index;
}

// What runs until it is killed.
class Life {
 public:
  Life(Ledger& ledger, const std::string& path)
      : ledger_(ledger),
        files_([this](Part part) { enter(part); }),
        folder_(SegmentFolder::open(files_, path, "a-model", kDimension, clock_, log_).value()),
        script_(ledger.stored) {}

  [[noreturn]] void run() {
    enter(filling);
    index_ = filled_index(script_, *folder_);
    enter(folder_->has(kCompany) ? taking : next_work());
    look();
    std::barrier both(2);  // So that neither leaves the other behind.
    const std::jthread maintainer([this, &both] {
      while (true) {
        enter(next_work());
        look();
        both.arrive_and_wait();
      }
    });
    while (true) {
      for (auto left = changes_a_look(); left > 0; --left) change();
      both.arrive_and_wait();
    }
  }

 private:
  // Mostly few, so that files are written in quiet times too; at times many, while a graph is made.
  std::size_t changes_a_look() { return random_() % 16 == 0 ? 60 : 4; }

  void enter(Part part) {
    const auto now = Clock::now();
    const auto before = ledger_.part.exchange(part);
    ledger_.took_ns[before] = std::chrono::nanoseconds(now - entered_at_).count();
    entered_at_ = now;
    ++ledger_.entered[part];
  }
  [[nodiscard]] Part next_work() const {
    const auto size = index_->size();
    if (size.graph_vectors == 0 && size.vectors >= kGraphFrom) return sealing;
    if (size.graph_vectors < made_of_ * 3 / 4) return renewing;
    const auto tail = size.vectors - size.graph_vectors;
    return tail * 128 >= std::max(kGraphFrom, size.graph_vectors) ? growing : ingesting;
  }
  void look() {
    const auto before = index_->size();
    const bool grows = ledger_.part == growing;
    SAMTALE_CHECK(index_->maintain({}).has_value(), "nothing stops it");
    folder_->sweep([](CompanyId) { return true; });
    if (grows) {
      made_of_ += before.vectors - before.graph_vectors;
    } else if (ledger_.part != ingesting) {
      made_of_ = index_->size().graph_vectors;
    }
  }
  void change() {
    const auto change = script_.next();
    ++ledger_.stored;  // The store has it before the index hears of it.
    if (change.talk == nullptr) {
      index_->remove(conversation(change.number));
    } else {
      SAMTALE_CHECK(index_->put(conversation(change.number), {}, ModelIndex::chunks(*change.talk))
                        .has_value(),
                    "there is room");
    }
  }

  Ledger& ledger_;
  WatchedFiles files_;
  SystemClock clock_;
  MemoryLog log_;
  std::unique_ptr<SegmentFolder> folder_;
  Script script_;
  std::unique_ptr<CompanyIndex> index_;
  Clock::time_point entered_at_ = Clock::now();  // The one thread at a time that looks.
  std::size_t made_of_ = 0;
  std::mt19937_64 random_{ledger_.stored};
};

class IndexKillTest : public testing::Test {
 protected:
  static constexpr auto kPatience = std::chrono::seconds(60);

  void SetUp() override {
    std::string made = std::filesystem::temp_directory_path() / "index_kill_test-XXXXXX";
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    folder_path = made;
    path = made + "/index";
    void* const memory =
        ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    ledger = new (memory) Ledger{};
    ledger->stored = Script::kFirst;
  }
  void TearDown() override {
    ::munmap(ledger, sizeof(Ledger));
    std::filesystem::remove_all(folder_path);
  }

  // One life, and its end in `part`; how it ended.
  void live_and_die(Part part) {
    for (auto& count : ledger->entered) count = 0;
    const auto stored = ledger->stored.load();
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Life(*ledger, path).run();
    }
    const bool came =
        part == ingesting
            ? wait_for([&, n = stored + 1 + random() % 1'500] { return ledger->stored >= n; })
            : wait_for([&] { return ledger->entered[part] > 0; });
    wait_in(part);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(came) << "it never came to " << kPartNames[part];
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it died of itself";
    ++died_in[ledger->part];
  }

  // The files are whole, and an index over them says what the store says.
  void verify() {
    const auto files = make_system_files();
    const auto checks = check_segments(*files, path).value();
    for (const auto& check : checks) ASSERT_EQ(check.problem, "") << check.name;

    MemoryLog log;
    const SystemClock clock;
    const Script script(ledger->stored);
    const auto folder =
        SegmentFolder::open(*files, path, "a-model", kDimension, clock, log).value();
    const auto index = filled_index(script, *folder);
    while (index->maintain({}).value()) {
    }
    folder->sweep([](CompanyId) { return true; });

    ASSERT_FALSE(log.has("index.segment_refused"));
    taken += folder->stats().loaded;
    expect_answers_of(*index, script.model());
    expect_files_of(*folder, script.model());
  }

  std::string folder_path;
  std::string path;
  Ledger* ledger = nullptr;
  std::mt19937_64 random{1};
  std::array<int, kParts> died_in{};
  std::uint64_t taken = 0;     // Files whose graph was taken by the next process.
  std::uint64_t answered = 0;  // Searches that were held against brute force.

 private:
  template <class Condition>
  static bool wait_for(const Condition& is_met) {
    const auto until = Clock::now() + kPatience;
    while (!is_met()) {
      if (Clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // A part of the time that it took when it was there last, or a little longer.
  void wait_in(Part part) {
    constexpr std::int64_t kFirstGuess = 2'000'000;
    const auto took = ledger->took_ns[part].load();
    const auto share = std::uniform_real_distribution(0.0, 1.2)(random);
    const auto length = static_cast<double>(took > 0 ? took : kFirstGuess) * share;
    const auto until = Clock::now() + std::chrono::nanoseconds(static_cast<std::int64_t>(length));
    while (Clock::now() < until) {
    }
  }

  void expect_answers_of(const CompanyIndex& index, const ModelIndex& model) {
    constexpr std::size_t kLimit = 10;
    std::size_t met = 0;
    std::size_t wanted = 0;
    for (int q = 0; q < 8; ++q) {
      const auto query = clustered(random, kDimension);
      const auto all = model.nearest(query, {});
      index_conformance::expect_best(index.nearest(query, kLimit, {}, true)->hits, all, kLimit);
      const auto near = index.nearest(query, kLimit, {}).value();
      ASSERT_EQ(near.hits.size(), std::min(kLimit, all.size()));
      wanted += near.hits.size();
      for (const auto& hit : near.hits) {
        const auto truth = std::ranges::find(all, hit.conversation, &ChunkHit::conversation);
        ASSERT_NE(truth, all.end()) << "it is gone from the store";
        ASSERT_NEAR(hit.score, truth->score, index_conformance::kRounding);
        met += hit.score >= all[kLimit - 1].score - index_conformance::kRounding ? 1 : 0;
      }
      ++answered;
    }
    ASSERT_GE(met * 10, wanted * 9);
    for (const auto* words : {"all", "number7", "version1200 all"}) {
      index_conformance::expect_best(index.words(words, kLimit, {}), model.words(words, {}),
                                     kLimit);
    }
  }

  // One file at most, without anything that the store does not have.
  void expect_files_of(SegmentFolder& folder, const ModelIndex& model) {
    if (!std::filesystem::exists(path)) return;
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      names.push_back(entry.path().filename());
    }
    ASSERT_LE(names.size(), 1U) << testing::PrintToString(names);
    const auto segment = folder.load(kCompany);
    ASSERT_EQ(segment.has_value(), names.size() == 1);
    if (!segment) return;
    std::set<std::uint64_t> there;
    for (const auto* piece : model.pieces()) there.insert(vector_digest(piece->vector));
    for (const auto digest : segment->digests) ASSERT_TRUE(there.contains(digest));
  }
};

TEST_F(IndexKillTest, killed_at_any_moment_it_answers_afterwards_as_the_store_says) {
  const char* const wanted = ::getenv("SAMTALE_INDEX_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : kKills;

  for (int kill = 0; kill < kills && !HasFailure(); ++kill) {
    const auto part = static_cast<Part>((static_cast<std::size_t>(kill) + 7) % kParts);
    SCOPED_TRACE("kill " + std::to_string(kill) + ", in " + kPartNames[part]);
    // A graph is only made from nothing where there is no file.
    if (part == sealing) std::filesystem::remove_all(path);
    ASSERT_NO_FATAL_FAILURE(live_and_die(part));
    ASSERT_NO_FATAL_FAILURE(verify());
  }

  std::printf("%d kills:", kills);
  for (std::size_t part = 0; part < kParts; ++part) {
    std::printf(" %d %s", died_in[part], kPartNames[part]);
  }
  std::printf("; %llu files taken, %llu searches by meaning compared\n",
              static_cast<unsigned long long>(taken), static_cast<unsigned long long>(answered));
}

}  // namespace
}  // namespace samtale

#include "queue/sqlite_queue.h"

#include <stdlib.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>

#include "queue/queue_charge_conformance.h"
#include "queue/queue_conformance.h"
#include "sim/sim_clock.h"
#include "sqlite/database.h"

namespace samtale {
namespace {

class TempFolder {
 public:
  TempFolder() : path_(std::filesystem::temp_directory_path() / "samtale-queue-XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <std::size_t partitions>
class SqliteHarness {
 public:
  static constexpr std::size_t kJobsMax = 10'000;

  SqliteHarness() { open(); }

  SqliteQueue& queue() { return *queue_; }
  sqlite::Database& file(std::size_t place) { return *files_[place]; }
  SimClock& clock() { return clock_; }
  void enqueue_all(const std::vector<NewJob>& jobs) {
    const auto partition = partition_of(jobs[0].company, partitions);
    auto transaction = file(static_cast<std::size_t>(partition)).begin().value();
    QueueTransaction changes(*queue_, partition, transaction);
    for (const auto& job : jobs) ASSERT_TRUE(changes.enqueue(job));
    ASSERT_TRUE(transaction.commit());
    changes.committed();
  }
  void advance(Duration length) { clock_.advance(length); }
  void close() {
    queue_.reset();
    files_.clear();
  }
  void open() {
    const std::array schema = {kQueueSchema1};
    std::vector<sqlite::Database*> pointers;
    for (std::size_t i = 0; i < partitions; ++i) {
      auto file = sqlite::Database::open(
          {.path = folder_.path() + "/" + std::to_string(i) + ".db", .vfs = "", .create = true},
          schema);
      ASSERT_TRUE(file) << file.error().message;
      pointers.push_back(file->get());
      files_.push_back(*std::move(file));
    }
    auto opened = SqliteQueue::open(pointers, clock_, {.jobs_per_company_max = kJobsMax});
    ASSERT_TRUE(opened) << opened.error().message;
    queue_ = *std::move(opened);
  }

 private:
  TempFolder folder_;
  SimClock clock_;
  std::vector<std::unique_ptr<sqlite::Database>> files_;
  std::unique_ptr<SqliteQueue> queue_;
};

using Harnesses = ::testing::Types<SqliteHarness<1>, SqliteHarness<3>>;
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteQueueTest, QueueConformance, Harnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteQueueTest, QueueChargeConformance, Harnesses);

class SqliteQueueTest : public ::testing::Test {
 protected:
  static NewJob job(CompanyId company, const char* payload, const char* key = "") {
    return {.company = company, .kind = "embed", .payload = payload, .key = key};
  }
  std::vector<Job> take(std::size_t limit = 100) {
    return harness_.queue().take("embed", limit, std::chrono::minutes(5)).value();
  }

  SqliteHarness<1> harness_;
};

TEST_F(SqliteQueueTest, keeps_jobs_dead_letters_and_kinds_over_a_restart) {
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "a")));
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{2}, "b")));
  const auto before = take();
  ASSERT_TRUE(harness_.queue().give_up(before[0], "broken"));

  harness_.close();
  harness_.open();

  EXPECT_EQ(harness_.queue().stats(std::nullopt)->at(0).dead, 1u);
  const auto after = take();
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].payload, "b");
  EXPECT_EQ(after[0].attempt, 2);
}

TEST_F(SqliteQueueTest, ends_the_leases_of_the_process_before_it) {
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "a")));
  const auto before = take();

  harness_.close();
  harness_.open();

  const auto after = take();
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(harness_.queue().finish(before).error().code, ErrorCode::conflict);
}

TEST_F(SqliteQueueTest, enqueues_nothing_when_the_transaction_is_not_committed) {
  {
    auto transaction = harness_.file(0).begin().value();
    QueueTransaction changes(harness_.queue(), Partition{0}, transaction);
    ASSERT_TRUE(changes.enqueue(job(CompanyId{1}, "lost")));
  }

  EXPECT_TRUE(take().empty());
  harness_.close();
  harness_.open();
  EXPECT_TRUE(take().empty());
  EXPECT_TRUE(harness_.queue().stats(std::nullopt)->empty());
}

TEST_F(SqliteQueueTest, fails_the_whole_transaction_for_one_lost_lease) {
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "a")));
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "b")));
  auto jobs = take();
  jobs[1].fence += 1;

  {
    auto transaction = harness_.file(0).begin().value();
    QueueTransaction changes(harness_.queue(), Partition{0}, transaction);
    EXPECT_EQ(changes.finish(jobs).error().code, ErrorCode::conflict);
  }

  EXPECT_EQ(harness_.queue().stats(std::nullopt)->at(0).leased, 2u);
}

TEST_F(SqliteQueueTest, erases_waiting_jobs_and_dead_letters_of_a_key) {
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "leased", "k")));
  const auto leased = take();
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "waiting", "k")));
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{1}, "kept", "other")));
  ASSERT_TRUE(harness_.queue().enqueue(job(CompanyId{2}, "theirs", "k")));

  auto transaction = harness_.file(0).begin().value();
  {
    QueueTransaction changes(harness_.queue(), Partition{0}, transaction);
    ASSERT_TRUE(changes.add_dead_letter(job(CompanyId{1}, "dead", "k"), "cause"));
    ASSERT_TRUE(changes.erase_key(CompanyId{1}, "k"));
    ASSERT_TRUE(transaction.commit());
    changes.committed();
  }
  { const auto end = std::move(transaction); }

  EXPECT_TRUE(harness_.queue().dead_letters(CompanyId{1}, std::nullopt, 10)->empty());
  EXPECT_EQ(take().size(), 2u);
  EXPECT_TRUE(harness_.queue().finish(leased));
}

TEST_F(SqliteQueueTest, adds_a_dead_letter_that_never_was_a_job) {
  {
    auto transaction = harness_.file(0).begin().value();
    QueueTransaction changes(harness_.queue(), Partition{0}, transaction);
    ASSERT_TRUE(changes.add_dead_letter(job(CompanyId{1}, "chunk 7", "k"), "too long"));
    ASSERT_TRUE(transaction.commit());
    changes.committed();
  }

  const auto letters = harness_.queue().dead_letters(CompanyId{1}, std::nullopt, 10);

  ASSERT_EQ(letters->size(), 1u);
  EXPECT_EQ(letters->at(0).cause, "too long");
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(harness_.queue().redrive(CompanyId{1}, {}).value(), 1u);
  EXPECT_EQ(take().at(0).key, "k");
}

// Enqueueing and taking race for the schedule: a wake-up lost between them would leave a job lying.
TEST(SqliteQueueThreadsTest, hands_every_job_to_one_worker_and_leaves_none) {
  SqliteHarness<3> harness;
  constexpr int kThreads = 4;
  constexpr int kJobs = 50;
  std::atomic<int> failures = 0;
  std::array<std::vector<Job>, kThreads> taken;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kJobs; ++i) {
          const CompanyId company{i % 7};
          const NewJob job{.company = company, .kind = "embed", .payload = "", .key = ""};
          if (!harness.queue().enqueue(job)) ++failures;
          const auto jobs = harness.queue().take("embed", 3, std::chrono::minutes(5));
          harness.queue().charge("embed", company, 2);  // Also while others are taking of it.
          if (!jobs || !harness.queue().finish(*jobs)) {
            ++failures;
          } else {
            auto& mine = taken[static_cast<std::size_t>(thread)];
            mine.insert(mine.end(), jobs->begin(), jobs->end());
          }
        }
      });
    }
  }

  std::set<std::pair<Partition, JobId>> seen;
  for (const auto& jobs : taken) {
    for (const auto& job : jobs) EXPECT_TRUE(seen.emplace(job.partition, job.id).second);
  }
  for (auto rest = harness.queue().take("embed", 100, std::chrono::minutes(5)).value();
       !rest.empty(); rest = harness.queue().take("embed", 100, std::chrono::minutes(5)).value()) {
    for (const auto& job : rest) EXPECT_TRUE(seen.emplace(job.partition, job.id).second);
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kThreads * kJobs));
}

TEST(SqliteQueuePartitionsTest, serves_companies_alike_whatever_their_partition) {
  SqliteHarness<3> harness;
  std::map<CompanyId, int> served;
  for (std::int64_t company = 1; company <= 9; ++company) {
    harness.enqueue_all(std::vector<NewJob>(
        200, {.company = CompanyId{company}, .kind = "embed", .payload = "", .key = ""}));
  }

  for (int i = 0; i < 90; ++i) {
    const auto jobs = harness.queue().take("embed", 10, std::chrono::minutes(5)).value();
    for (const auto& job : jobs) ++served[job.company];
  }

  for (std::int64_t company = 1; company <= 9; ++company) {
    EXPECT_NEAR(served[CompanyId{company}], 100, 10) << "company " << company;
  }
}

}  // namespace
}  // namespace samtale

#include "queue/postgres_queue.h"

#include <array>
#include <memory>
#include <set>
#include <thread>

#include "postgres/testing/cut_proxy.h"
#include "postgres/testing/postgres_process.h"
#include "queue/queue_charge_conformance.h"
#include "queue/queue_conformance.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

using postgres::PostgresProcess;

// A queue of one process, in a schema of its own or in another's. Of several partitions: with
// statements that are prepared.
template <std::size_t partitions>
class PostgresHarness {
 public:
  static constexpr std::size_t kJobsMax = 10'000;

  PostgresHarness() : PostgresHarness(PostgresProcess::shared().fresh_schema()) {}
  explicit PostgresHarness(const std::string& schema, const std::string& node = "") {
    const std::array migrations = {
        postgres_queue_schema_1(),
        postgres::Migration{{"INSERT INTO partitions SELECT generate_series(0, " +
                             std::to_string(partitions - 1) + ")"}}};
    database_ = postgres::Database::open({.pool = {.address = PostgresProcess::shared().address(),
                                                   .names_statements = partitions > 1},
                                          .schema = schema},
                                         system_clock_, migrations)
                    .value();
    queue_ = PostgresQueue::open(*database_, partitions, clock_,
                                 {.jobs_per_company_max = kJobsMax, .node = node})
                 .value();
  }

  PostgresQueue& queue() { return *queue_; }
  postgres::Database& database() { return *database_; }
  void enqueue_all(const std::vector<NewJob>& jobs) {
    const auto partition = partition_of(jobs[0].company, partitions);
    auto transaction = database_->begin({}).value();
    ASSERT_TRUE(lock_partition(transaction, partition));
    PostgresQueueTransaction changes(*queue_, partition, transaction);
    for (const auto& job : jobs) ASSERT_TRUE(changes.enqueue(job));
    ASSERT_TRUE(changes.flush());
    ASSERT_TRUE(transaction.commit());
    changes.committed();
  }
  void advance(Duration length) { clock_.advance(length); }

 private:
  SystemClock system_clock_;
  SimClock clock_;
  std::unique_ptr<postgres::Database> database_;
  std::unique_ptr<PostgresQueue> queue_;
};

using Harnesses = ::testing::Types<PostgresHarness<1>, PostgresHarness<3>>;
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresQueueTest, QueueConformance, Harnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresQueueTest, QueueChargeConformance, Harnesses);

class PostgresQueueTest : public ::testing::Test {
 protected:
  using Harness = PostgresHarness<1>;
  static constexpr Duration kLease = std::chrono::minutes(5);

  static NewJob job(CompanyId company, const char* payload, const char* key = "") {
    return {.company = company, .kind = "embed", .payload = payload, .key = key};
  }
  static std::vector<Job> take(Harness& harness, std::size_t limit = 100) {
    return harness.queue().take("embed", limit, kLease).value();
  }

  const std::string schema_ = PostgresProcess::shared().fresh_schema();
  Harness one_{schema_};
  Harness other_{schema_};
};

TEST_F(PostgresQueueTest, finds_what_another_process_put_there) {
  ASSERT_TRUE(one_.queue().enqueue(job(CompanyId{1}, "a")));
  EXPECT_TRUE(take(other_).empty()) << "it has not looked yet";

  other_.advance(std::chrono::seconds(1));

  EXPECT_EQ(take(other_).size(), 1u);
  EXPECT_TRUE(take(one_).empty());
}

TEST_F(PostgresQueueTest, looks_again_at_once_where_it_is_told_that_others_have_written) {
  ASSERT_TRUE(one_.queue().enqueue(job(CompanyId{1}, "a")));
  ASSERT_TRUE(take(other_).empty());

  other_.queue().look_again(other_.queue().partition_of(CompanyId{1}));

  EXPECT_EQ(take(other_).size(), 1u);
}

TEST_F(PostgresQueueTest, hands_no_job_to_two_processes) {
  constexpr std::size_t kJobs = 2000;
  one_.enqueue_all(std::vector<NewJob>(kJobs, job(CompanyId{1}, "one of many")));
  other_.advance(std::chrono::seconds(1));
  std::array<std::vector<JobId>, 2> taken;
  const auto take_all = [&](Harness& harness, std::vector<JobId>& ids) {
    while (ids.size() < kJobs) {
      // The company rests for a moment where the other has locked what is next.
      harness.advance(std::chrono::milliseconds(20));
      const auto jobs = take(harness, 7);
      if (jobs.empty() && harness.queue().stats(CompanyId{1})->at(0).ready == 0) return;
      for (const auto& one : jobs) ids.push_back(one.id);
    }
  };

  std::thread thread([&] { take_all(other_, taken[1]); });
  take_all(one_, taken[0]);
  thread.join();

  std::set<JobId> all(taken[0].begin(), taken[0].end());
  all.insert(taken[1].begin(), taken[1].end());
  EXPECT_EQ(all.size(), kJobs);
  EXPECT_EQ(taken[0].size() + taken[1].size(), kJobs);
}

TEST_F(PostgresQueueTest, lets_a_lease_outlive_its_process) {
  ASSERT_TRUE(one_.queue().enqueue(job(CompanyId{1}, "a")));
  const auto before = take(one_);

  Harness later(schema_);

  EXPECT_TRUE(take(later).empty());
  EXPECT_TRUE(later.queue().finish(before));
}

TEST_F(PostgresQueueTest, ends_the_leases_of_a_node_that_is_started_again_and_no_others) {
  Harness first(schema_, "first");
  for (const auto company : {CompanyId{1}, CompanyId{2}}) {
    ASSERT_TRUE(first.queue().enqueue(job(company, "a")));
  }
  const auto before = take(first);
  ASSERT_EQ(before.size(), 2u);

  Harness second(schema_, "second");
  EXPECT_TRUE(take(second).empty());
  Harness first_again(schema_, "first");
  EXPECT_TRUE(take(first_again).empty()) << "not before it is certain that there is no other";
  ASSERT_TRUE(first_again.queue().end_leases());
  const auto after = take(first_again);

  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0].attempt, 2);
  EXPECT_EQ(first.queue().finish(before).error().code, ErrorCode::conflict);
}

TEST_F(PostgresQueueTest, ends_the_leases_of_nodes_that_are_gone_but_not_what_is_lent) {
  Harness here(schema_, "here");
  for (const auto company : {CompanyId{1}, CompanyId{2}, CompanyId{3}}) {
    ASSERT_TRUE(here.queue().enqueue(job(company, "a")));
  }
  Harness gone(schema_, "gone");
  const auto kept = take(here, 1);
  const auto lent = here.queue().lend("embed", 1, kLease, kLease).value();
  const auto lost = take(gone, 1);
  ASSERT_EQ(kept.size() + lent.lent.size() + lost.size(), 3u);

  ASSERT_TRUE(here.queue().end_leases_of([](std::string_view node) { return node != "here"; }));
  const auto after = take(here);

  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].id, lost[0].id);
  EXPECT_EQ(after[0].attempt, 2);
  EXPECT_EQ(gone.queue().finish(lost).error().code, ErrorCode::conflict);
  EXPECT_TRUE(here.queue().finish(kept));
}

TEST_F(PostgresQueueTest, passes_over_a_job_that_a_transaction_holds) {
  ASSERT_TRUE(one_.queue().enqueue(job(CompanyId{1}, "old", "key")));
  {
    auto transaction = one_.database().begin({}).value();
    ASSERT_TRUE(lock_partition(transaction, Partition{0}));
    PostgresQueueTransaction changes(one_.queue(), Partition{0}, transaction);
    ASSERT_TRUE(changes.enqueue(job(CompanyId{1}, "new", "key")));
    ASSERT_TRUE(changes.flush());
    EXPECT_TRUE(take(one_).empty());
    ASSERT_TRUE(transaction.commit());
    changes.committed();
  }

  one_.advance(std::chrono::milliseconds(20));

  const auto jobs = take(one_);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].payload, "new");
}

TEST_F(PostgresQueueTest, counts_a_companys_jobs_over_all_processes) {
  one_.enqueue_all(std::vector<NewJob>(Harness::kJobsMax, job(CompanyId{1}, "one of many")));

  const auto refused = other_.queue().enqueue(job(CompanyId{1}, "one more"));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
}

TEST_F(PostgresQueueTest, keeps_counting_right_through_every_way_a_job_ends) {
  auto& queue = one_.queue();
  const CompanyId company{1};
  for (const auto* key : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(queue.enqueue(job(company, "first", key)));
  }
  const auto jobs = take(one_);
  ASSERT_EQ(jobs.size(), 5u);
  ASSERT_TRUE(queue.finish(std::vector{jobs[0]}));
  ASSERT_TRUE(queue.give_up(jobs[1], "x"));
  ASSERT_TRUE(queue.enqueue(job(company, "second", jobs[2].key.c_str())));
  ASSERT_TRUE(queue.retry_after(jobs[2], {}, "gives way to the second"));
  ASSERT_TRUE(queue.enqueue(job(company, "second", jobs[1].key.c_str())));
  ASSERT_TRUE(queue.enqueue(job(company, "third", jobs[1].key.c_str())));
  ASSERT_EQ(queue.redrive(company, {}).value(), 1u);

  const auto counted = one_.database()
                           .read({.company = company},
                                 "SELECT held, (SELECT count(*) FROM jobs) + "
                                 "(SELECT count(*) FROM dead_letters) FROM job_counts")
                           .value();

  ASSERT_EQ(counted.size(), 1u);
  EXPECT_EQ(counted.integer(0, 0), 4);
  EXPECT_EQ(counted.integer(0, 1), 4);
}

TEST_F(PostgresQueueTest, goes_on_after_the_server_was_restarted) {
  ASSERT_TRUE(one_.queue().enqueue(job(CompanyId{1}, "a")));
  const auto jobs = take(one_);
  ASSERT_TRUE(one_.queue().enqueue(job(CompanyId{1}, "b")));

  PostgresProcess::shared().crash();

  EXPECT_EQ(take(one_).at(0).payload, "b");
  EXPECT_TRUE(one_.queue().finish(jobs));
}

TEST_F(PostgresQueueTest, gives_a_job_again_soon_whose_taking_or_settling_was_cut_short) {
  postgres::CutProxy proxy(PostgresProcess::shared().socket_path());
  SystemClock clock;
  const std::array migrations = {postgres_queue_schema_1(), postgres::Migration{}};
  auto database = postgres::Database::open(
      {.pool = {.address = proxy.address(), .connections_max = 1}, .schema = schema_}, clock,
      migrations);
  ASSERT_TRUE(database) << database.error().message;
  SimClock sim_clock;
  auto queue = PostgresQueue::open(**database, 1, sim_clock, {}).value();
  ASSERT_TRUE(queue->enqueue(job(CompanyId{1}, "a")));
  proxy.cut_next(postgres::Cut::after_commit);

  EXPECT_EQ(queue->take("embed", 1, kLease).error().code, ErrorCode::unavailable);
  sim_clock.advance(std::chrono::seconds(1));  // After a failure it lets the partition rest.
  const auto again = queue->take("embed", 1, kLease);

  ASSERT_TRUE(again) << again.error().message;
  ASSERT_EQ(again->size(), 1u);
  EXPECT_EQ((*again)[0].attempt, 2);

  proxy.cut_next(postgres::Cut::before_commit);
  EXPECT_TRUE(queue->retry_after((*again)[0], kLease, "a cause"));
  EXPECT_EQ(queue->take("embed", 1, kLease)->size(), 1u);
}

}  // namespace
}  // namespace samtale

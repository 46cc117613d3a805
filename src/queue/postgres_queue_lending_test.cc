// What PostgresQueue lends to a broker (rabbit_queue_test.cc has the broker).
#include <array>
#include <memory>

#include "postgres/testing/postgres_process.h"
#include "queue/postgres_queue.h"
#include "sim/sim_clock.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

using postgres::PostgresProcess;

class PostgresQueueLendingTest : public ::testing::Test {
 protected:
  static constexpr Duration kLent = std::chrono::seconds(30);
  static constexpr Duration kLease = std::chrono::minutes(2);

  PostgresQueueLendingTest() {
    const std::array migrations = {postgres_queue_schema_1(),
                                   postgres::Migration{{"INSERT INTO partitions VALUES(0)"}}};
    database_ = postgres::Database::open({.pool = {.address = PostgresProcess::shared().address()},
                                          .schema = PostgresProcess::shared().fresh_schema()},
                                         system_clock_, migrations)
                    .value();
    queue_ = PostgresQueue::open(*database_, 1, clock_, {}).value();
  }

  void enqueue(const char* payload, CompanyId company = CompanyId{1}) {
    ASSERT_TRUE(
        queue_->enqueue({.company = company, .kind = "embed", .payload = payload, .key = ""}));
  }
  PostgresQueue::Lending lend(std::size_t limit = 100) {
    return queue_->lend("embed", limit, kLent, kLease).value();
  }
  std::vector<Job> claim(const std::vector<LentJob>& lent) {
    return queue_->claim("embed", lent, kLease).value();
  }
  std::vector<Job> take() { return queue_->take("embed", 100, kLease).value(); }

  SystemClock system_clock_;
  SimClock clock_;
  std::unique_ptr<postgres::Database> database_;
  std::unique_ptr<PostgresQueue> queue_;
};

TEST_F(PostgresQueueLendingTest, lets_one_claim_what_is_lent) {
  enqueue("a");
  enqueue("b");
  const auto lent = lend().lent;
  ASSERT_EQ(lent.size(), 2u);
  EXPECT_TRUE(take().empty());

  const auto jobs = claim({lent[1], lent[0], lent[1]});

  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].payload, "b");
  EXPECT_EQ(jobs[1].payload, "a");
  EXPECT_EQ(jobs[0].attempt, 1);
  EXPECT_TRUE(claim(lent).empty()) << "somebody has them";
  EXPECT_TRUE(queue_->finish(jobs));
  EXPECT_TRUE(claim(lent).empty()) << "they are done";
}

TEST_F(PostgresQueueLendingTest, counts_no_attempt_where_a_lending_ends) {
  enqueue("a");
  std::vector<LentJob> first;
  for (int i = 0; i < 10; ++i) {
    const auto lent = lend().lent;
    ASSERT_EQ(lent.size(), 1u);
    if (i == 0) first = lent;
    clock_.advance(kLent);
  }

  const auto jobs = take();

  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].attempt, 1);
  EXPECT_EQ(queue_->stats(CompanyId{1})->at(0).attempts, 0u);
  EXPECT_TRUE(claim(first).empty());
}

TEST_F(PostgresQueueLendingTest, has_back_at_once_what_the_broker_did_not_get) {
  enqueue("a");
  enqueue("b");
  const auto lent = lend().lent;
  ASSERT_EQ(claim({lent[1]}).size(), 1u);

  ASSERT_TRUE(queue_->take_back("embed", lent));

  const auto jobs = take();
  ASSERT_EQ(jobs.size(), 1u) << "what was claimed stays where it is";
  EXPECT_EQ(jobs[0].id, lent[0].id);
  EXPECT_TRUE(claim(lent).empty());
}

TEST_F(PostgresQueueLendingTest, counts_an_expiry_where_the_lease_of_a_claim_ends) {
  enqueue("a");
  for (int i = 1; i <= 2; ++i) {
    const auto jobs = claim(lend().lent);
    ASSERT_EQ(jobs.size(), 1u);
    EXPECT_EQ(jobs[0].attempt, i);
    clock_.advance(kLease);
  }

  const auto lending = lend();

  EXPECT_TRUE(lending.lent.empty());
  ASSERT_TRUE(lending.taken) << "what may kill its worker is not lent";
  EXPECT_EQ(lending.taken->attempt, 3);
  EXPECT_TRUE(queue_->finish(std::vector{*lending.taken}));
}

TEST_F(PostgresQueueLendingTest, gives_a_claim_no_other_companys_or_kinds_job) {
  enqueue("a", CompanyId{1});
  const auto lent = lend().lent;
  ASSERT_EQ(lent.size(), 1u);
  auto forged = lent[0];
  forged.company = CompanyId{2};

  EXPECT_TRUE(claim({forged}).empty());
  EXPECT_TRUE(queue_->claim("chunk", lent, kLease)->empty());
  EXPECT_TRUE(queue_->take_back("embed", std::vector{forged}));

  EXPECT_EQ(claim(lent).size(), 1u);
}

TEST_F(PostgresQueueLendingTest, knows_a_lent_job_by_its_aged_priority) {
  ASSERT_TRUE(queue_->enqueue({.company = CompanyId{1},
                               .kind = "embed",
                               .payload = "a",
                               .priority = Priority::bulk,
                               .key = ""}));
  clock_.advance(std::chrono::minutes(1));

  const auto lent = lend().lent;

  ASSERT_EQ(lent.size(), 1u);
  EXPECT_EQ(lent[0].urgency, Priority::normal);
  EXPECT_EQ(claim(lent).at(0).priority, Priority::bulk);
}

}  // namespace
}  // namespace samtale

// RabbitHarness: a RabbitQueue of one process, on a real broker and a real PostgreSQL.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "amqp/testing/rabbit_process.h"
#include "postgres/testing/postgres_process.h"
#include "queue/rabbit_queue.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"

namespace samtale {

// The outbox lives by a clock of the test's, the broker by the system's.
template <std::size_t partitions, std::size_t window = 0>
class RabbitHarness {
 public:
  static constexpr std::size_t kJobsMax = 10'000;

  // Its queues are made first, as an operator would.
  RabbitHarness()
      : RabbitHarness(postgres::PostgresProcess::shared().fresh_schema(),
                      amqp::RabbitProcess::shared().fresh_name()) {
    const auto made = check(true);
    EXPECT_TRUE(made) << made.error().message;
    owns_queues_ = true;
  }
  // A second process beside one that has made them.
  RabbitHarness(const std::string& schema, const std::string& prefix)
      : schema_(schema), prefix_(prefix), topology_(prefix, {"embed"}) {
    const std::array migrations = {
        postgres_queue_schema_1(),
        postgres::Migration{{"INSERT INTO partitions SELECT generate_series(0, " +
                             std::to_string(partitions - 1) + ")"}}};
    database_ =
        postgres::Database::open(
            {.pool = {.address = postgres::PostgresProcess::shared().address()}, .schema = schema},
            system_clock_, migrations)
            .value();
    outbox_ =
        PostgresQueue::open(*database_, partitions, clock_, {.jobs_per_company_max = kJobsMax})
            .value();
    queue_ = std::make_unique<RabbitQueue>(
        *outbox_, topology_, system_clock_, random_, log_,
        RabbitQueueOptions{
            .session = {.address = amqp::RabbitProcess::shared().address(),
                        .pause = {.base = Duration::zero(), .longest = Duration::zero()}},
            .lane = {.window = window},
            .bury_every = Duration::zero()});
  }
  ~RabbitHarness() {
    queue_.reset();
    if (!owns_queues_) return;
    const auto connection = amqp::RabbitProcess::shared().connect();
    for (const auto& queue : topology_.all()) {
      EXPECT_TRUE(connection->remove(queue.name, soon()));
    }
  }
  RabbitHarness(const RabbitHarness&) = delete;
  RabbitHarness& operator=(const RabbitHarness&) = delete;

  RabbitQueue& queue() { return *queue_; }
  PostgresQueue& outbox() { return *outbox_; }
  MemoryLog& log() { return log_; }
  const RabbitTopology& topology() const { return topology_; }
  [[nodiscard]] const std::string& schema() const { return schema_; }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] Instant soon() const { return system_clock_.now() + std::chrono::seconds(30); }

  Result<std::vector<QueueCheck>> check(bool fix) {
    const auto connection = amqp::RabbitProcess::shared().connect();
    return check_topology(*connection, topology_, fix, system_clock_, std::chrono::seconds(30));
  }
  void enqueue_all(const std::vector<NewJob>& jobs) {
    const auto partition = partition_of(jobs[0].company, partitions);
    auto transaction = database_->begin({}).value();
    ASSERT_TRUE(lock_partition(transaction, partition));
    PostgresQueueTransaction changes(*outbox_, partition, transaction);
    for (const auto& job : jobs) ASSERT_TRUE(changes.enqueue(job));
    ASSERT_TRUE(changes.flush());
    ASSERT_TRUE(transaction.commit());
    changes.committed();
  }
  void advance(Duration length) { clock_.advance(length); }

 private:
  const std::string schema_;
  const std::string prefix_;
  SystemClock system_clock_;
  SimClock clock_;
  SystemRandom random_;
  MemoryLog log_;
  const RabbitTopology topology_;
  std::unique_ptr<postgres::Database> database_;
  std::unique_ptr<PostgresQueue> outbox_;
  std::unique_ptr<RabbitQueue> queue_;
  bool owns_queues_ = false;
};

}  // namespace samtale

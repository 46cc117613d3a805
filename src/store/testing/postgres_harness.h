// What the tests of PostgresStore share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "postgres/testing/postgres_process.h"
#include "sim/sim_clock.h"
#include "store/postgres_store.h"

namespace samtale {

// Two hash partitions: enough to miss one, and quickly made.
// Of several partitions: with statements that are prepared.
inline PostgresStoreOptions postgres_options(const std::string& schema, std::size_t partitions) {
  return {.database = {.pool = {.address = postgres::PostgresProcess::shared().address(),
                                .names_statements = partitions > 1},
                       .schema = schema},
          .partitions = partitions,
          .hash_partitions = 2,
          .changes_kept = {},
          .queue = {}};
}

template <std::size_t partitions>
class PostgresHarness {
 public:
  PostgresHarness()
      : PostgresHarness(
            postgres_options(postgres::PostgresProcess::shared().fresh_schema(), partitions)) {}
  explicit PostgresHarness(const PostgresStoreOptions& options) {
    auto opened = PostgresStore::open(options, clock_, random_);
    EXPECT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }
  PostgresStore& store() { return *store_; }
  Queue& queue() { return store_->queue(); }
  SimClock& clock() { return clock_; }

 private:
  SimClock clock_;
  SystemRandom random_;
  std::unique_ptr<PostgresStore> store_;
};

// As on a rented database, whose extensions are in a schema of their own.
inline PostgresStoreOptions pgvector_options(const std::string& schema, std::size_t partitions) {
  SystemClock clock;
  const auto admin = postgres::PostgresProcess::shared().connect("admin");
  for (const auto* statement :
       {"CREATE SCHEMA IF NOT EXISTS extensions", "GRANT USAGE ON SCHEMA extensions TO samtale",
        "CREATE EXTENSION IF NOT EXISTS vector SCHEMA extensions"}) {
    EXPECT_TRUE(admin->send(statement));
  }
  const auto made = admin->sync(clock.now() + std::chrono::seconds(30));
  EXPECT_TRUE(made) << made.error().message << "; ./dev test installs pgvector";
  auto options = postgres_options(schema, partitions);
  options.has_pgvector = true;
  return options;
}

template <std::size_t partitions>
class PgvectorHarness : public PostgresHarness<partitions> {
 public:
  PgvectorHarness()
      : PgvectorHarness(
            pgvector_options(postgres::PostgresProcess::shared().fresh_schema(), partitions)) {}
  explicit PgvectorHarness(const PostgresStoreOptions& options)
      : PostgresHarness<partitions>(options) {}
};

using PostgresHarnesses = ::testing::Types<PostgresHarness<1>, PostgresHarness<4>>;

}  // namespace samtale

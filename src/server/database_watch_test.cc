#include "server/database_watch.h"

#include <gtest/gtest.h>

#include "sim/memory_log.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

class DatabaseWatchTest : public ::testing::Test {
 protected:
  void step() {
    ASSERT_TRUE(watch_.step());
    clock_.sleep_for(std::chrono::seconds(1), {});
  }

  [[nodiscard]] std::vector<std::string> said(std::string_view event) const {
    auto lines = log_.lines();
    std::erase_if(lines, [&](const std::string& line) { return !line.starts_with(event); });
    return lines;
  }

  SimClock clock_;
  MemoryLog log_;
  PostgresHistoryStats history_{.timeline = 1};
  std::vector<std::string> unsafe_settings_;
  int reread_ = 0;
  std::vector<PartitionNews> news_;
  std::vector<Partition> told_;
  DatabaseWatch watch_{
      {.look_back = [this] { return PostgresLook{.stats = history_, .news = std::move(news_)}; },
       .unsafe_settings = [this] { return unsafe_settings_; },
       .has_news = [this](const PartitionNews& one) { told_.push_back(one.partition); },
       .has_failed_over = [this] { ++reread_; }},
      clock_,
      log_};
};

TEST_F(DatabaseWatchTest, says_nothing_of_a_database_that_keeps_what_it_has) {
  for (int i = 0; i < 100; ++i) step();

  EXPECT_TRUE(log_.lines().empty());
  EXPECT_TRUE(watch_.is_durable());
  EXPECT_EQ(reread_, 0);
}

TEST_F(DatabaseWatchTest, has_what_is_remembered_read_again_after_a_failover) {
  step();
  history_ = {.timeline = 2, .failovers = 1};

  step();
  step();

  EXPECT_EQ(reread_, 1);
  EXPECT_EQ(watch_.failovers(), 1u);
  EXPECT_EQ(said("store.failover").size(), 1u);
  EXPECT_EQ(said("store.lost_commits").size(), 0u);
}

TEST_F(DatabaseWatchTest, tells_of_each_partition_that_was_written_to) {
  news_ = {{.partition = Partition{3}}, {.partition = Partition{5}}};

  step();
  step();

  EXPECT_EQ(told_, (std::vector{Partition{3}, Partition{5}})) << "once";
}

TEST_F(DatabaseWatchTest, says_how_much_was_lost) {
  step();
  history_ = {.timeline = 2, .failovers = 1, .lost_writes = 7};

  step();
  step();

  EXPECT_EQ(watch_.lost_writes(), 7u);
  ASSERT_EQ(said("store.lost_commits").size(), 1u);
  EXPECT_TRUE(said("store.lost_commits")[0].contains("writes=7"));
}

TEST_F(DatabaseWatchTest, says_once_what_makes_the_database_forget) {
  unsafe_settings_ = {"fsync = off", "full_page_writes = off"};

  for (int i = 0; i < 100; ++i) step();

  EXPECT_FALSE(watch_.is_durable());
  ASSERT_EQ(said("store.not_durable").size(), 1u);
  EXPECT_TRUE(said("store.not_durable")[0].contains("fsync = off, full_page_writes = off"));
}

TEST_F(DatabaseWatchTest, looks_at_the_settings_of_who_takes_over) {
  step();
  unsafe_settings_ = {"fsync = off"};
  history_ = {.timeline = 2, .failovers = 1};

  step();

  EXPECT_FALSE(watch_.is_durable());
}

}  // namespace
}  // namespace samtale

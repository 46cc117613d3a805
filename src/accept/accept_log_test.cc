#include "accept/accept_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "accept/segment.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kAll = std::size_t{1} << 30;
constexpr AcceptLogOptions kSmall{
    .segment_bytes = 8 << 10, .group_records_max = 4, .record_bytes_max = 4 << 10};

class AcceptLogTest : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open(AcceptLogOptions options = kSmall) {
    log.reset();
    auto opened = open_accept_log(files, "log", options, clock, lines);
    ASSERT_TRUE(opened) << opened.error().message;
    log = *std::move(opened);
  }

  void append(std::string payload) {
    log->append(std::move(payload),
                [this](Result<LogPosition> answer) { answers.push_back(std::move(answer)); });
  }

  LogPosition accept(std::string payload) {
    append(std::move(payload));
    while (log->step() > 0) {
    }
    return answers.back().value_or(LogPosition{});
  }

  std::vector<std::string> payloads(LogPosition from = {}) {
    std::vector<std::string> out;
    for (;;) {
      const auto entries = log->read(from, kAll);
      EXPECT_TRUE(entries) << entries.error().message;
      if (!entries || entries->empty()) return out;
      for (const auto& entry : *entries) out.push_back(entry.payload);
      from = entries->back().next;
    }
  }

  std::string error() const {
    return answers.empty() || answers.back() ? "none" : answers.back().error().message;
  }

  SimRandom random{1};
  SimFiles files{random};
  SimClock clock;
  MemoryLog lines;
  std::vector<Result<LogPosition>> answers;
  std::unique_ptr<AcceptLog> log;
};

TEST_F(AcceptLogTest, rings_once_there_is_more_to_read) {
  Bell bell;
  auto options = kSmall;
  options.bell = &bell;
  open(options);

  append("one");
  EXPECT_EQ(bell.rings(), 0U);
  while (log->step() > 0) {
  }

  EXPECT_EQ(bell.rings(), 1U);
  EXPECT_THAT(payloads(), ElementsAre("one"));
}

TEST_F(AcceptLogTest, answers_in_order_and_reads_back_what_was_sent) {
  append("one");
  append("");
  append("three");

  EXPECT_EQ(log->step(), 3U);

  ASSERT_EQ(answers.size(), 3U);
  EXPECT_LT(answers[0].value(), answers[1].value());
  EXPECT_LT(answers[1].value(), answers[2].value());
  EXPECT_THAT(payloads(), ElementsAre("one", "", "three"));
  EXPECT_THAT(payloads(answers[1].value()), ElementsAre("", "three"));
}

TEST_F(AcceptLogTest, answers_only_what_a_loss_of_power_at_that_moment_keeps) {
  std::vector<std::string> missing;
  for (int i = 0; i < 40; ++i) {
    const auto payload = "event " + std::to_string(i) + std::string(300, '.');
    log->append(payload, [&, payload](const Result<LogPosition>& position) {
      ASSERT_TRUE(position);
      bool is_durable = false;
      for (const auto& path : files.paths()) is_durable |= files.durable(path).contains(payload);
      if (!is_durable) missing.push_back(payload);
    });
  }

  while (log->step() > 0) {
  }

  EXPECT_THAT(missing, ElementsAre());
  EXPECT_EQ(log->stats().appended, 40U);
}

TEST_F(AcceptLogTest, commits_at_most_a_group_with_one_sync) {
  for (int i = 0; i < 6; ++i) append("event");

  EXPECT_EQ(log->step(), 4U);
  EXPECT_EQ(log->step(), 2U);
  EXPECT_EQ(log->step(), 0U);

  EXPECT_EQ(log->stats().commits, 2U);
}

TEST_F(AcceptLogTest, shows_readers_nothing_that_is_not_durable) {
  append("waiting");

  EXPECT_THAT(payloads(), ElementsAre());
  EXPECT_EQ(log->begin(), log->end());
}

TEST_F(AcceptLogTest, reads_at_least_one_entry_and_about_as_many_bytes_as_asked) {
  for (int i = 0; i < 4; ++i) accept(std::string(1000, 'x'));

  EXPECT_EQ(log->read({}, 1)->size(), 1U);
  EXPECT_EQ(log->read({}, 2000)->size(), 2U);
}

TEST_F(AcceptLogTest, goes_on_over_segments_and_after_a_restart) {
  std::vector<std::string> sent;
  for (int i = 0; i < 30; ++i) {
    sent.push_back(std::to_string(i) + std::string(1500, 'x'));
    accept(sent.back());
    if (i % 7 == 0) open();
  }

  EXPECT_EQ(payloads(), sent);
  EXPECT_GT(log->stats().segments, 5U);
}

TEST_F(AcceptLogTest, finds_where_its_last_bytes_begin) {
  const auto first = accept(std::string(3'000, 'a'));
  accept(std::string(3'000, 'b'));
  accept(std::string(3'000, 'c'));
  ASSERT_GT(log->stats().segments, 1U);

  EXPECT_THAT(payloads(log->before_end(1)), ElementsAre(std::string(3'000, 'c')));
  EXPECT_EQ(log->before_end(5'000), first);
  EXPECT_EQ(log->before_end(std::uint64_t{1} << 40), first);
}

TEST_F(AcceptLogTest, makes_the_next_segment_before_it_is_needed) {
  accept(std::string(2000, 'x'));
  EXPECT_EQ(log->stats().segments, 1U);

  accept(std::string(2000, 'x'));

  EXPECT_EQ(log->stats().segments, 2U);
  EXPECT_TRUE(files.exists("log/0000000000002000.log"));
}

TEST_F(AcceptLogTest, refuses_an_event_larger_than_allowed_and_says_how_large) {
  append(std::string(4097, 'x'));

  EXPECT_THAT(error(), HasSubstr("event of 4097 bytes: at most 4096"));
}

TEST_F(AcceptLogTest, refuses_more_than_may_wait_and_takes_it_later) {
  auto options = kSmall;
  options.pending_bytes_max = 3000;
  open(options);
  append(std::string(2000, 'x'));

  append(std::string(2000, 'y'));
  EXPECT_THAT(error(), HasSubstr("2048 bytes wait for the disk, the limit is 3000"));
  log->step();

  EXPECT_GT(accept(std::string(2000, 'y')), LogPosition{});
}

TEST_F(AcceptLogTest, takes_nothing_after_a_failed_sync_until_opened_anew) {
  accept("safe");
  files.fail_sync(1, SimFault::io_error);
  EXPECT_FALSE(log->failure());

  accept("unknown");
  EXPECT_TRUE(log->failure());
  EXPECT_THAT(error(), HasSubstr("fdatasync log/0000000000000000.log: Input/output error"));
  accept("too late");
  EXPECT_THAT(error(), HasSubstr("takes no more events"));

  EXPECT_THAT(payloads(), ElementsAre("safe"));
  EXPECT_TRUE(lines.has("accept.stopped"));
  open();
  EXPECT_GT(accept("again"), LogPosition{});
}

TEST_F(AcceptLogTest, begins_a_group_while_another_is_synced_and_answers_in_their_order) {
  std::size_t answered_meanwhile = 9;
  files.during_syncs([&](const std::string&) {
    files.during_syncs({});
    append("beside");
    EXPECT_EQ(log->step(), 0U) << "durable, but the one before it has not been answered";
    answered_meanwhile = answers.size();
  });
  append("first");

  EXPECT_EQ(log->step(), 2U);

  EXPECT_EQ(answered_meanwhile, 0U);
  EXPECT_LT(answers[0].value(), answers[1].value());
  EXPECT_THAT(payloads(), ElementsAre("first", "beside"));
  EXPECT_EQ(log->stats().commits, 2U);
}

TEST_F(AcceptLogTest, begins_no_more_groups_at_once_than_an_opening_makes_durable) {
  std::size_t under_way = 0;
  std::size_t most = 0;
  files.during_syncs([&](const std::string& path) {
    if (path.ends_with(".tmp")) return;
    most = std::max(most, ++under_way);
    append("beside");
    log->step();
    --under_way;
  });
  append("first");

  log->step();

  EXPECT_EQ(most, kSyncsMax);
  files.during_syncs({});
}

TEST_F(AcceptLogTest, a_failed_sync_refuses_the_groups_under_way_with_it) {
  for (const auto failing : {1U, 2U}) {
    answers.clear();
    open();
    files.fail_sync(failing, SimFault::io_error);
    files.during_syncs([&](const std::string&) {
      files.during_syncs({});
      append("beside");
      log->step();
    });
    append("first");

    log->step();

    ASSERT_EQ(answers.size(), 2U);
    EXPECT_FALSE(answers[0]) << "sync " << failing << " failed";
    EXPECT_FALSE(answers[1]) << "sync " << failing << " failed";
    EXPECT_TRUE(log->failure());
  }
}

TEST_F(AcceptLogTest, begins_no_group_while_a_record_is_erased) {
  const auto position = accept("a secret");
  files.during_syncs([&](const std::string&) {
    files.during_syncs({});
    append("beside");
    EXPECT_EQ(log->step(), 0U);
  });

  ASSERT_TRUE(log->erase(position));

  EXPECT_EQ(log->step(), 1U);
  EXPECT_THAT(payloads(), ElementsAre("", "beside"));
}

TEST_F(AcceptLogTest, a_full_disk_refuses_appends_but_not_reads_and_passes) {
  while (log->stats().segments < 2) accept(std::string(2000, 'x'));
  const auto before = payloads();
  files.set_capacity(0);

  while (accept(std::string(2000, 'y')) != LogPosition{}) {
  }
  EXPECT_THAT(error(), HasSubstr("No space left on device"));
  EXPECT_GE(payloads().size(), before.size());
  files.set_capacity(1 << 20);
  clock.advance(std::chrono::seconds(1));

  EXPECT_GT(accept("there is room again"), LogPosition{});
}

TEST_F(AcceptLogTest, a_full_log_names_its_limit_and_takes_more_after_trimming) {
  auto options = kSmall;
  options.log_bytes_max = 16 << 10;
  open(options);
  LogPosition last{};
  for (auto at = last; (at = accept(std::string(2000, 'x'))) != LogPosition{};) last = at;
  EXPECT_THAT(error(), HasSubstr("16384 bytes of 16384"));

  ASSERT_TRUE(log->trim(last));

  EXPECT_GT(accept("there is room again"), last);
}

TEST_F(AcceptLogTest, erases_a_payload_for_good_and_keeps_its_place) {
  accept("before");
  const auto position = accept("a secret");
  accept("after");

  ASSERT_TRUE(log->erase(position));
  ASSERT_TRUE(log->erase(position)) << "twice is fine";

  EXPECT_FALSE(files.durable("log/0000000000000000.log").contains("secret"));
  open();
  EXPECT_THAT(payloads(), ElementsAre("before", "", "after"));
  EXPECT_TRUE(log->read(position, 1)->front().is_erased);
}

TEST_F(AcceptLogTest, erases_nothing_where_no_record_begins) {
  const auto position = accept(std::string(100, 'x'));

  EXPECT_EQ(log->erase(LogPosition{number(position) + 32}).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(log->erase(log->end()).error().code, ErrorCode::invalid_argument);

  EXPECT_THAT(payloads(), ElementsAre(std::string(100, 'x')));
}

TEST_F(AcceptLogTest, trims_whole_segments_and_passes_over_what_is_gone) {
  std::vector<LogPosition> positions;
  for (int i = 0; i < 12; ++i)
    positions.push_back(accept(std::to_string(i) + std::string(2000, 'x')));

  ASSERT_TRUE(log->trim(positions[7]));

  EXPECT_GT(log->begin(), positions[2]);
  EXPECT_LE(log->begin(), positions[7]);
  EXPECT_FALSE(files.exists("log/0000000000000000.log"));
  EXPECT_EQ(log->read({}, 1)->front().position, log->begin());
  EXPECT_TRUE(log->erase(positions[0])) << "it is gone already";
  open();
  EXPECT_EQ(payloads().back(), "11" + std::string(2000, 'x'));
}

TEST_F(AcceptLogTest, keeps_the_last_segment_that_has_records) {
  while (log->stats().segments < 2) accept(std::string(2000, 'x'));
  accept(std::string(1000, 'x'));
  files.fail_write(2, SimFault::io_error);  // After the end mark: the next segment stays empty.
  accept(std::string(4000, 'y'));
  ASSERT_EQ(log->begin(), LogPosition{64});

  ASSERT_TRUE(log->trim(log->end()));
  open();

  EXPECT_FALSE(payloads().empty());
  EXPECT_GT(accept("goes on"), LogPosition{});
}

TEST_F(AcceptLogTest, a_position_past_the_end_means_another_backup) {
  const auto result = log->read(LogPosition{1 << 20}, kAll);

  EXPECT_EQ(result.error().code, ErrorCode::corrupt);
  EXPECT_THAT(result.error().message, HasSubstr("position 1048576 is past its end 64"));
}

TEST_F(AcceptLogTest, answers_what_still_waits_when_it_is_closed) {
  append("waiting");

  log.reset();

  EXPECT_THAT(error(), HasSubstr("is closed"));
}

TEST_F(AcceptLogTest, a_payload_cannot_forge_a_record) {
  const auto position = accept("first");
  const auto header = files.contents("log/0000000000000000.log").substr(number(position), 32);

  accept(std::string(32 * 7, '\0') + header + header);
  open();

  EXPECT_EQ(payloads().size(), 2U);
}

TEST_F(AcceptLogTest, refuses_options_that_cannot_hold_a_record) {
  auto options = kSmall;
  options.segment_bytes = 4 << 10;

  const auto opened = open_accept_log(files, "other", options, clock, lines);

  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
}

TEST_F(AcceptLogTest, takes_records_too_large_for_the_segment_it_was_opened_with) {
  accept("small");
  auto options = kSmall;
  options.segment_bytes = 64 << 10;
  options.record_bytes_max = 32 << 10;
  while (log->stats().segments < 2) accept(std::string(1000, 'x'));
  open(options);

  const auto position = accept(std::string(32 << 10, 'L'));

  EXPECT_EQ(log->read(position, 1)->front().payload, std::string(32 << 10, 'L'));
}

}  // namespace
}  // namespace samtale

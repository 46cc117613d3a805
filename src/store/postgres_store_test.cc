// Goal:   what PostgresStore promises beside the conformance suites: no write whose outcome is
//         guessed, a feed in order for whoever follows it, and several processes on one schema.
#include "store/postgres_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "postgres/testing/cut_proxy.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

using postgres::Cut;
using postgres::PostgresProcess;

class PostgresStoreTest : public ::testing::Test {
 protected:
  static constexpr CompanyId kOne{1};
  static constexpr Partition kOnly{0};

  PostgresStoreOptions options() const { return postgres_options(schema_, 1); }
  static StoredConversation conversation(const std::string& external_id) {
    StoredConversation stored;
    stored.conversation.id = make_conversation_id(kOne, "api", external_id);
    stored.conversation.source = "api";
    stored.conversation.external_id = external_id;
    return stored;
  }
  static Result<> put(PostgresStore& store, const std::string& external_id) {
    return store.write(kOnly, [&](StoreWriter& writer) {
      return writer.put_conversation(kOne, conversation(external_id));
    });
  }
  static std::int64_t revision(PostgresStore& store, const std::string& external_id) {
    const auto id = make_conversation_id(kOne, "api", external_id);
    const auto found = store.find_summary(kOne, id).value();
    return found ? found->revision : 0;
  }
  // Writes through a proxy that cuts the commit, and says how often the work was run.
  int runs_of_a_write_cut(Cut cut, std::function<void()> then) {
    postgres::CutProxy proxy(PostgresProcess::shared().socket_path());
    auto through_proxy = options();
    through_proxy.database.pool.address = proxy.address();
    through_proxy.database.pool.connections_max = 1;
    PostgresHarness<1> harness(through_proxy);
    int runs = 0;
    proxy.cut_next(cut, std::move(then));
    const auto done = harness.store().write(kOnly, [&](StoreWriter& writer) -> Result<> {
      ++runs;
      SAMTALE_TRY_VOID(
          writer.enqueue({.company = kOne, .kind = "chunk", .payload = "p", .key = ""}));
      return writer.put_conversation(kOne, conversation("a"));
    });
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(harness.queue().take("chunk", 9, std::chrono::minutes(1))->size(), 1u);
    return runs;
  }

  const std::string schema_ = PostgresProcess::shared().fresh_schema();
};

TEST_F(PostgresStoreTest, finds_a_commit_that_was_kept_and_does_not_repeat_it) {
  EXPECT_EQ(runs_of_a_write_cut(Cut::after_commit, {}), 1);

  PostgresHarness<1> later(options());
  EXPECT_EQ(revision(later.store(), "a"), 1);
}

TEST_F(PostgresStoreTest, repeats_a_write_whose_commit_did_not_arrive) {
  EXPECT_EQ(runs_of_a_write_cut(Cut::before_commit, {}), 2);

  PostgresHarness<1> later(options());
  EXPECT_EQ(revision(later.store(), "a"), 1);
}

TEST_F(PostgresStoreTest, finds_a_commit_that_was_kept_after_a_crash_of_the_server) {
  const auto crash = [] { PostgresProcess::shared().crash(); };

  EXPECT_EQ(runs_of_a_write_cut(Cut::after_commit, crash), 1);

  PostgresHarness<1> later(options());
  EXPECT_EQ(revision(later.store(), "a"), 1);
}

TEST_F(PostgresStoreTest, repeats_a_write_that_a_crash_of_the_server_cut_short) {
  const auto crash = [] { PostgresProcess::shared().crash(); };

  EXPECT_EQ(runs_of_a_write_cut(Cut::before_commit, crash), 2);

  PostgresHarness<1> later(options());
  EXPECT_EQ(revision(later.store(), "a"), 1);
}

TEST_F(PostgresStoreTest, is_not_deceived_by_a_later_write_under_the_same_number) {
  PostgresHarness<1> other(options());

  const int runs =
      runs_of_a_write_cut(Cut::before_commit, [&] { EXPECT_TRUE(put(other.store(), "another")); });

  EXPECT_EQ(runs, 2);
  EXPECT_EQ(revision(other.store(), "a"), 1);
}

TEST_F(PostgresStoreTest, finds_a_commit_that_others_have_written_after) {
  PostgresHarness<1> other(options());

  const int runs =
      runs_of_a_write_cut(Cut::after_commit, [&] { EXPECT_TRUE(put(other.store(), "another")); });

  EXPECT_EQ(runs, 1);
  EXPECT_EQ(revision(other.store(), "a"), 1);
}

TEST_F(PostgresStoreTest, says_so_where_the_outcome_cannot_be_known_any_more) {
  PostgresHarness<1> other(options());
  postgres::CutProxy proxy(PostgresProcess::shared().socket_path());
  auto through_proxy = options();
  through_proxy.database.pool.address = proxy.address();
  through_proxy.database.pool.connections_max = 1;
  PostgresHarness<1> harness(through_proxy);
  // As many as tokens are kept.
  proxy.cut_next(Cut::after_commit, [&] {
    for (int i = 0; i < 1024; ++i) {
      ASSERT_TRUE(other.store().write(kOnly, [](StoreWriter&) { return Result<>(); }));
    }
  });

  const auto done = put(harness.store(), "a");

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(done.error().message.contains("not known")) << done.error().message;
}

TEST_F(PostgresStoreTest, shows_every_change_to_who_follows_the_feed_while_many_write) {
  constexpr int kWriters = 4;
  constexpr int kWrites = 60;
  PostgresHarness<1> one(options());
  PostgresHarness<1> other(options());
  std::atomic<int> writing = kWriters;
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] {
      auto& store = i % 2 == 0 ? one.store() : other.store();
      for (int k = 0; k < kWrites; ++k) {
        EXPECT_TRUE(put(store, std::to_string(i) + "." + std::to_string(k)));
      }
      --writing;
    });
  }

  std::uint64_t last = 0;
  std::size_t seen = 0;
  for (bool is_last_look = false; !is_last_look;) {
    is_last_look = writing == 0;
    const auto changes = one.store().changes(kOnly, {last}, 1000).value();
    for (const auto& change : changes) {
      EXPECT_GT(change.sequence, last);
      last = change.sequence;
      ++seen;
    }
  }
  for (auto& writer : writers) writer.join();

  EXPECT_EQ(seen, std::size_t{kWriters * kWrites});
  EXPECT_EQ(one.store().last_change(kOnly)->sequence, last);
}

TEST_F(PostgresStoreTest, loses_no_change_to_a_conversation_that_many_write) {
  constexpr int kWriters = 4;
  constexpr int kWrites = 25;
  PostgresHarness<1> one(options());
  PostgresHarness<1> other(options());
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] {
      auto& store = i % 2 == 0 ? one.store() : other.store();
      for (int k = 0; k < kWrites; ++k) {
        EXPECT_TRUE(store.write(kOnly, [](StoreWriter& writer) -> Result<> {
          auto stored = conversation("a");
          SAMTALE_TRY(const auto found, writer.find_conversation(kOne, stored.conversation.id));
          stored.state = found ? found->state + "x" : "x";
          return writer.put_conversation(kOne, stored);
        }));
      }
    });
  }
  for (auto& writer : writers) writer.join();

  const auto id = conversation("a").conversation.id;
  const auto found = one.store().find_conversation(kOne, id).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state.size(), std::size_t{kWriters * kWrites});
  EXPECT_EQ(one.store().company_stats(kOne)->conversations, 1);
}

TEST_F(PostgresStoreTest, keeps_everything_over_a_crash_of_the_server) {
  PostgresHarness<1> harness(options());
  ASSERT_TRUE(put(harness.store(), "a"));
  ASSERT_TRUE(harness.store().write(
      kOnly, [](StoreWriter& writer) { return writer.set_log_offset({}, LogPosition{7}); }));

  PostgresProcess::shared().crash();

  EXPECT_EQ(revision(harness.store(), "a"), 1);
  EXPECT_EQ(harness.store().log_offset(kOnly).value(), LogPosition{7});
  EXPECT_TRUE(put(harness.store(), "a"));
}

TEST_F(PostgresStoreTest, takes_the_cursors_of_the_process_before_it) {
  ConversationQuery query{.limit = 1, .cursor = "", .channel = "", .source = "", .external_id = ""};
  {
    PostgresHarness<1> before(options());
    ASSERT_TRUE(put(before.store(), "a"));
    ASSERT_TRUE(put(before.store(), "b"));
    query.cursor = before.store().list_conversations(kOne, query)->next_cursor;
  }

  PostgresHarness<1> later(options());

  EXPECT_EQ(later.store().list_conversations(kOne, query)->conversations.size(), 1u);
}

TEST_F(PostgresStoreTest, refuses_another_number_of_partitions) {
  PostgresHarness<1> first(options());
  SystemClock clock;
  SystemRandom random;

  const auto refused = PostgresStore::open(postgres_options(schema_, 2), clock, random);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(refused.error().message.contains("configure 1")) << refused.error().message;
}

TEST_F(PostgresStoreTest, keeps_what_no_text_of_postgresql_can_hold) {
  PostgresHarness<1> harness(options());
  const std::string odd("nul \0 and \xff", 11);
  auto stored = conversation("odd");
  stored.conversation.channel = std::string("c\0d", 3);
  const Chunk chunk{.ordinal = 0, .header = std::string("h\0", 2), .text = odd, .policy = "p"};
  const auto id = stored.conversation.id;

  const auto done = harness.store().write(kOnly, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_conversation(kOne, stored));
    SAMTALE_TRY_VOID(writer.put_chunks(kOne, id, std::vector{chunk}));
    SAMTALE_TRY_VOID(writer.put_embed_error(kOne, id, chunk, odd));
    return writer.enqueue({.company = kOne, .kind = "k", .payload = odd, .key = odd});
  });

  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(harness.store().find_chunk(kOne, id, 0).value()->chunk, chunk);
  EXPECT_EQ(harness.store().find_chunk(kOne, id, 0).value()->embed_error, odd);
  ConversationQuery query;
  query.channel = stored.conversation.channel;
  EXPECT_EQ(harness.store().list_conversations(kOne, query)->conversations.size(), 1u);
  EXPECT_EQ(harness.queue().waiting(kOne, 9)->at(0).key, odd);
}

TEST_F(PostgresStoreTest, keeps_for_each_accept_log_how_far_it_has_taken_effect) {
  auto of_one = options();
  auto of_two = options();
  of_one.log = "one";
  of_two.log = "two";
  PostgresHarness<1> one(of_one);
  PostgresHarness<1> two(of_two);
  const auto write = [](PostgresStore& store, const std::string& key, std::uint64_t position) {
    const StoredEvent event{.key = key,
                            .body_hash = "h",
                            .place = {.log = store.log(), .position = LogPosition{position}},
                            .conversation = conversation("a").conversation.id};
    ASSERT_TRUE(store.write(kOnly, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.put_event(kOne, event, {}));
      return writer.set_log_offset({}, LogPosition{position + 1});
    }));
  };

  write(one.store(), "k", 7);
  write(two.store(), "l", 3);

  EXPECT_EQ(one.store().log_offset(kOnly).value(), LogPosition{8});
  EXPECT_EQ(two.store().log_offset(kOnly).value(), LogPosition{4});
  std::vector<EventPlace> places;
  ASSERT_TRUE(one.store().write(kOnly, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(places, writer.erase_conversation(kOne, conversation("a").conversation.id));
    return {};
  }));
  EXPECT_EQ(places, (std::vector{EventPlace{one.store().log(), LogPosition{7}},
                                 {two.store().log(), LogPosition{3}}}));
  PostgresHarness<1> again(of_two);
  EXPECT_EQ(again.store().log(), two.store().log());
  EXPECT_EQ(again.store().secret("cursors"), one.store().secret("cursors"));
  EXPECT_EQ(again.store().log_offset(kOnly).value(), LogPosition{4});
}

TEST_F(PostgresStoreTest, keeps_changes_that_others_may_not_have_seen_yet) {
  auto kept = options();
  kept.changes_kept = std::chrono::minutes(10);
  PostgresHarness<1> harness(kept);
  auto& store = harness.store();
  ASSERT_TRUE(put(store, "a"));
  harness.clock().advance(std::chrono::minutes(11));
  ASSERT_TRUE(put(store, "b"));

  ASSERT_TRUE(store.trim_changes(kOnly, 2));

  EXPECT_EQ(store.changes(kOnly, {1}, 9)->size(), 1U);
  EXPECT_EQ(store.changes(kOnly, {}, 9).error().code, ErrorCode::not_found);
}

// As a standby that has not got the last writes.
TEST_F(PostgresStoreTest, counts_its_writes_that_the_database_has_not_got_any_more) {
  PostgresHarness<1> harness(options());
  PostgresHarness<1> other(options());
  auto& store = harness.store();
  for (const auto* name : {"a", "b", "c"}) ASSERT_TRUE(put(store, name));
  ASSERT_TRUE(put(other.store(), "d"));
  EXPECT_EQ(store.look_back()->stats.lost_writes, 0u);

  auto transaction = store.database().begin({}).value();
  ASSERT_TRUE(transaction.run("UPDATE partitions SET writes = 1"));
  ASSERT_TRUE(transaction.commit());

  EXPECT_EQ(store.look_back()->stats.lost_writes, 2u);
  EXPECT_EQ(store.look_back()->stats.lost_writes, 2u) << "once";
  ASSERT_TRUE(put(other.store(), "e"));
  EXPECT_EQ(other.store().look_back()->stats.lost_writes, 3u) << "the next write sees it, too";
  EXPECT_EQ(store.look_back()->stats.failovers, 0u);
}

TEST_F(PostgresStoreTest, tells_where_something_was_written_and_whether_by_others) {
  PostgresHarness<2> one(options());
  PostgresHarness<2> other(options());
  ASSERT_TRUE(put(one.store(), "a"));
  ASSERT_TRUE(one.store().look_back());
  EXPECT_EQ(one.store().look_back()->news.size(), 0U);

  ASSERT_TRUE(put(one.store(), "b"));
  const auto of_ours = one.store().look_back()->news;
  ASSERT_TRUE(put(other.store(), "c"));
  const auto of_others = one.store().look_back()->news;

  const auto partition = one.store().partition_of(kOne);
  ASSERT_EQ(of_ours.size(), 1U);
  EXPECT_EQ(of_ours[0].partition, partition);
  EXPECT_EQ(of_ours[0].last_change, 2U);
  EXPECT_FALSE(of_ours[0].is_of_others);
  ASSERT_EQ(of_others.size(), 1U);
  EXPECT_EQ(of_others[0].partition, partition);
  EXPECT_EQ(of_others[0].last_change, 3U);
  EXPECT_TRUE(of_others[0].is_of_others);
}

TEST_F(PostgresStoreTest, lets_whoever_follows_begin_anew_on_another_timeline) {
  PostgresHarness<1> harness(options());
  auto& store = harness.store();
  ASSERT_TRUE(put(store, "a"));
  auto point = store.last_change(kOnly).value();
  ASSERT_GT(point.epoch, 0U);
  EXPECT_TRUE(store.changes(kOnly, point, 9));

  point.epoch += 1;  // As if another had taken over since.

  for (int reader = 0; reader < 2; ++reader) {
    EXPECT_EQ(store.changes(kOnly, point, 9).error().code, ErrorCode::not_found) << "each of them";
  }
}

TEST(PostgresHistoryTest, counts_those_who_took_over) {
  PostgresHistory history(1);
  ASSERT_TRUE(history.begins(Partition{0}, 1, 3));
  ASSERT_TRUE(history.reads(3));
  ASSERT_TRUE(history.reads(0)) << "a standby has none";
  EXPECT_EQ(history.stats().failovers, 0u);

  ASSERT_TRUE(history.reads(4));

  EXPECT_EQ(history.stats().failovers, 1u);
}

// It does not know that another has taken over, and would take what nobody else sees.
TEST(PostgresHistoryTest, refuses_an_old_primary_that_goes_on) {
  PostgresHistory history(1);
  ASSERT_TRUE(history.begins(Partition{0}, 1, 2));

  const auto write = history.begins(Partition{0}, 2, 1);
  const auto read = history.reads(1);

  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(read);
  EXPECT_TRUE(history.begins(Partition{0}, 2, 2));
}

}  // namespace
}  // namespace samtale

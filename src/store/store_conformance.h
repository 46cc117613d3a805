// Goal:   every Store behaves as store.h says.
// Method: a typed suite that each implementation instantiates with a Harness:
//           store()   the implementation, new and empty
//           queue()   its queue
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/store.h"

namespace samtale {

template <class Harness>
class StoreConformance : public ::testing::Test {
 protected:
  static constexpr CompanyId kOne{1};
  static constexpr CompanyId kTwo{2};

  Store& store() { return harness_.store(); }

  static StoredConversation conversation(CompanyId company, const std::string& external_id,
                                         std::int64_t at_s = 1000) {
    StoredConversation stored;
    auto& c = stored.conversation;
    c.id = make_conversation_id(company, "api", external_id);
    c.source = "api";
    c.external_id = external_id;
    c.channel = "chat";
    c.started_at = from_us(at_s * 1'000'000);
    c.turns = {{.id = "1",
                .role = "customer",
                .name = "",
                .text = "hello " + external_id,
                .at = {},
                .extra = {}}};
    stored.state = "state of " + external_id;
    stored.received_at = from_us(5);
    stored.updated_at = from_us(6);
    return stored;
  }
  static Chunk chunk(std::uint32_t ordinal, std::string text) {
    return {.ordinal = ordinal,
            .first_turn = ordinal,
            .last_turn = ordinal,
            .header = "chat",
            .text = std::move(text),
            .policy = "turns-v1"};
  }
  static StoredAnalysis analysis(const std::string& analyzer, std::vector<std::string> labels,
                                 std::optional<double> score = {}, std::int64_t revision = 1) {
    return {.analyzer = analyzer,
            .version = 1,
            .method = "extractive",
            .revision = revision,
            .created_at = from_us(7),
            .result = R"({"of":")" + analyzer + R"("})",
            .labels = std::move(labels),
            .score = score};
  }
  void analyse(CompanyId company, ConversationId id, const StoredAnalysis& analysis) {
    write(company, [&](StoreWriter& writer) { return writer.put_analysis(company, id, analysis); });
  }
  StoredEvent event(CompanyId company, std::string key, std::string hash,
                    std::uint64_t position = 0) {
    return {.key = std::move(key),
            .body_hash = std::move(hash),
            .place = {.log = store().log(), .position = LogPosition{position}},
            .conversation = make_conversation_id(company, "api", "c")};
  }

  void write(CompanyId company, const std::function<Result<>(StoreWriter&)>& work) {
    const auto done = store().write(store().partition_of(company), work);
    ASSERT_TRUE(done) << done.error().message;
  }
  void put(CompanyId company, const StoredConversation& stored) {
    write(company, [&](StoreWriter& writer) { return writer.put_conversation(company, stored); });
  }
  void put_chunks(CompanyId company, ConversationId id, const std::vector<Chunk>& chunks) {
    write(company, [&](StoreWriter& writer) { return writer.put_chunks(company, id, chunks); });
  }
  void embed(CompanyId company, ConversationId id, const Chunk& chunk, float value) {
    write(company, [&](StoreWriter& writer) {
      return writer.put_embedding(company, id, chunk, {.model = "m", .vector = {value, 0}});
    });
  }
  std::vector<EventPlace> erase(CompanyId company, ConversationId id) {
    std::vector<EventPlace> places;
    write(company, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY(places, writer.erase_conversation(company, id));
      return {};
    });
    return places;
  }
  std::vector<StoredChunk> chunks(CompanyId company, ConversationId id) {
    return store().chunks(company, id).value();
  }
  std::vector<std::string> list(CompanyId company, const ConversationQuery& query) {
    std::vector<std::string> ids;
    const auto page = store().list_conversations(company, query);
    EXPECT_TRUE(page) << page.error().message;
    for (const auto& summary : page->conversations) ids.push_back(summary.head.external_id);
    return ids;
  }
  // Reads page by page.
  std::vector<std::string> list_all(CompanyId company, ConversationQuery query) {
    std::vector<std::string> ids;
    do {
      const auto page = store().list_conversations(company, query).value();
      for (const auto& summary : page.conversations) ids.push_back(summary.head.external_id);
      query.cursor = page.next_cursor;
    } while (!query.cursor.empty());
    return ids;
  }
  std::vector<Change> changes(Partition partition, std::uint64_t after = 0) {
    return store().changes(partition, {after}, 1000).value();
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(StoreConformance);

TYPED_TEST_P(StoreConformance, gives_back_a_conversation_and_counts_its_revisions) {
  auto stored = this->conversation(this->kOne, "a");
  this->put(this->kOne, stored);
  stored.conversation.title = std::string(5000, 't');
  this->put(this->kOne, stored);

  const auto found = this->store().find_conversation(this->kOne, stored.conversation.id);

  ASSERT_TRUE(found.value());
  EXPECT_EQ((*found)->conversation, stored.conversation);
  EXPECT_EQ((*found)->state, "state of a");
  EXPECT_EQ((*found)->revision, 2);
  EXPECT_EQ((*found)->received_at, from_us(5));
  EXPECT_EQ((*found)->updated_at, from_us(6));
}

TYPED_TEST_P(StoreConformance, summarises_a_conversation_as_it_last_was) {
  auto stored = this->conversation(this->kOne, "a");
  stored.conversation.parties = {{.id = "p", .name = "Ada", .role = "customer", .address = ""}};
  stored.conversation.metadata = {{"plan", "pro"}};
  stored.conversation.vendor_analysis = {{"mood", "good"}};
  this->put(this->kOne, stored);
  stored.conversation.title = "Later";
  stored.conversation.turns.push_back(stored.conversation.turns.front());
  this->put(this->kOne, stored);

  const auto summary = this->store().find_summary(this->kOne, stored.conversation.id);

  auto expected = stored.conversation;
  expected.turns.clear();
  expected.vendor_analysis.clear();
  ASSERT_TRUE(summary.value());
  EXPECT_EQ((*summary)->head, expected);
  EXPECT_EQ((*summary)->turns, 2u);
  EXPECT_EQ((*summary)->revision, 2);
  EXPECT_EQ((*summary)->received_at, from_us(5));
  EXPECT_EQ((*summary)->updated_at, from_us(6));
}

TYPED_TEST_P(StoreConformance, finds_one_chunk_by_its_ordinal) {
  const auto stored = this->conversation(this->kOne, "a");
  const auto id = stored.conversation.id;
  this->put(this->kOne, stored);
  this->put_chunks(this->kOne, id, {this->chunk(0, "first"), this->chunk(1, "second")});
  this->embed(this->kOne, id, this->chunk(1, "second"), 7);

  const auto found = this->store().find_chunk(this->kOne, id, 1);

  ASSERT_TRUE(found.value());
  EXPECT_EQ((*found)->chunk, this->chunk(1, "second"));
  EXPECT_FALSE((*found)->embedding);
  EXPECT_FALSE(this->store().find_chunk(this->kOne, id, 2)->has_value());
}

TYPED_TEST_P(StoreConformance, writes_all_of_a_transaction_or_nothing) {
  const auto stored = this->conversation(this->kOne, "a");
  const auto partition = this->store().partition_of(this->kOne);

  const auto failed = this->store().write(partition, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_conversation(this->kOne, stored));
    SAMTALE_TRY_VOID(writer.set_log_offset({}, LogPosition{7}));
    SAMTALE_TRY_VOID(
        writer.enqueue({.company = this->kOne, .kind = "embed", .payload = "", .key = ""}));
    return fail(ErrorCode::unavailable, "changed my mind");
  });

  EXPECT_EQ(failed.error().message, "changed my mind");
  EXPECT_FALSE(this->store().find_conversation(this->kOne, stored.conversation.id)->has_value());
  EXPECT_EQ(this->store().log_offset(partition).value(), LogPosition{0});
  EXPECT_TRUE(this->harness_.queue().take("embed", 1, std::chrono::seconds(1))->empty());
  EXPECT_TRUE(this->changes(partition).empty());
  EXPECT_EQ(this->store().company_stats(this->kOne)->conversations, 0);
}

TYPED_TEST_P(StoreConformance, commits_the_log_offset_and_the_jobs_with_their_effect) {
  const auto stored = this->conversation(this->kOne, "a");
  const auto partition = this->store().partition_of(this->kOne);

  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_conversation(this->kOne, stored));
    SAMTALE_TRY_VOID(
        writer.enqueue({.company = this->kOne, .kind = "embed", .payload = "p", .key = ""}));
    return writer.set_log_offset({}, LogPosition{UINT64_MAX});
  });

  EXPECT_EQ(this->store().log_offset(partition).value(), LogPosition{UINT64_MAX});
  const auto jobs = this->harness_.queue().take("embed", 1, std::chrono::seconds(1)).value();
  ASSERT_EQ(jobs.size(), 1u);
  this->write(this->kOne, [&](StoreWriter& writer) { return writer.finish(jobs); });
  const auto again =
      this->store().write(partition, [&](StoreWriter& writer) { return writer.finish(jobs); });
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
}

TYPED_TEST_P(StoreConformance, sees_its_own_writes_in_a_transaction) {
  const auto stored = this->conversation(this->kOne, "a");

  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_conversation(this->kOne, stored));
    SAMTALE_TRY(const auto found, writer.find_conversation(this->kOne, stored.conversation.id));
    EXPECT_TRUE(found.has_value());
    return {};
  });
}

TYPED_TEST_P(StoreConformance, tells_new_same_and_conflicting_events_apart) {
  const auto put = [&](const std::string& hash, std::uint64_t position) -> Result<EventState> {
    Result<EventState> state = EventState::fresh;
    this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
      state =
          writer.put_event(this->kOne, this->event(this->kOne, "k", hash, position), from_us(1));
      return {};
    });
    return state;
  };

  EXPECT_EQ(put("hash", 9).value(), EventState::fresh);
  EXPECT_EQ(put("hash", 9).value(), EventState::applied);
  EXPECT_EQ(put("hash", 10).value(), EventState::repeated);
  EXPECT_EQ(put("other", 9).error().code, ErrorCode::conflict);

  const auto found = this->store().find_event(this->kOne, "k");
  ASSERT_TRUE(found.value());
  EXPECT_EQ((*found)->key, "k");
  EXPECT_EQ((*found)->body_hash, "hash");
  EXPECT_EQ((*found)->place, (EventPlace{this->store().log(), LogPosition{9}}));
  EXPECT_EQ((*found)->conversation, make_conversation_id(this->kOne, "api", "c"));
  EXPECT_EQ(this->store().company_stats(this->kOne)->events, 1);
}

TYPED_TEST_P(StoreConformance, keeps_the_embedding_of_an_unchanged_chunk_wherever_it_moved) {
  const auto id = make_conversation_id(this->kOne, "api", "c");
  this->put_chunks(this->kOne, id, {this->chunk(0, "a"), this->chunk(1, "b"), this->chunk(2, "c")});
  this->embed(this->kOne, id, this->chunk(0, "a"), 1);
  this->embed(this->kOne, id, this->chunk(1, "b"), 2);
  this->embed(this->kOne, id, this->chunk(2, "c"), 3);
  auto other_policy = this->chunk(2, "c");
  other_policy.policy = "turns-v2";

  this->put_chunks(this->kOne, id,
                   {this->chunk(0, "new"), this->chunk(1, "a"), other_policy, this->chunk(3, "b")});

  const auto chunks = this->chunks(this->kOne, id);
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[0].chunk, this->chunk(0, "new"));
  EXPECT_FALSE(chunks[0].embedding);
  EXPECT_EQ(chunks[1].chunk, this->chunk(1, "a"));
  EXPECT_EQ(chunks[1].embedding->vector, (std::vector<float>{1, 0}));
  EXPECT_FALSE(chunks[2].embedding);
  EXPECT_EQ(chunks[3].embedding->vector, (std::vector<float>{2, 0}));
  EXPECT_EQ(chunks[3].embedding->model, "m");
  const auto stats = this->store().company_stats(this->kOne).value();
  EXPECT_EQ(stats.chunks, 4);
  EXPECT_EQ(stats.chunks_without_vector, 2);
}

TYPED_TEST_P(StoreConformance, puts_an_embedding_only_onto_the_text_it_was_made_from) {
  const auto id = make_conversation_id(this->kOne, "api", "c");
  this->put_chunks(this->kOne, id, {this->chunk(0, "new text"), this->chunk(1, "moved")});

  this->embed(this->kOne, id, this->chunk(0, "old text"), 1);
  this->embed(this->kOne, id, this->chunk(0, "moved"), 2);

  const auto chunks = this->chunks(this->kOne, id);
  EXPECT_FALSE(chunks[0].embedding);
  EXPECT_EQ(chunks[1].embedding->vector, (std::vector<float>{2, 0}));
}

TYPED_TEST_P(StoreConformance, keeps_why_a_chunk_has_no_embedding_until_it_has_one) {
  const auto id = make_conversation_id(this->kOne, "api", "c");
  const auto chunk = this->chunk(0, "a");
  this->put_chunks(this->kOne, id, {chunk});

  this->write(this->kOne, [&](StoreWriter& writer) {
    return writer.put_embed_error(this->kOne, id, chunk, "too long");
  });
  EXPECT_EQ(this->chunks(this->kOne, id)[0].embed_error, "too long");
  this->embed(this->kOne, id, chunk, 1);

  EXPECT_EQ(this->chunks(this->kOne, id)[0].embed_error, "");
}

TYPED_TEST_P(StoreConformance, leaves_nothing_of_an_erased_conversation_and_lets_nothing_back) {
  const auto stored = this->conversation(this->kOne, "c");
  const auto id = stored.conversation.id;
  const NewJob job{.company = this->kOne, .kind = "embed", .payload = "p", .key = text(id)};
  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_event(this->kOne, this->event(this->kOne, "1", "h", 11), {}));
    SAMTALE_TRY_VOID(writer.put_event(this->kOne, this->event(this->kOne, "2", "h", 22), {}));
    SAMTALE_TRY_VOID(writer.put_conversation(this->kOne, stored));
    SAMTALE_TRY_VOID(writer.put_chunks(this->kOne, id, std::vector{this->chunk(0, "a")}));
    SAMTALE_TRY_VOID(writer.add_dead_letter(job, "cause"));
    return writer.enqueue(job);
  });
  this->embed(this->kOne, id, this->chunk(0, "a"), 1);

  const auto places = this->erase(this->kOne, id);
  this->put(this->kOne, stored);
  this->put_chunks(this->kOne, id, {this->chunk(0, "a")});
  this->embed(this->kOne, id, this->chunk(0, "a"), 1);

  const auto log = this->store().log();
  EXPECT_EQ(places, (std::vector{EventPlace{log, LogPosition{11}}, {log, LogPosition{22}}}));
  EXPECT_EQ(this->erase(this->kOne, id), places) << "an erasure cut short can be repeated";
  EXPECT_FALSE(this->store().find_conversation(this->kOne, id)->has_value());
  EXPECT_TRUE(this->chunks(this->kOne, id).empty());
  EXPECT_TRUE(this->harness_.queue().waiting(this->kOne, 10)->empty());
  EXPECT_TRUE(this->harness_.queue().dead_letters(this->kOne, std::nullopt, 10)->empty());
  EXPECT_TRUE(this->list(this->kOne, {}).empty());
  const auto stats = this->store().company_stats(this->kOne).value();
  EXPECT_EQ(stats.conversations, 0);
  EXPECT_EQ(stats.turns, 0);
  EXPECT_EQ(stats.chunks, 0);
  EXPECT_EQ(stats.chunks_without_vector, 0);
}

TYPED_TEST_P(StoreConformance, stops_what_arrives_after_an_erasure_of_the_unknown) {
  const auto stored = this->conversation(this->kOne, "c");

  this->erase(this->kOne, stored.conversation.id);
  this->put(this->kOne, stored);

  EXPECT_FALSE(this->store().find_conversation(this->kOne, stored.conversation.id)->has_value());
  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    EXPECT_TRUE(writer.is_deleted(this->kOne, stored.conversation.id).value());
    return {};
  });
}

TYPED_TEST_P(StoreConformance, lists_newest_first_page_by_page) {
  for (int i = 0; i < 25; ++i) {
    // Pairs share their time, so that pages end between equals too.
    this->put(this->kOne, this->conversation(this->kOne, std::to_string(i), 1000 + i / 2));
  }

  const auto all = this->list_all(
      this->kOne, {.limit = 3, .cursor = "", .channel = "", .source = "", .external_id = ""});

  EXPECT_EQ(all.size(), 25u);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 25u);
  for (std::size_t i = 1; i < all.size(); ++i) {
    EXPECT_GE(std::stoi(all[i - 1]) / 2, std::stoi(all[i]) / 2);
  }
}

TYPED_TEST_P(StoreConformance, lists_by_time_channel_source_and_external_id) {
  auto early = this->conversation(this->kOne, "early", 1000);
  auto voice = this->conversation(this->kOne, "voice", 2000);
  voice.conversation.channel = "voice";
  auto retell = this->conversation(this->kOne, "retell", 3000);
  retell.conversation.source = "retell";
  auto timeless = this->conversation(this->kOne, "timeless");
  timeless.conversation.started_at.reset();
  timeless.received_at = from_us(4000 * 1'000'000LL);
  for (const auto& stored : {early, voice, retell, timeless}) this->put(this->kOne, stored);
  const auto at = [](std::int64_t s) { return from_us(s * 1'000'000); };
  const auto query = [] {
    return ConversationQuery{.cursor = "", .channel = "", .source = "", .external_id = ""};
  };
  using ::testing::ElementsAre;

  auto between = query();
  between.from = at(2000);
  between.to = at(4000);
  auto by_channel = query();
  by_channel.channel = "voice";
  auto by_source = query();
  by_source.source = "retell";
  auto by_both = by_source;
  by_both.channel = "voice";
  auto by_external_id = query();
  by_external_id.external_id = "early";

  EXPECT_THAT(this->list(this->kOne, query()), ElementsAre("timeless", "retell", "voice", "early"));
  EXPECT_THAT(this->list(this->kOne, between), ElementsAre("retell", "voice"));
  EXPECT_THAT(this->list(this->kOne, by_channel), ElementsAre("voice"));
  EXPECT_THAT(this->list(this->kOne, by_source), ElementsAre("retell"));
  EXPECT_THAT(this->list(this->kOne, by_both), ElementsAre());
  EXPECT_THAT(this->list(this->kOne, by_external_id), ElementsAre("early"));
}

TYPED_TEST_P(StoreConformance, lists_a_conversation_where_it_now_belongs) {
  auto stored = this->conversation(this->kOne, "a", 1000);
  this->put(this->kOne, stored);
  stored.conversation.channel = "voice";
  stored.conversation.started_at = from_us(9000 * 1'000'000LL);
  this->put(this->kOne, stored);
  ConversationQuery query;
  query.channel = "voice";
  query.from = from_us(8000 * 1'000'000LL);

  EXPECT_EQ(this->list(this->kOne, query).size(), 1u);
  query.channel = "chat";
  query.from.reset();
  EXPECT_TRUE(this->list(this->kOne, query).empty());
}

TYPED_TEST_P(StoreConformance, refuses_a_cursor_that_is_forged_or_of_another_company) {
  for (const auto* id : {"a", "b", "c"}) {
    this->put(this->kOne, this->conversation(this->kOne, id));
    this->put(this->kTwo, this->conversation(this->kTwo, id));
  }
  ConversationQuery query;
  query.limit = 1;
  query.cursor = this->store().list_conversations(this->kOne, query)->next_cursor;
  ASSERT_FALSE(query.cursor.empty());

  const auto foreign = this->store().list_conversations(this->kTwo, query);
  EXPECT_EQ(foreign.error().code, ErrorCode::invalid_argument);
  auto forged = query;
  forged.cursor[3] = forged.cursor[3] == 'a' ? 'b' : 'a';
  const auto refused = this->store().list_conversations(this->kOne, forged);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  forged.cursor = "nonsense!";
  EXPECT_FALSE(this->store().list_conversations(this->kOne, forged));
  EXPECT_TRUE(this->store().list_conversations(this->kOne, query));
}

TYPED_TEST_P(StoreConformance, refuses_to_move_a_log_offset_that_somebody_else_has_moved) {
  const auto partition = this->store().partition_of(this->kOne);
  const auto move = [&](std::uint64_t before, std::uint64_t next) {
    return this->store().write(partition, [&](StoreWriter& writer) {
      return writer.set_log_offset(LogPosition{before}, LogPosition{next});
    });
  };
  ASSERT_TRUE(move(0, 5));

  EXPECT_EQ(move(0, 9).error().code, ErrorCode::conflict);
  EXPECT_EQ(this->store().log_offset(partition).value(), LogPosition{5});
  EXPECT_TRUE(move(5, 9));
}

TYPED_TEST_P(StoreConformance, knows_within_a_write_how_far_each_log_has_taken_effect) {
  const auto partition = this->store().partition_of(this->kOne);
  const auto own = this->store().log();
  const auto other = LogId{number(own) + 1};
  ASSERT_TRUE(this->store().write(
      partition, [&](StoreWriter& writer) { return writer.set_log_offset({}, LogPosition{5}); }));

  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    EXPECT_EQ(writer.log_offset(own).value(), LogPosition{5});
    EXPECT_EQ(writer.log_offset(other).value(), LogPosition{});
    return {};
  });
}

TYPED_TEST_P(StoreConformance, finds_a_dead_letter_by_its_kind_and_key) {
  const NewJob job{.company = this->kOne, .kind = "event", .payload = "p", .key = "1:22"};
  this->write(this->kOne,
              [&](StoreWriter& writer) { return writer.add_dead_letter(job, "cause"); });

  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    EXPECT_TRUE(writer.has_dead_letter(this->kOne, "event", "1:22").value());
    EXPECT_FALSE(writer.has_dead_letter(this->kOne, "event", "1:23").value());
    EXPECT_FALSE(writer.has_dead_letter(this->kOne, "embed", "1:22").value());
    return {};
  });
  this->write(this->kTwo, [&](StoreWriter& writer) -> Result<> {
    EXPECT_FALSE(writer.has_dead_letter(this->kTwo, "event", "1:22").value());
    return {};
  });
}

TYPED_TEST_P(StoreConformance, has_a_secret_of_its_own_for_each_purpose) {
  const auto& store = this->store();

  EXPECT_EQ(store.secret("cursors").size(), 32u);
  EXPECT_EQ(store.secret("cursors"), store.secret("cursors"));
  EXPECT_NE(store.secret("cursors"), store.secret("passes"));
}

TYPED_TEST_P(StoreConformance, tells_changes_in_order_and_forgets_them_when_told) {
  const auto partition = this->store().partition_of(this->kOne);
  const auto a = this->conversation(this->kOne, "a");
  const auto b = this->conversation(this->kOne, "b");
  this->put(this->kOne, a);
  this->put(this->kOne, b);
  this->put_chunks(this->kOne, a.conversation.id, {this->chunk(0, "x")});
  this->erase(this->kOne, b.conversation.id);

  const auto all = this->changes(partition);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].conversation, a.conversation.id);
  EXPECT_EQ(all[1].conversation, b.conversation.id);
  EXPECT_EQ(all[2].conversation, a.conversation.id);
  EXPECT_EQ(all[3].conversation, b.conversation.id);
  EXPECT_EQ(all[3].company, this->kOne);
  EXPECT_LT(all[0].sequence, all[1].sequence);
  EXPECT_EQ(this->store().changes(partition, {all[1].sequence}, 1)->at(0).sequence,
            all[2].sequence);
  EXPECT_EQ(this->store().last_change(partition)->sequence, all[3].sequence);

  ASSERT_TRUE(this->store().trim_changes(partition, all[3].sequence));
  EXPECT_TRUE(this->store().changes(partition, {all[3].sequence}, 9)->empty());
  EXPECT_EQ(this->store().last_change(partition)->sequence, all[3].sequence);
  this->put(this->kOne, a);
  EXPECT_EQ(this->store().changes(partition, {all[3].sequence}, 9)->at(0).sequence,
            all[3].sequence + 1);
}

TYPED_TEST_P(StoreConformance, tells_who_follows_that_changes_it_has_not_seen_are_forgotten) {
  const auto partition = this->store().partition_of(this->kOne);
  for (const auto* name : {"a", "b", "c"})
    this->put(this->kOne, this->conversation(this->kOne, name));
  const auto all = this->changes(partition);

  ASSERT_TRUE(this->store().trim_changes(partition, all[1].sequence));
  EXPECT_EQ(this->store().changes(partition, {all[0].sequence}, 9).error().code,
            ErrorCode::not_found);
  EXPECT_EQ(this->store().changes(partition, {all[1].sequence}, 9)->size(), 1u);

  ASSERT_TRUE(this->store().trim_changes(partition, all[2].sequence));
  EXPECT_EQ(this->store().changes(partition, {all[1].sequence}, 9).error().code,
            ErrorCode::not_found);
  EXPECT_TRUE(this->store().changes(partition, {all[2].sequence}, 9)->empty());
}

TYPED_TEST_P(StoreConformance, scans_every_conversation_of_a_partition_once) {
  std::set<std::pair<CompanyId, ConversationId>> expected;
  for (std::int64_t company = 1; company <= 20; ++company) {
    for (const auto* external_id : {"a", "b", "c"}) {
      const auto stored = this->conversation(CompanyId{company}, external_id);
      this->put(CompanyId{company}, stored);
      expected.emplace(CompanyId{company}, stored.conversation.id);
    }
  }

  std::set<std::pair<CompanyId, ConversationId>> seen;
  for (std::size_t i = 0; i < this->store().partitions(); ++i) {
    std::optional<std::pair<CompanyId, ConversationId>> after;
    while (true) {
      const auto some = this->store().scan(static_cast<Partition>(i), after, 4).value();
      if (some.empty()) break;
      for (const auto& one : some) EXPECT_TRUE(seen.insert(one).second);
      after = some.back();
    }
  }

  EXPECT_EQ(seen, expected);
}

TYPED_TEST_P(StoreConformance, keeps_the_last_conclusion_of_each_analyzer) {
  const auto stored = this->conversation(this->kOne, "c");
  const auto id = stored.conversation.id;
  this->put(this->kOne, stored);
  this->analyse(this->kOne, id, this->analysis("topics", {"refund", "invoice"}));
  this->analyse(this->kOne, id, this->analysis("sentiment", {"negative"}, -0.5, 2));

  this->analyse(this->kOne, id, this->analysis("topics", {"parcel"}));
  this->analyse(this->kOne, id, this->analysis("sentiment", {"positive"}, 0.5, 1));  // Late.

  const auto found = this->store().analyses(this->kOne, id).value();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].analyzer, "sentiment");
  EXPECT_EQ(found[0].revision, 2);
  EXPECT_EQ(found[0].score, -0.5);
  EXPECT_EQ(found[0].method, "extractive");
  EXPECT_EQ(found[1].result, R"({"of":"topics"})");
  EXPECT_EQ(found[1].labels, std::vector<std::string>{"parcel"});
  EXPECT_EQ(found[1].score, std::nullopt);
  const auto labels = this->store().analysis_labels(this->kOne, id).value();
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels[0].label, "negative");
  EXPECT_EQ(labels[0].score, -0.5);
  EXPECT_EQ(labels[1].analyzer, "topics");
  EXPECT_EQ(labels[1].label, "parcel");
}

TYPED_TEST_P(StoreConformance, leaves_no_analysis_of_an_erased_conversation) {
  const auto stored = this->conversation(this->kOne, "c");
  const auto id = stored.conversation.id;
  this->put(this->kOne, stored);
  this->analyse(this->kOne, id, this->analysis("sentiment", {"negative"}));

  this->erase(this->kOne, id);
  this->analyse(this->kOne, id, this->analysis("topics", {"late"}));

  EXPECT_TRUE(this->store().analyses(this->kOne, id)->empty());
  EXPECT_TRUE(this->store().analysis_labels(this->kOne, id)->empty());
  for (const auto* analyzer : {"sentiment", "topics"}) {
    AnalysisQuery query;
    query.analyzer = analyzer;
    EXPECT_TRUE(this->store().list_analyses(this->kOne, query)->analyses.empty());
    EXPECT_TRUE(this->store().count_analyses(this->kOne, query)->empty());
  }
}

TYPED_TEST_P(StoreConformance, lists_analyses_by_label_and_time_page_by_page) {
  std::vector<ConversationId> negative;  // Newest first.
  for (std::int64_t i = 9; i >= 0; --i) {
    const auto stored = this->conversation(this->kOne, "c" + std::to_string(i), 1000 + i);
    const auto id = stored.conversation.id;
    this->put(this->kOne, stored);
    const bool is_negative = i % 2 == 0;
    if (is_negative) negative.push_back(id);
    this->analyse(this->kOne, id,
                  this->analysis("sentiment", {is_negative ? "negative" : "positive"}));
  }

  AnalysisQuery query;
  query.analyzer = "sentiment";
  query.label = "negative";
  query.limit = 2;
  std::vector<ConversationId> listed;
  do {
    const auto page = this->store().list_analyses(this->kOne, query).value();
    EXPECT_LE(page.analyses.size(), 2u);
    for (const auto& [id, analysis] : page.analyses) listed.push_back(id);
    query.cursor = page.next_cursor;
  } while (!query.cursor.empty());

  EXPECT_EQ(listed, negative);
  query.label.clear();
  query.limit = 50;
  query.from = from_us(1'003'000'000);
  query.to = from_us(1'007'000'000);
  EXPECT_EQ(this->store().list_analyses(this->kOne, query)->analyses.size(), 4u);
  query.cursor = "forged";
  EXPECT_EQ(this->store().list_analyses(this->kOne, query).error().code,
            ErrorCode::invalid_argument);
}

TYPED_TEST_P(StoreConformance, counts_labels_by_day) {
  constexpr std::int64_t kDay = 86'400;
  const auto add = [&](const std::string& name, std::int64_t at_s, const char* label,
                       double score) {
    const auto stored = this->conversation(this->kOne, name, at_s);
    this->put(this->kOne, stored);
    this->analyse(this->kOne, stored.conversation.id, this->analysis("sentiment", {label}, score));
  };
  add("a", 3 * kDay, "negative", -0.5);
  add("b", 4 * kDay - 1, "negative", -0.25);
  add("c", 3 * kDay + 5, "positive", 0.5);
  add("d", 4 * kDay, "positive", 1);
  add("e", -1, "positive", 1);  // The last day of 1969.

  AnalysisQuery query;
  query.analyzer = "sentiment";
  const auto counts = this->store().count_analyses(this->kOne, query).value();

  ASSERT_EQ(counts.size(), 4u);
  EXPECT_EQ(to_us(counts[0].day), -kDay * 1'000'000);
  EXPECT_EQ(to_us(counts[1].day), 3 * kDay * 1'000'000);
  EXPECT_EQ(counts[1].label, "negative");
  EXPECT_EQ(counts[1].count, 2);
  EXPECT_EQ(counts[1].scored, 2);
  EXPECT_EQ(counts[1].score_sum, -0.75);
  EXPECT_EQ(counts[2].count, 1);
  EXPECT_EQ(to_us(counts[3].day), 4 * kDay * 1'000'000);
  query.from = from_us(4 * kDay * 1'000'000);
  EXPECT_EQ(this->store().count_analyses(this->kOne, query)->size(), 1u);
}

TYPED_TEST_P(StoreConformance, counts_scores_that_have_no_label) {
  const auto stored = this->conversation(this->kOne, "c", 86'400);
  const auto id = stored.conversation.id;
  this->put(this->kOne, stored);
  this->analyse(this->kOne, id, this->analysis("card", {}, 0.75));
  this->analyse(this->kOne, id, this->analysis("summary", {}));

  const auto labels = this->store().analysis_labels(this->kOne, id).value();
  AnalysisQuery query;
  query.analyzer = "card";
  const auto counts = this->store().count_analyses(this->kOne, query).value();

  ASSERT_EQ(labels.size(), 1u);
  EXPECT_EQ(labels[0].analyzer, "card");
  EXPECT_EQ(labels[0].label, "");
  EXPECT_EQ(labels[0].score, 0.75);
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].scored, 1);
  EXPECT_EQ(counts[0].score_sum, 0.75);
}

TYPED_TEST_P(StoreConformance, shows_no_company_anything_of_another) {
  const auto stored = this->conversation(this->kOne, "c");
  const auto id = stored.conversation.id;
  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_event(this->kOne, this->event(this->kOne, "k", "h"), {}));
    SAMTALE_TRY_VOID(writer.put_conversation(this->kOne, stored));
    return writer.put_chunks(this->kOne, id, std::vector{this->chunk(0, "a")});
  });
  this->analyse(this->kOne, id, this->analysis("sentiment", {"negative"}));

  // The other company names exactly what belongs to the first.
  this->embed(this->kTwo, id, this->chunk(0, "a"), 9);
  this->write(this->kTwo, [&](StoreWriter& writer) -> Result<> {
    EXPECT_FALSE(writer.find_conversation(this->kTwo, id)->has_value());
    EXPECT_EQ(writer.put_event(this->kTwo, this->event(this->kOne, "k", "x"), {}).value(),
              EventState::fresh);
    return writer.put_embed_error(this->kTwo, id, this->chunk(0, "a"), "bad");
  });
  EXPECT_TRUE(this->erase(this->kTwo, make_conversation_id(this->kOne, "api", "c")).size() <= 1);
  this->analyse(this->kTwo, id, this->analysis("sentiment", {"positive"}));
  AnalysisQuery sentiment;
  sentiment.analyzer = "sentiment";
  EXPECT_TRUE(this->store().analyses(this->kTwo, id)->empty());
  EXPECT_TRUE(this->store().analysis_labels(this->kTwo, id)->empty());
  EXPECT_TRUE(this->store().list_analyses(this->kTwo, sentiment)->analyses.empty());
  EXPECT_TRUE(this->store().count_analyses(this->kTwo, sentiment)->empty());
  EXPECT_EQ(this->store().analyses(this->kOne, id)->at(0).labels.at(0), "negative");

  EXPECT_FALSE(this->store().find_conversation(this->kTwo, id)->has_value());
  EXPECT_FALSE(this->store().find_summary(this->kTwo, id)->has_value());
  EXPECT_FALSE(this->store().find_chunk(this->kTwo, id, 0)->has_value());
  EXPECT_TRUE(this->chunks(this->kTwo, id).empty());
  EXPECT_TRUE(this->list(this->kTwo, {}).empty());
  EXPECT_FALSE(this->store().find_event(this->kTwo, "nothing")->has_value());
  EXPECT_EQ(this->store().company_stats(this->kTwo)->conversations, 0);
  EXPECT_TRUE(this->store().find_conversation(this->kOne, id)->has_value());
  const auto chunks = this->chunks(this->kOne, id);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_FALSE(chunks[0].embedding);
  EXPECT_EQ(chunks[0].embed_error, "");
  EXPECT_EQ((*this->store().find_event(this->kOne, "k"))->body_hash, "h");
}

REGISTER_TYPED_TEST_SUITE_P(
    StoreConformance, gives_back_a_conversation_and_counts_its_revisions,
    summarises_a_conversation_as_it_last_was, finds_one_chunk_by_its_ordinal,
    writes_all_of_a_transaction_or_nothing, commits_the_log_offset_and_the_jobs_with_their_effect,
    sees_its_own_writes_in_a_transaction, tells_new_same_and_conflicting_events_apart,
    keeps_the_embedding_of_an_unchanged_chunk_wherever_it_moved,
    puts_an_embedding_only_onto_the_text_it_was_made_from,
    keeps_why_a_chunk_has_no_embedding_until_it_has_one,
    leaves_nothing_of_an_erased_conversation_and_lets_nothing_back,
    stops_what_arrives_after_an_erasure_of_the_unknown, lists_newest_first_page_by_page,
    lists_by_time_channel_source_and_external_id, lists_a_conversation_where_it_now_belongs,
    refuses_a_cursor_that_is_forged_or_of_another_company,
    knows_within_a_write_how_far_each_log_has_taken_effect, finds_a_dead_letter_by_its_kind_and_key,
    refuses_to_move_a_log_offset_that_somebody_else_has_moved,
    has_a_secret_of_its_own_for_each_purpose, tells_changes_in_order_and_forgets_them_when_told,
    tells_who_follows_that_changes_it_has_not_seen_are_forgotten,
    scans_every_conversation_of_a_partition_once, keeps_the_last_conclusion_of_each_analyzer,
    leaves_no_analysis_of_an_erased_conversation, lists_analyses_by_label_and_time_page_by_page,
    counts_labels_by_day, counts_scores_that_have_no_label, shows_no_company_anything_of_another);

}  // namespace samtale

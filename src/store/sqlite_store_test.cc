#include "store/sqlite_store.h"

#include <filesystem>
#include <map>
#include <random>

#include "sqlite/database.h"
#include "store/schema.h"
#include "store/store_batch_conformance.h"
#include "store/testing/sqlite_harness.h"

namespace samtale {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(SqliteStoreTest, StoreConformance, SqliteHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteStoreTest, StoreBatchConformance, SqliteHarnesses);

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() { options_.folder = folder_.path(); }

  Result<std::unique_ptr<SqliteStore>> open() {
    return SqliteStore::open(options_, clock_, random_);
  }
  static StoredConversation conversation(const std::string& external_id) {
    StoredConversation stored;
    stored.conversation.id = make_conversation_id(CompanyId{1}, "api", external_id);
    stored.conversation.source = "api";
    stored.conversation.external_id = external_id;
    return stored;
  }
  static Result<> put(SqliteStore& store, const StoredConversation& stored) {
    return store.write(store.partition_of(CompanyId{1}), [&](StoreWriter& writer) {
      return writer.put_conversation(CompanyId{1}, stored);
    });
  }

  std::string bytes_of_files() {
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      std::string bytes(std::filesystem::file_size(file), '\0');
      auto* stream = std::fopen(file.path().c_str(), "r");
      bytes.resize(std::fread(bytes.data(), 1, bytes.size(), stream));
      std::fclose(stream);
      all += bytes;
    }
    return all;
  }

  TempFolder folder_;
  SimClock clock_;
  SimRandom random_{1};
  SqliteStoreOptions options_;
};

TEST_F(SqliteStoreTest, tells_of_what_it_has_written_and_of_nothing_else) {
  std::vector<Partition> told;
  options_.has_written = [&](Partition partition) { told.push_back(partition); };
  const auto store = open().value();
  const auto partition = store->partition_of(CompanyId{1});

  EXPECT_FALSE(store->write(partition, [](StoreWriter&) -> Result<> {
    return fail(ErrorCode::conflict, "not to be written");
  }));
  EXPECT_THAT(told, testing::IsEmpty());
  ASSERT_TRUE(put(*store, conversation("a")));

  EXPECT_THAT(told, testing::ElementsAre(partition));
}

TEST_F(SqliteStoreTest, keeps_everything_over_a_restart) {
  std::string cursor;
  {
    const auto store = open().value();
    ASSERT_TRUE(put(*store, conversation("a")));
    ASSERT_TRUE(put(*store, conversation("b")));
    cursor = store
                 ->list_conversations(
                     CompanyId{1},
                     {.limit = 1, .cursor = "", .channel = "", .source = "", .external_id = ""})
                 ->next_cursor;
  }

  const auto store = open().value();

  ConversationQuery query;
  EXPECT_EQ(store->list_conversations(CompanyId{1}, query)->conversations.size(), 2u);
  query.cursor = cursor;
  EXPECT_EQ(store->list_conversations(CompanyId{1}, query)->conversations.size(), 1u);
}

TEST_F(SqliteStoreTest, refuses_another_number_of_partitions_naming_both) {
  { const auto store = open().value(); }
  options_.partitions = 8;

  const auto refused = open();

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("4 partitions"), std::string::npos);
  EXPECT_NE(refused.error().message.find("says 8"), std::string::npos);
}

TEST_F(SqliteStoreTest, refuses_to_go_on_without_one_of_its_files) {
  { const auto store = open().value(); }
  for (const auto* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(folder_.path() + "/part-02.db" + suffix);
  }

  const auto refused = open();

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
  EXPECT_NE(refused.error().message.find("part-02.db"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/part-02.db"));
}

TEST_F(SqliteStoreTest, refuses_files_in_each_others_place) {
  { const auto store = open().value(); }
  const auto part = [&](const char* name) { return folder_.path() + "/" + name; };
  std::filesystem::remove(part("part-01.db-wal"));
  std::filesystem::copy_file(part("part-02.db"), part("part-01.db"),
                             std::filesystem::copy_options::overwrite_existing);

  const auto refused = open();

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
}

TEST_F(SqliteStoreTest, reads_on_when_the_disk_is_full) {
  options_.pages_max = 80;
  const auto store = open().value();
  auto stored = conversation("0");
  std::mt19937_64 random(1);
  for (int i = 0; i < 9000; ++i)
    stored.conversation.title += static_cast<char>('a' + random() % 26);
  ASSERT_TRUE(put(*store, stored));
  const auto id = stored.conversation.id;

  Result<> written;
  for (int i = 1; i < 200 && written; ++i) {
    stored.conversation.id = make_conversation_id(CompanyId{1}, "api", std::to_string(i));
    written = put(*store, stored);
  }

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(store->find_conversation(CompanyId{1}, id)->has_value());
}

TEST_F(SqliteStoreTest, summarises_conversations_of_before_there_were_summaries) {
  auto stored = conversation("old");
  stored.conversation.title = "From before";
  stored.conversation.turns = {
      {.id = "1", .role = "agent", .name = "", .text = "hello", .at = {}, .extra = {}}};
  options_.partitions = 1;
  ASSERT_TRUE(put(**open(), stored));
  {
    sqlite::DatabaseOptions options;
    options.path = folder_.path() + "/part-00.db";
    const auto file = sqlite::Database::open(options, partition_schema()).value();
    auto transaction = file->begin().value();
    ASSERT_TRUE(transaction.connection().run("UPDATE conversations SET summary = x''"));
    ASSERT_TRUE(transaction.commit());
  }

  const auto store = open().value();

  const auto summary = store->find_summary(CompanyId{1}, stored.conversation.id).value();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->head.title, "From before");
  EXPECT_TRUE(summary->head.turns.empty());
  EXPECT_EQ(summary->turns, 1u);
}

TEST_F(SqliteStoreTest, leaves_no_byte_of_an_erased_conversation_after_a_scrub) {
  const auto store = open().value();
  auto stored = conversation("canary-external");
  stored.conversation.title = "canary-title";
  ASSERT_TRUE(put(*store, stored));
  const auto id = stored.conversation.id;
  const auto partition = store->partition_of(CompanyId{1});
  ASSERT_TRUE(store->write(partition, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_lm_result(CompanyId{1}, id, "k", "canary-answer", {}));
    return writer.put_override(CompanyId{1}, id,
                               {.analyzer = "summary",
                                .result = "canary-override",
                                .by = "operator",
                                .note = "canary-note"});
  }));
  ASSERT_TRUE(store->scrub(partition));
  for (const auto* word : {"canary-title", "canary-answer", "canary-override", "canary-note"}) {
    EXPECT_NE(bytes_of_files().find(word), std::string::npos) << word;
  }
  ASSERT_TRUE(store->write(partition, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_event(
        CompanyId{1}, {.key = "canary-key", .body_hash = "h", .place = {}, .conversation = id},
        {}));
    SAMTALE_TRY_VOID(writer.erase_conversation(CompanyId{1}, id));
    return {};
  }));

  ASSERT_TRUE(store->scrub(partition));

  EXPECT_EQ(bytes_of_files().find("canary"), std::string::npos);
}

TEST_F(SqliteStoreTest, lists_by_its_indexes) {
  { const auto store = open().value(); }
  const auto connection =
      sqlite::Connection::open(folder_.path() + "/part-00.db", {.vfs = "", .writable = true})
          .value();
  for (const auto* index : {"conversations_by_time", "conversations_by_channel AND channel = ?",
                            "conversations_by_source AND source = ?"}) {
    const std::string name(index);
    const auto filter = name.find(' ') == std::string::npos ? "" : name.substr(name.find(' '));
    auto plan = connection
                    ->prepare("EXPLAIN QUERY PLAN SELECT body FROM conversations INDEXED BY " +
                              name.substr(0, name.find(' ')) +
                              " WHERE company = ? AND (sort_us, id) < (?, ?) AND sort_us >= ?" +
                              filter + " ORDER BY sort_us DESC, id DESC LIMIT 5")
                    .value();
    while (plan.step().value()) {
      EXPECT_EQ(plan.bytes(3).find("TEMP B-TREE"), std::string_view::npos) << plan.bytes(3);
      EXPECT_EQ(plan.bytes(3).find("SCAN"), std::string_view::npos) << plan.bytes(3);
    }
  }
}

// Goal:   company_stats always equals a count of what is there.
// Method: random writes, one at a time, beside a model of what each conversation should hold.
TEST_F(SqliteStoreTest, counts_what_is_there_after_random_writes) {
  const auto store = open().value();
  const auto partition = store->partition_of(CompanyId{1});
  std::mt19937_64 random(7);
  std::map<std::string, std::pair<int, std::map<int, bool>>> model;
  std::set<std::string> deleted;
  ASSERT_TRUE(store->write(partition, [&](StoreWriter& writer) -> Result<> {
    for (int i = 0; i < 2000; ++i) {
      const auto name = std::to_string(random() % 30);
      auto stored = conversation(name);
      const auto id = stored.conversation.id;
      const auto text = static_cast<int>(random() % 5);
      const Chunk chunk{.ordinal = 0, .header = "", .text = std::to_string(text), .policy = "p"};
      const auto action = random() % 20;
      if (action == 0) {
        SAMTALE_TRY_VOID(writer.erase_conversation(CompanyId{1}, id));
        model.erase(name);
        deleted.insert(name);
      } else if (action < 8) {
        stored.conversation.turns.resize(random() % 4);
        SAMTALE_TRY_VOID(writer.put_conversation(CompanyId{1}, stored));
        if (!deleted.contains(name)) {
          model[name].first = static_cast<int>(stored.conversation.turns.size());
        }
      } else if (action < 14 && model.contains(name)) {
        SAMTALE_TRY_VOID(writer.put_chunks(CompanyId{1}, id, std::vector{chunk}));
        auto& chunks = model[name].second;
        const bool kept = chunks.contains(text) && chunks[text];
        chunks = {{text, kept}};
      } else {
        SAMTALE_TRY_VOID(
            writer.put_embedding(CompanyId{1}, id, chunk, {.model = "m", .vector = {1}}));
        if (model.contains(name) && model[name].second.contains(text)) {
          model[name].second[text] = true;
        }
      }
    }
    return {};
  }));

  CompanyStats expected;
  for (const auto& [name, held] : model) {
    ++expected.conversations;
    expected.turns += held.first;
    expected.chunks += static_cast<std::int64_t>(held.second.size());
    for (const auto& [text, has_vector] : held.second) {
      expected.chunks_without_vector += has_vector ? 0 : 1;
    }
  }
  const auto stats = store->company_stats(CompanyId{1}).value();
  EXPECT_GT(expected.conversations, 0);
  EXPECT_EQ(stats.conversations, expected.conversations);
  EXPECT_EQ(stats.turns, expected.turns);
  EXPECT_EQ(stats.chunks, expected.chunks);
  EXPECT_EQ(stats.chunks_without_vector, expected.chunks_without_vector);
}

}  // namespace
}  // namespace samtale

#include "ingest/workers.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "embed/testing/fake_embedder.h"
#include "ingest/jobs.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;
using testing::HasSubstr;
using testing::SizeIs;

constexpr CompanyId kAcme{1};

class WorkersTest : public testing::Test {
 protected:
  WorkersTest() {
    std::string folder = testing::TempDir() + "/workers-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    SqliteStoreOptions options;
    options.folder = folder_;
    options.partitions = 1;
    store = *SqliteStore::open(options, clock, random);
  }
  ~WorkersTest() override { std::filesystem::remove_all(folder_); }

  // A stored conversation with a waiting chunk job.
  ConversationId add(const std::string& name, const std::string& text) {
    StoredConversation stored;
    auto& conversation = stored.conversation;
    conversation.id = make_conversation_id(kAcme, "api", name);
    conversation.source = "api";
    conversation.external_id = name;
    conversation.turns.push_back({.id = "1", .role = "customer", .text = text});
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.put_conversation(kAcme, stored));
      return writer.enqueue(make_conversation_job(kChunkJob, kAcme, conversation.id));
    }));
    return conversation.id;
  }

  StoredChunk chunk_of(const ConversationId& id) { return store->chunks(kAcme, id)->at(0); }
  std::vector<DeadLetter> dead_letters() {
    return *store->queue().dead_letters(kAcme, std::nullopt, 10);
  }
  ChunkWorker chunk_worker() { return {store->queue(), *store, policy, random}; }
  EmbedWorker embed_worker() { return {store->queue(), *store, embedder, clock, random}; }

  SimClock clock;
  SimRandom random{1};
  FakeEmbedder embedder{{.poison = "POISON"}};
  const ChunkPolicy policy;
  std::unique_ptr<SqliteStore> store;

 private:
  std::string folder_;
};

TEST_F(WorkersTest, a_conversation_gets_chunks_and_then_vectors) {
  const auto id = add("a", "the lamp arrived broken");

  EXPECT_EQ(chunk_worker().step().value(), 1U);
  EXPECT_FALSE(chunk_of(id).embedding);
  EXPECT_EQ(embed_worker().step().value(), 1U);

  EXPECT_EQ(chunk_of(id).embedding->model, embedder.model_id());
  EXPECT_TRUE(store->queue().waiting(kAcme, 10)->empty());
}

TEST_F(WorkersTest, one_text_that_is_refused_condemns_no_other) {
  const auto good = add("good", "fine");
  const auto bad = add("bad", "POISON");
  const auto other = add("other", "fine too");
  ASSERT_EQ(chunk_worker().step().value(), 3U);

  auto worker = embed_worker();
  while (worker.step().value() > 0) {
  }

  EXPECT_TRUE(chunk_of(good).embedding);
  EXPECT_TRUE(chunk_of(other).embedding);
  EXPECT_FALSE(chunk_of(bad).embedding);
  EXPECT_NE(chunk_of(bad).embed_error, "");
  EXPECT_THAT(dead_letters(), SizeIs(1));
  EXPECT_THAT(dead_letters().front().cause, HasSubstr("chunk 0"));
}

TEST_F(WorkersTest, an_embedder_that_is_away_for_long_costs_time_and_no_job) {
  const auto id = add("a", "the lamp arrived broken");
  ASSERT_EQ(chunk_worker().step().value(), 1U);
  for (int i = 0; i < 20; ++i) embedder.then_fail(ErrorCode::unavailable, "refused");

  auto worker = embed_worker();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(worker.step());
    clock.advance(1min);
  }

  EXPECT_TRUE(chunk_of(id).embedding);
  EXPECT_THAT(dead_letters(), SizeIs(0));
}

TEST_F(WorkersTest, does_not_ask_an_embedder_that_is_away_again_at_once) {
  add("a", "one");
  add("b", "two");
  ASSERT_EQ(chunk_worker().step().value(), 2U);
  embedder.then_fail(ErrorCode::unavailable, "refused");
  auto worker = embed_worker();
  ASSERT_TRUE(worker.step());
  const auto calls = embedder.calls();

  ASSERT_TRUE(worker.step());

  EXPECT_EQ(embedder.calls(), calls);
}

TEST_F(WorkersTest, a_slow_embedder_costs_no_job_its_lease) {
  std::string text;
  for (int i = 0; i < 3'000; ++i) text += "Where is my lamp number " + std::to_string(i) + "? ";
  const auto id = add("a", text);
  ASSERT_EQ(chunk_worker().step().value(), 1U);
  ASSERT_THAT(*store->chunks(kAcme, id), SizeIs(testing::Gt(4U)));
  int given_to_others = 0;
  FakeEmbedder slow({.batch_max = 1}, [&](auto&&...) {
    clock.advance(50s);
    given_to_others += static_cast<int>(store->queue().take(kEmbedJob, 1, 2min)->size());
  });
  EmbedWorker worker(store->queue(), *store, slow, clock, random, {.lease = 2min}, 1min);

  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_EQ(given_to_others, 0);
  EXPECT_TRUE(chunk_of(id).embedding);
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), SizeIs(0));
}

TEST_F(WorkersTest, leaves_jobs_whose_lease_was_lost_to_who_has_them) {
  const auto id = add("a", "the lamp arrived broken");
  ASSERT_EQ(chunk_worker().step().value(), 1U);
  std::vector<Job> others;
  FakeEmbedder frozen({}, [&](auto&&...) {
    clock.advance(10min);  // Longer than it may take.
    others = store->queue().take(kEmbedJob, 1, 2min).value();
  });
  EmbedWorker worker(store->queue(), *store, frozen, clock, random, {.lease = 2min}, 1min);

  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_FALSE(chunk_of(id).embedding);
  ASSERT_THAT(others, SizeIs(1));
  EXPECT_TRUE(store->queue().finish(others));
}

TEST_F(WorkersTest, forgets_the_job_of_a_conversation_that_was_deleted) {
  const auto id = add("a", "the lamp arrived broken");
  ASSERT_TRUE(erase_conversation(*store, kAcme, id));

  ASSERT_TRUE(chunk_worker().step());

  EXPECT_TRUE(store->chunks(kAcme, id)->empty());
  EXPECT_THAT(dead_letters(), SizeIs(0));
}

TEST_F(WorkersTest, a_stream_that_fell_silent_ends) {
  const auto id = add("a", "hello?");
  auto job = make_conversation_job(kIdleJob, kAcme, id);
  job.delay = 60min;
  ASSERT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) { return writer.enqueue(job); }));
  IdleWorker worker(store->queue(), *store, random);
  EXPECT_EQ(worker.step().value(), 0U);

  clock.advance(60min + 1s);

  EXPECT_EQ(worker.step().value(), 1U);
  EXPECT_EQ(store->find_conversation(kAcme, id).value()->conversation.status, "ended");
}

TEST_F(WorkersTest, asks_for_new_vectors_when_the_model_has_changed) {
  const auto id = add("a", "the lamp arrived broken");
  ASSERT_EQ(chunk_worker().step().value(), 1U);
  ASSERT_EQ(embed_worker().step().value(), 1U);
  FakeEmbedder newer({.model_id = "newer"});

  EXPECT_EQ(enqueue_missing_embeddings(*store, "newer").value(), 1U);
  EXPECT_EQ(enqueue_missing_embeddings(*store, embedder.model_id()).value(), 0U);
  EmbedWorker worker(store->queue(), *store, newer, clock, random);
  ASSERT_EQ(worker.step().value(), 1U);

  EXPECT_EQ(chunk_of(id).embedding->model, "newer");
}

}  // namespace
}  // namespace samtale

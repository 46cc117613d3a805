#include "analyze/worker.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "queue/conversation_job.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr CompanyId kAcme{1};

class AnalyzeWorkerTest : public testing::Test {
 protected:
  AnalyzeWorkerTest() {
    std::string folder = testing::TempDir() + "/analyze-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    SqliteStoreOptions options;
    options.folder = folder_;
    options.partitions = 1;
    store = *SqliteStore::open(options, clock, random);
  }
  ~AnalyzeWorkerTest() override { std::filesystem::remove_all(folder_); }

  // A stored conversation with a waiting job.
  ConversationId add(const std::string& name, const std::string& text,
                     const std::string& status = "ended") {
    StoredConversation stored;
    auto& conversation = stored.conversation;
    conversation.id = make_conversation_id(kAcme, "api", name);
    conversation.source = "api";
    conversation.external_id = name;
    conversation.status = status;
    conversation.turns.push_back({.id = "1", .role = "customer", .text = text});
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.put_conversation(kAcme, stored));
      return writer.enqueue(make_conversation_job(kAnalyzeJob, kAcme, conversation.id));
    }));
    return conversation.id;
  }
  std::vector<StoredAnalysis> analyses(const ConversationId& id) {
    return store->analyses(kAcme, id).value();
  }

  SimClock clock;
  SimRandom random{1};
  std::unique_ptr<SqliteStore> store;
  const WordStatisticsOf no_words = [](CompanyId) { return nullptr; };

 private:
  std::string folder_;
};

TEST_F(AnalyzeWorkerTest, concludes_from_a_conversation_that_has_ended) {
  const auto id = add("a", "The lamp arrived broken.");
  AnalyzeWorker worker(store->queue(), *store, no_words, clock, random);

  EXPECT_EQ(worker.step().value(), 1U);

  ASSERT_THAT(analyses(id), SizeIs(3));
  EXPECT_EQ(analyses(id)[0].revision, 1);
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), IsEmpty());
}

TEST_F(AnalyzeWorkerTest, leaves_alone_what_is_open_deleted_or_known) {
  const auto open = add("open", "The lamp arrived broken.", "open");
  const auto deleted = add("deleted", "The lamp arrived broken.");
  EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(const auto positions, writer.erase_conversation(kAcme, deleted));
    return writer.enqueue(make_conversation_job(kAnalyzeJob, kAcme, deleted));
  }));
  AnalyzeWorker worker(store->queue(), *store, no_words, clock, random);
  EXPECT_EQ(worker.step().value(), 2U);
  EXPECT_THAT(analyses(open), IsEmpty());
  EXPECT_THAT(analyses(deleted), IsEmpty());

  const auto known = add("known", "The lamp arrived broken.");
  EXPECT_EQ(worker.step().value(), 1U);
  const auto made_at = analyses(known)[0].created_at;
  clock.advance(std::chrono::hours(1));
  std::size_t asked = 0;
  EXPECT_EQ(enqueue_analyses(*store, kAcme, "", asked).value(), "");
  EXPECT_EQ(asked, 1U);
  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_EQ(analyses(known)[0].created_at, made_at);
}

TEST_F(AnalyzeWorkerTest, concludes_anew_from_a_later_revision) {
  const auto id = add("a", "The lamp arrived broken.");
  AnalyzeWorker worker(store->queue(), *store, no_words, clock, random);
  EXPECT_EQ(worker.step().value(), 1U);

  add("a", "The lamp arrived. Wonderful lamp!");
  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_EQ(analyses(id)[0].revision, 2);
  EXPECT_EQ(analyses(id)[0].labels.at(0), "positive");
}

TEST_F(AnalyzeWorkerTest, parks_a_job_of_a_newer_version_and_does_the_others) {
  EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
    NewJob job;
    job.company = kAcme;
    job.kind = kAnalyzeJob;
    job.payload = R"({"v":2})";
    return writer.enqueue(job);
  }));
  const auto id = add("a", "The lamp arrived broken.");
  AnalyzeWorker worker(store->queue(), *store, no_words, clock, random);

  EXPECT_EQ(worker.step().value(), 2U);

  EXPECT_THAT(analyses(id), SizeIs(3));
  EXPECT_THAT(*store->queue().dead_letters(kAcme, std::nullopt, 10), SizeIs(1));
}

}  // namespace
}  // namespace samtale

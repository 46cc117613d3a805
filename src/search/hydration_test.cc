// Goal:   what is shown is what the store has at some moment of the call, kept or not.
// Method: random changes by many seeds against a real store, each answer compared with one that
//         keeps nothing; with threads: who has changed something is shown its change, whoever else
//         asks.
#include "search/hydration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

using testing::IsNull;

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};
constexpr std::size_t kMegabyte = std::size_t{1} << 20;

class HydrationTest : public testing::Test {
 protected:
  HydrationTest() {
    std::string folder = testing::TempDir() + "/hydration-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    SqliteStoreOptions options;
    options.folder = folder_;
    options.partitions = 1;
    store = *SqliteStore::open(options, clock_, random);
  }
  ~HydrationTest() override { std::filesystem::remove_all(folder_); }

  static ConversationId id_of(CompanyId company, int number) {
    return make_conversation_id(company, "api", std::to_string(number));
  }

  // A conversation whose title and chunks say `text`.
  void put(CompanyId company, int number, const std::string& text, std::uint32_t chunks = 3) {
    const auto id = id_of(company, number);
    std::vector<Chunk> cut;
    for (std::uint32_t i = 0; i < chunks; ++i) {
      cut.push_back({.ordinal = i, .text = text + std::to_string(i), .policy = "turns-v1"});
    }
    ASSERT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      StoredConversation stored;
      stored.conversation = {.id = id, .source = "api", .title = text, .tags = {text}};
      SAMTALE_TRY_VOID(writer.put_conversation(company, stored));
      return writer.put_chunks(company, id, cut);
    }));
  }
  void erase(CompanyId company, int number) {
    ASSERT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY([[maybe_unused]] const auto places,
                  writer.erase_conversation(company, id_of(company, number)));
      return {};
    }));
  }

  static FoundChunks wanted(CompanyId company, int number,
                            std::vector<std::uint32_t> ordinals = {0}) {
    return {.conversation = id_of(company, number), .ordinals = std::move(ordinals)};
  }
  static std::string title(Hydration& hydration, CompanyId company, int number) {
    const auto shown = hydration.of(company, std::vector{wanted(company, number)});
    EXPECT_TRUE(shown);
    return shown->front() ? shown->front()->summary.head.title : "none";
  }
  // All that is shown of those wanted.
  static std::string text(const std::vector<Hydration::Shown>& shown,
                          const std::vector<FoundChunks>& found) {
    std::string text;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      text += shown[i] ? shown[i]->summary.head.title : "none";
      for (const auto ordinal : found[i].ordinals) {
        const auto* chunk = shown[i] && shown[i]->chunks.contains(ordinal)
                                ? &shown[i]->chunks.at(ordinal)
                                : nullptr;
        text += chunk != nullptr ? " " + chunk->text : " gone";
      }
      text += "\n";
    }
    return text;
  }

 private:
  std::string folder_;
  SimClock clock_;

 protected:
  SimRandom random{1};
  std::unique_ptr<SqliteStore> store;
};

TEST_F(HydrationTest, shows_again_what_has_not_changed) {
  put(kAcme, 1, "lamp");
  put(kAcme, 2, "bill");
  Hydration hydration(*store, kMegabyte);
  ASSERT_EQ(title(hydration, kAcme, 1), "lamp");

  put(kAcme, 2, "other bill");

  EXPECT_EQ(title(hydration, kAcme, 1), "lamp");
  EXPECT_EQ(hydration.stats().hits, 1U);
  EXPECT_EQ(hydration.stats().misses, 1U);
}

TEST_F(HydrationTest, shows_a_change_and_a_deletion_at_once) {
  put(kAcme, 1, "lamp");
  Hydration hydration(*store, kMegabyte);
  ASSERT_EQ(title(hydration, kAcme, 1), "lamp");

  put(kAcme, 1, "lamp, broken");
  EXPECT_EQ(title(hydration, kAcme, 1), "lamp, broken");

  erase(kAcme, 1);
  EXPECT_EQ(title(hydration, kAcme, 1), "none");
}

TEST_F(HydrationTest, never_shows_another_companys_conversation) {
  put(kAcme, 1, "secret");
  Hydration hydration(*store, kMegabyte);
  ASSERT_EQ(title(hydration, kAcme, 1), "secret");

  const auto shown = hydration.of(kGlobex, std::vector{wanted(kAcme, 1)});

  ASSERT_TRUE(shown);
  EXPECT_THAT(shown->front(), IsNull());
}

TEST_F(HydrationTest, keeps_the_chunks_that_different_searches_show_of_one_conversation) {
  put(kAcme, 1, "lamp");
  Hydration hydration(*store, kMegabyte);
  ASSERT_TRUE(hydration.of(kAcme, std::vector{wanted(kAcme, 1, {0})}));
  ASSERT_TRUE(hydration.of(kAcme, std::vector{wanted(kAcme, 1, {1, 2})}));

  const std::vector both{wanted(kAcme, 1, {0, 1})};
  const auto shown = hydration.of(kAcme, both);

  ASSERT_TRUE(shown);
  EXPECT_EQ(text(*shown, both), "lamp lamp0 lamp1\n");
  EXPECT_EQ(hydration.stats().hits, 1U);
}

TEST_F(HydrationTest, shows_nothing_of_before_when_the_feed_has_forgotten_what_changed) {
  put(kAcme, 1, "lamp");
  Hydration hydration(*store, kMegabyte);
  ASSERT_EQ(title(hydration, kAcme, 1), "lamp");

  put(kAcme, 1, "lamp, broken");
  ASSERT_TRUE(store->trim_changes(Partition{0}, store->last_change(Partition{0})->sequence));

  EXPECT_EQ(title(hydration, kAcme, 1), "lamp, broken");
}

TEST_F(HydrationTest, keeps_nothing_of_what_was_deleted_where_nobody_searches_any_more) {
  put(kAcme, 1, "lamp");
  put(kGlobex, 1, "bill");
  Hydration hydration(*store, kMegabyte);
  ASSERT_EQ(title(hydration, kAcme, 1), "lamp");
  ASSERT_EQ(title(hydration, kGlobex, 1), "bill");

  erase(kAcme, 1);
  ASSERT_TRUE(hydration.follow());
  EXPECT_EQ(hydration.stats().values, 1U);

  erase(kGlobex, 1);
  ASSERT_TRUE(store->trim_changes(Partition{0}, store->last_change(Partition{0})->sequence));
  ASSERT_TRUE(hydration.follow());
  EXPECT_EQ(hydration.stats().values, 0U) << "also where the feed has forgotten what was deleted";
}

TEST_F(HydrationTest, stays_within_its_bytes) {
  constexpr int kCount = 200;
  for (int i = 0; i < kCount; ++i) put(kAcme, i, std::string(1000, 'x'));
  Hydration hydration(*store, kMegabyte / 8);

  for (int i = 0; i < kCount; ++i) EXPECT_EQ(title(hydration, kAcme, i).size(), 1000U);

  EXPECT_LE(hydration.stats().bytes, kMegabyte / 8);
  EXPECT_GT(hydration.stats().evictions, 0U);
  EXPECT_GT(hydration.stats().values, 20U);
}

TEST_F(HydrationTest, shows_what_one_shows_that_keeps_nothing_whatever_changes) {
  constexpr int kCount = 12;
  Hydration none(*store, 0);
  Hydration hydration(*store, kMegabyte);
  int first = 0;  // Of those there are: who was erased does not come back.
  const auto any = [&] { return first + static_cast<int>(random.below(kCount)); };
  for (int step = 0; step < 400; ++step) {
    if (random.one_in(10)) {
      erase(kAcme, first++);
    } else if (random.one_in(2)) {
      put(kAcme, any(), "text " + std::to_string(step),
          static_cast<std::uint32_t>(1 + random.below(4)));
    }
    if (random.one_in(20)) {
      ASSERT_TRUE(store->trim_changes(Partition{0}, store->last_change(Partition{0})->sequence));
    }
    std::vector<FoundChunks> found;
    for (int i = 0; i < 3; ++i) {
      found.push_back(wanted(kAcme, any(), {static_cast<std::uint32_t>(random.below(2))}));
    }

    const auto shown = hydration.of(kAcme, found);
    const auto expected = none.of(kAcme, found);

    ASSERT_TRUE(shown && expected);
    ASSERT_EQ(text(*shown, found), text(*expected, found)) << "step " << step;
  }
  EXPECT_GT(hydration.stats().hits, 100U);
  EXPECT_EQ(none.stats().values, 0U);
}

TEST_F(HydrationTest, shows_everybody_their_own_change_whoever_else_asks) {
  constexpr int kWriters = 3;
  constexpr int kChanges = 60;
  Hydration hydration(*store, kMegabyte);
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] {
        for (int change = 0; change < kChanges; ++change) {
          const auto text = "change " + std::to_string(change);
          put(kAcme, writer, text);
          wrong += title(hydration, kAcme, writer) == text ? 0 : 1;
          wrong += title(hydration, kAcme, (writer + 1) % kWriters).empty() ? 1 : 0;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace samtale

// Goal:   what is opened on first use, and leaves for others, answers as if all were in memory all
// the
//         time, and nothing else.
#include "search/index_follower.h"

#include <array>
#include <atomic>
#include <map>
#include <stop_token>
#include <thread>

#include "base/bytes.h"
#include "search/testing/native_search.h"
#include "sim/memory_log.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

constexpr auto kWhole = IndexFollower::Part::whole;
constexpr auto kLong = std::chrono::hours(1);

class IndexFollowerTest : public SearchFixture {
 protected:
  IndexFollowerTest() : SearchFixture(NativeBackend::make()) {}

  // As after a restart.
  struct Node {
    Node(IndexFollowerTest& test, std::size_t bytes_max)
        : budget(bytes_max),
          cache(test.embedder.model_id(), std::size_t{1} << 20),
          indexes(
              test.embedder.model_id(), test.embedder.dimension(), {}, nullptr,
              [this](CompanyId company) { cache.forget(company); }, &budget),
          follower(test.store, Partition{0}, indexes),
          searcher(indexes, test.hydration, test.query_vectors, cache, test.clock,
                   {.cursor_key = "a key"}) {
      EXPECT_TRUE(follower.load());
    }
    void settle() {
      while (follower.step().value() > 0) continue;
    }
    [[nodiscard]] std::shared_ptr<const CompanyIndex> find(CompanyId company) const {
      return indexes.find(company);
    }

    IndexBudget budget;
    NearCache cache;
    IndexSet indexes;
    IndexFollower follower;
    Searcher searcher;
  };
  std::string answer(Node& node, CompanyId company, const SearchRequest& request) {
    const auto index = open(node.follower, company, kWhole);
    const auto answered = node.searcher.search(company, request);
    EXPECT_TRUE(answered);
    return answered ? shown(*answered) : "";
  }
  // A graph's file of kAcme, as its name says; nobody looks into it.
  std::unique_ptr<SegmentFolder> folder_with_file() {
    EXPECT_TRUE(files.make_folder("/index"));
    const auto model = hex(view(sha256(embedder.model_id()))).substr(0, 16);
    files.replace("/index/0000000000000001-" + model + ".seg", "a graph");
    return SegmentFolder::open(files, "/index", embedder.model_id(), embedder.dimension(), clock,
                               log)
        .value();
  }
  // That of kAcme, with what it has now.
  std::size_t bytes_of_one() {
    Node node(*this, 0);
    return open(node.follower, kAcme, kWhole)->size().bytes;
  }

  SimFiles files{random};
  MemoryLog log;
};

TEST_F(IndexFollowerTest, nothing_is_read_before_it_is_asked_for_and_then_that_alone) {
  add(kAcme, "lamp", "the lamp arrived broken");
  add(kGlobex, "desk", "the desk arrived broken");
  Node node(*this, 1);  // So that nothing is opened without being asked for.
  node.settle();
  ASSERT_EQ(node.indexes.companies(), 1U);

  const auto index = open(node.follower, kGlobex, kWhole);

  EXPECT_EQ(index->size().conversations, 1U);
  EXPECT_EQ(node.find(kAcme), nullptr);
}

TEST_F(IndexFollowerTest, all_is_opened_in_the_background_while_there_is_room) {
  for (int i = 1; i <= 40; ++i) add(CompanyId{i}, "lamp", "the lamp arrived broken");
  Node node(*this, 0);
  EXPECT_FALSE(node.follower.is_warm());

  node.settle();

  EXPECT_EQ(node.indexes.companies(), 40U);
  EXPECT_TRUE(node.follower.is_warm());
}

TEST_F(IndexFollowerTest, who_waits_for_a_company_is_woken_when_all_of_it_is_there) {
  for (int i = 0; i < 70; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  Node node(*this, 0);
  std::size_t found = 0;

  std::jthread waiting([&] {
    const auto index = node.follower.open(kAcme, kWhole, kLong);
    found = (*index)->size().conversations;
  });
  node.follower.rest({}, kLong, {});  // Ends once somebody waits.
  node.settle();
  waiting.join();

  EXPECT_EQ(found, 70U);
}

TEST_F(IndexFollowerTest, who_cannot_wait_is_told_so_and_finds_it_later) {
  add(kAcme, "lamp", "the lamp arrived broken");
  Node node(*this, 0);

  const auto now = node.follower.open(kAcme, kWhole, {});
  ASSERT_FALSE(now);
  EXPECT_EQ(now.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(node.searcher.search(kAcme, {.query = "lamp"})) << "no answer is not an empty one";

  node.settle();
  EXPECT_NE(*node.follower.open(kAcme, kWhole, {}), nullptr);
}

TEST_F(IndexFollowerTest, who_waits_for_an_index_that_goes_away_is_told_at_once) {
  add(kAcme, "lamp", "the lamp arrived broken");
  Node node(*this, 0);
  Result<std::shared_ptr<const CompanyIndex>> index = nullptr;

  std::jthread waiting([&] { index = node.follower.open(kAcme, kWhole, kLong); });
  node.follower.rest({}, kLong, {});
  node.follower.drop();
  waiting.join();

  ASSERT_TRUE(index);
  EXPECT_EQ(*index, nullptr);
}

TEST_F(IndexFollowerTest, a_company_without_anything_is_looked_at_once) {
  Node node(*this, 0);

  const auto index = open(node.follower, kGlobex, kWhole);

  EXPECT_EQ(index->size().conversations, 0U);
  EXPECT_EQ(*node.follower.open(kGlobex, kWhole, {}), index);
  add(kGlobex, "desk", "the desk arrived");
  node.settle();
  EXPECT_EQ(index->size().conversations, 1U) << "it is kept like any other";
}

TEST_F(IndexFollowerTest, small_companies_do_not_wait_for_the_end_of_a_large_one) {
  for (int i = 0; i < 600; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  add(kGlobex, "desk", "the desk arrived");
  Node node(*this, 0);
  ASSERT_FALSE(node.follower.open(kAcme, kWhole, {}));
  ASSERT_FALSE(node.follower.open(kGlobex, kWhole, {}));

  ASSERT_TRUE(node.follower.step());

  EXPECT_TRUE(node.follower.open(kGlobex, kWhole, {}));
  EXPECT_FALSE(node.follower.open(kAcme, kWhole, {}));
}

TEST_F(IndexFollowerTest, what_changes_while_a_company_is_opened_is_in_it) {
  for (int i = 0; i < 600; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  Node node(*this, 0);
  ASSERT_FALSE(node.follower.open(kAcme, kWhole, {}));
  ASSERT_TRUE(node.follower.step());
  ASSERT_FALSE(node.follower.open(kAcme, kWhole, {})) << "some pages are not all";

  for (int i = 0; i < 600; i += 7)
    remove(kAcme, make_conversation_id(kAcme, "api", "c" + std::to_string(i)));
  add(kAcme, "late", "a lion");
  node.settle();

  const SearchRequest request{.query = "lion zebra", .limit = 100};
  EXPECT_EQ(answer(node, kAcme, request), shown(*searcher().search(kAcme, request)));
  EXPECT_EQ(node.indexes.size(kAcme).conversations, 600U - 86U + 1U);
}

TEST_F(IndexFollowerTest, what_is_opened_has_as_much_of_the_time_as_what_changes) {
  for (int i = 0; i < 900; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  Node node(*this, 1);  // So that nothing is opened without being asked for.
  node.settle();
  for (int i = 0; i < 1000; ++i) add(kGlobex, "c" + std::to_string(i), "the same lion");
  ASSERT_FALSE(node.follower.open(kAcme, kWhole, {}));

  ASSERT_TRUE(node.follower.step());

  EXPECT_TRUE(node.follower.open(kAcme, kWhole, {}));
}

TEST_F(IndexFollowerTest, what_was_deleted_while_a_company_was_cold_is_not_in_it) {
  const auto id = add(kAcme, "lamp", "the lamp arrived broken");
  add(kAcme, "desk", "the desk arrived broken");
  Node node(*this, 1);
  open(node.follower, kGlobex, kWhole);
  node.settle();
  ASSERT_EQ(node.find(kAcme), nullptr);

  remove(kAcme, id);
  ASSERT_TRUE(node.indexes.refresh(store, kAcme, {&id, 1})) << "as who deletes does";
  node.settle();

  EXPECT_EQ(node.find(kAcme), nullptr) << "nobody has asked for it";
  EXPECT_EQ(open(node.follower, kAcme, kWhole)->size().conversations, 1U);
}

TEST_F(IndexFollowerTest, those_used_least_recently_leave_first_and_all_is_counted) {
  for (int i = 1; i <= 8; ++i) add(CompanyId{i}, "lamp", "the lamp arrived broken");
  const auto one = bytes_of_one();
  const auto most = 5 * one + one / 2;
  Node node(*this, most);
  node.settle();  // From now on only what is asked for is opened.
  for (int i = 1; i <= 5; ++i) open(node.follower, CompanyId{i}, kWhole);
  const auto evictions = node.budget.evictions();
  ASSERT_NE(node.find(CompanyId{1}), nullptr);  // Used again.

  open(node.follower, CompanyId{6}, kWhole);

  EXPECT_NE(node.find(CompanyId{1}), nullptr);
  EXPECT_EQ(node.find(CompanyId{2}), nullptr);
  EXPECT_NE(node.find(CompanyId{6}), nullptr);
  EXPECT_EQ(node.budget.bytes(), node.indexes.size().bytes);
  EXPECT_LE(node.budget.bytes(), most);
  EXPECT_EQ(node.budget.evictions(), evictions + 1);
  EXPECT_EQ(node.indexes.companies(), 5U);
  node.follower.drop();
  EXPECT_EQ(node.budget.bytes(), 0U);
}

TEST_F(IndexFollowerTest, what_somebody_holds_does_not_leave_and_goes_on_to_be_kept) {
  add(kAcme, "lamp", "the lamp arrived broken");
  Node node(*this, 1);
  const auto held = open(node.follower, kAcme, kWhole);

  for (int i = 2; i < 9; ++i) open(node.follower, CompanyId{i}, kWhole);
  add(kAcme, "desk", "the desk arrived");
  node.settle();

  EXPECT_EQ(node.find(kAcme), held);
  EXPECT_EQ(held->size().conversations, 2U);
}

TEST_F(IndexFollowerTest, a_company_that_is_larger_than_the_memory_stays_for_the_next_search) {
  for (int i = 0; i < 200; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  add(kGlobex, "desk", "the desk arrived");
  Node node(*this, bytes_of_one() / 2);
  open(node.follower, kAcme, kWhole);

  add(kAcme, "late", "a lion");
  node.settle();

  EXPECT_NE(node.find(kAcme), nullptr);
  open(node.follower, kGlobex, kWhole);
  EXPECT_NE(node.find(kGlobex), nullptr);
}

TEST_F(IndexFollowerTest, what_has_left_comes_back_for_a_search_and_not_for_a_change) {
  add(kAcme, "lamp", "the lamp arrived broken");
  Node node(*this, 1);
  node.settle();
  open(node.follower, kGlobex, kWhole);
  node.settle();
  ASSERT_EQ(node.find(kAcme), nullptr);

  add(kAcme, "desk", "the desk arrived");
  node.settle();
  EXPECT_EQ(node.find(kAcme), nullptr);

  EXPECT_EQ(open(node.follower, kAcme, kWhole)->size().conversations, 2U);
}

TEST_F(IndexFollowerTest, a_file_of_a_cold_company_stays_until_it_tells_of_what_is_gone) {
  const auto lamp = add(kAcme, "lamp", "the lamp arrived broken");
  const auto segments = folder_with_file();
  IndexSet cold(embedder.model_id(), embedder.dimension(), {}, segments.get());

  ASSERT_TRUE(cold.maintain({}, [](CompanyId) { return true; }));
  ASSERT_TRUE(cold.refresh(store, kAcme, {&lamp, 1}));
  EXPECT_TRUE(segments->has(kAcme));
  remove(kAcme, lamp);
  ASSERT_TRUE(cold.refresh(store, kAcme, {&lamp, 1}));
  EXPECT_FALSE(segments->has(kAcme));
}

TEST_F(IndexFollowerTest, a_file_of_a_company_that_is_not_to_be_here_goes) {
  const auto segments = folder_with_file();
  IndexSet cold(embedder.model_id(), embedder.dimension(), {}, segments.get());

  ASSERT_TRUE(cold.maintain({}, [](CompanyId) { return false; }));

  EXPECT_THAT(files.paths(), IsEmpty());
}

TEST_F(IndexFollowerTest, answers_are_the_same_however_little_memory_there_is) {
  constexpr const char* kWords[] = {"parcel", "invoice", "refund", "angry", "thanks", "broken"};
  constexpr std::int64_t kCompanies = 5;
  Node small(*this, 1);
  Node some(*this, 3 * bytes_of_one());
  std::map<CompanyId, std::vector<std::string>> names;
  const auto some_words = [&] {
    std::string text;
    for (auto left = 1 + random.below(4); left > 0; --left) {
      text += std::string(kWords[random.below(std::size(kWords))]) + " ";
    }
    return text;
  };
  for (int round = 0; round < 400; ++round) {
    const CompanyId company{1 + static_cast<std::int64_t>(random.below(kCompanies))};
    auto& known = names[company];
    if (known.size() > 3 && random.one_in(3)) {
      const auto place = random.below(known.size());
      const auto id = make_conversation_id(company, "api", known[place]);
      remove(company, id);
      // At once, as who deletes does, before the feed comes by.
      for (auto* node : {&small, &some})
        ASSERT_TRUE(node->indexes.refresh(store, company, {&id, 1}));
      known.erase(known.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      if (known.empty() || !random.one_in(4)) known.push_back("c" + std::to_string(round));
      add(company, known[random.below(known.size())], some_words());
    }
    for (auto* node : {&small, &some}) {
      if (random.one_in(3)) continue;
      ASSERT_TRUE(node->follower.step());
    }
    const CompanyId asked{1 + static_cast<std::int64_t>(random.below(kCompanies))};
    SearchRequest request{.query = some_words(), .limit = 5};
    request.mode =
        std::array{SearchMode::hybrid, SearchMode::vector, SearchMode::keyword}[random.below(3)];
    open(asked);
    const auto last = store.last_change(Partition{0})->sequence;
    const auto expected = shown(*searcher().search(asked, request));
    for (auto* node : {&small, &some}) {
      const auto held = open(node->follower, asked, kWhole);
      while (node->follower.wait_applied(last, {}) < last) ASSERT_TRUE(node->follower.step());
      ASSERT_EQ(answer(*node, asked, request), expected) << "round " << round;
    }
  }
  EXPECT_GT(small.budget.evictions(), 100U);
  EXPECT_GT(some.budget.evictions(), 20U);
  EXPECT_GT(some.cache.stats().cache.hits, 0U);
}

TEST_F(IndexFollowerTest, searches_beside_evictions_answer_in_full) {
  constexpr std::int64_t kCompanies = 6;
  for (std::int64_t i = 1; i <= kCompanies; ++i) {
    for (int c = 0; c < 5; ++c) add(CompanyId{i}, "c" + std::to_string(c), "the same zebra");
  }
  Node node(*this, 1);
  std::atomic<int> wrong = 0;
  {
    std::jthread following([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (node.follower.step().value() == 0)
          node.follower.rest({}, std::chrono::milliseconds(1), stop);
      }
    });
    std::vector<std::jthread> searching;
    for (int thread = 0; thread < 3; ++thread) {
      searching.emplace_back([&, thread] {
        for (int i = 0; i < 60; ++i) {
          const CompanyId company{1 + (i * (thread + 1)) % kCompanies};
          const auto index = node.follower.open(company, kWhole, kLong);
          const auto answer = node.searcher.search(company, {.query = "zebra"});
          if (!answer || answer->hits.size() != 5 || node.find(company) != *index) ++wrong;
        }
      });
    }
    searching.clear();
  }

  EXPECT_EQ(wrong, 0);
  EXPECT_GT(node.budget.evictions(), 10U);
}

}  // namespace
}  // namespace samtale

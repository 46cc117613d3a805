#include <gtest/gtest.h>
#include <malloc.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "index/company_index_conformance.h"
#include "index/segment_folder.h"
#include "index/testing/vectors.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sys/files.h"

namespace samtale {
namespace {

struct MakeTieredIndex {
  std::unique_ptr<CompanyIndex> operator()(std::size_t dimension) const {
    return make_company_index(dimension);
  }
};

// Its vectors go from tier to tier all the time.
struct MakeRestlessIndex {
  std::unique_ptr<CompanyIndex> operator()(std::size_t dimension) const {
    return make_company_index(dimension, {.graph_from = 20});
  }
};

// Its floats go from memory to files, and from file to file. All of them on one disk, the real one.
struct MakeMappedIndex {
  struct Disk {
    Disk() {
      std::string made = testing::TempDir() + "/index-XXXXXX";
      path = ::mkdtemp(made.data());
    }
    ~Disk() { std::filesystem::remove_all(path); }

    std::string path;
    SimClock clock;
    MemoryLog log;
    std::unique_ptr<Files> files = make_system_files();
  };

  std::unique_ptr<CompanyIndex> operator()(std::size_t dimension) const {
    static Disk disk;
    static const auto folder = SegmentFolder::open(*disk.files, disk.path + "/index", "a-model",
                                                   dimension, disk.clock, disk.log)
                                   .value();
    static std::int64_t companies = 0;
    return make_company_index(dimension, {.graph_from = 20, .float_file_bytes = 1'024},
                              {folder.get(), CompanyId{++companies}});
  }
};

}  // namespace

namespace index_conformance {
INSTANTIATE_TYPED_TEST_SUITE_P(TieredIndex, CompanyIndexConformance, MakeTieredIndex);
INSTANTIATE_TYPED_TEST_SUITE_P(RestlessIndex, CompanyIndexConformance, MakeRestlessIndex);
INSTANTIATE_TYPED_TEST_SUITE_P(MappedIndex, CompanyIndexConformance, MakeMappedIndex);
}  // namespace index_conformance

namespace {

using index_conformance::conversation;

void put_words(CompanyIndex& index, int number, const std::string& text) {
  const IndexChunk chunks[] = {{0, text, {}}};
  ASSERT_TRUE(index.put(conversation(number), {}, chunks).has_value());
}

TEST(TieredIndexTest, scores_by_the_formula_of_bm25) {
  const auto index = make_company_index(0);
  put_words(*index, 1, "refund refund one two");
  put_words(*index, 2, "one two");

  const auto hits = index->words("refund", 10, {});

  // ln(1 + (2 - 1 + .5) / (1 + .5)) * 2 / (2 + 1.2 * (.25 + .75 * 4 / 3)), by hand.
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_NEAR(hits[0].score, 0.693147 * 2 / 3.5, 1e-6);
  EXPECT_EQ(index->words("refund the refund", 10, {})[0].score, hits[0].score);
}

TEST(TieredIndexTest, finds_by_codes_what_a_look_at_every_vector_finds) {
  constexpr int kVectors = 3'000;
  for (const std::size_t dimension : {8, 100, 384}) {
    std::mt19937_64 random(dimension);
    const auto index = make_company_index(dimension);
    std::vector<std::vector<float>> vectors;
    for (int i = 0; i < kVectors; ++i) {
      vectors.push_back(i % 3 == 2 ? vectors.back() : clustered(random, dimension));
      const IndexChunk chunks[] = {{0, "", vectors.back()}};
      Attributes attributes;
      attributes.channel = i % 5 == 0 ? "voice" : "chat";
      ASSERT_TRUE(index->put(conversation(i), std::move(attributes), chunks));
    }
    for (int i = 0; i < kVectors; i += 11) index->remove(conversation(i));

    for (int q = 0; q < 60; ++q) {
      const bool is_filtered = q % 2 == 0;
      const auto query = clustered(random, dimension);
      const auto filter = [](const Attributes& attributes) {
        return attributes.channel == "voice";
      };
      // With a limit of all there is, every vector is looked at.
      const auto every =
          index->nearest(query, kVectors, is_filtered ? filter : ConversationFilter{});
      for (const std::size_t limit : {1, 10, 200}) {
        const auto found =
            index->nearest(query, limit, is_filtered ? filter : ConversationFilter{});

        ASSERT_EQ(found->hits.size(), limit);
        for (std::size_t i = 0; i < limit; ++i) {
          ASSERT_EQ(found->hits[i].conversation, every->hits[i].conversation)
              << dimension << " " << q;
          ASSERT_EQ(found->hits[i].score, every->hits[i].score);
        }
      }
    }
  }
}

// A company large enough for a graph.
class LargeIndexTest : public testing::Test {
 protected:
  static constexpr std::size_t kDimension = 24;
  static constexpr int kConversations = 6'000;
  static constexpr double kRecallTarget = 0.95;

  void SetUp() override {
    for (int i = 0; i < kConversations; ++i) put(i);
    ASSERT_TRUE(index->maintain({}).value());
    ASSERT_EQ(index->size().graph_vectors, static_cast<std::size_t>(kConversations));
  }

  void put(int number) {
    const auto vector = clustered(random, kDimension);
    const IndexChunk chunks[] = {{0, "", vector}};
    Attributes attributes;
    attributes.channel = number % 2 == 0 ? "chat" : number % 20 == 1 ? "mail" : "voice";
    attributes.source = std::to_string(number);
    ASSERT_TRUE(index->put(conversation(number), std::move(attributes), chunks));
  }

  // The share of the true nearest ten that searches find.
  double recall(const ConversationFilter& filter, bool expects_graph) {
    constexpr int kQueries = 100;
    std::size_t found = 0;
    for (int q = 0; q < kQueries; ++q) {
      const auto query = clustered(random, kDimension);
      const auto got = index->nearest(query, 10, filter).value();
      const auto truth = index->nearest(query, 10, filter, true).value();
      EXPECT_EQ(got.is_exact, !expects_graph);
      EXPECT_TRUE(truth.is_exact);
      EXPECT_EQ(got.hits.size(), truth.hits.size());
      for (const auto& hit : got.hits) found += hit.score >= truth.hits.back().score ? 1 : 0;
    }
    return static_cast<double>(found) / (10 * kQueries);
  }

  std::mt19937_64 random{3};
  std::unique_ptr<CompanyIndex> index =
      make_company_index(kDimension, {.graph_from = 2'000, .recall_target = kRecallTarget});
};

TEST_F(LargeIndexTest, finds_as_much_as_it_promises_and_says_what_it_measured) {
  EXPECT_GE(recall({}, true), kRecallTarget);
  EXPECT_GE(index->size().recall, kRecallTarget);
  EXPECT_LE(index->size().recall, 1);
}

TEST_F(LargeIndexTest, finds_as_much_behind_a_filter) {
  const auto on = [](std::string channel) {
    return [channel](const Attributes& attributes) { return attributes.channel == channel; };
  };
  EXPECT_GE(recall(on("chat"), true), kRecallTarget);
  EXPECT_EQ(recall(on("mail"), false), 1) << "few are scanned";
  EXPECT_THAT(index->nearest(clustered(random, kDimension), 10, on("fax"))->hits,
              testing::IsEmpty());
}

TEST_F(LargeIndexTest, looks_elsewhere_if_a_filter_leaves_none_near_the_query) {
  const auto query = clustered(random, kDimension);
  std::set<ConversationId> near;
  const auto half = index->nearest(query, kConversations / 2, {}, true).value();
  for (const auto& hit : half.hits) near.insert(hit.conversation);
  const auto far_away = [&near](const Attributes& attributes) {
    return !near.contains(conversation(std::stoi(attributes.source)));
  };

  const auto found = index->nearest(query, 10, far_away).value();

  EXPECT_TRUE(found.is_exact);
  EXPECT_EQ(found.hits.size(), 10U);
  EXPECT_EQ(found.hits[0].score, index->nearest(query, 10, far_away, true)->hits[0].score);
}

TEST_F(LargeIndexTest, leaves_a_vector_in_the_graph_when_only_its_conversation_changes) {
  const auto vector = clustered(random, kDimension);
  const IndexChunk chunks[] = {{0, "", vector}};
  ASSERT_TRUE(index->put(conversation(kConversations), {}, chunks));
  for (int i = kConversations; i < kConversations * 3 / 2; ++i) put(i + 1);
  ASSERT_TRUE(index->maintain({}).value());
  const auto in_graph = index->size().graph_vectors;

  ASSERT_TRUE(index->put(conversation(kConversations), index_conformance::on_channel("x"), chunks));

  EXPECT_EQ(index->size().graph_vectors, in_graph);
}

TEST_F(LargeIndexTest, shows_a_change_at_once_and_never_what_was_removed) {
  const auto query = clustered(random, kDimension);
  const auto nearest = index->nearest(query, 10, {})->hits;
  for (const auto& hit : nearest) index->remove(hit.conversation);
  const IndexChunk chunks[] = {{0, "new", query}};
  ASSERT_TRUE(index->put(conversation(kConversations), {}, chunks));

  const auto after = index->nearest(query, 10, {})->hits;

  ASSERT_EQ(after.size(), 10U);
  EXPECT_EQ(after[0].conversation, conversation(kConversations));
  for (const auto& hit : after) {
    for (const auto& removed : nearest) EXPECT_NE(hit.conversation, removed.conversation);
  }
}

TEST_F(LargeIndexTest, makes_a_new_graph_when_many_are_new_or_removed) {
  EXPECT_FALSE(index->maintain({}).value());
  for (int i = kConversations; i < kConversations * 3 / 2; ++i) put(i);
  EXPECT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, static_cast<std::size_t>(kConversations * 3 / 2));
  EXPECT_GE(recall({}, true), kRecallTarget);

  for (int i = 0; i < kConversations / 2; ++i) index->remove(conversation(i));
  EXPECT_GE(recall({}, true), kRecallTarget);
  EXPECT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().vectors, static_cast<std::size_t>(kConversations));
  EXPECT_GE(recall({}, true), kRecallTarget);
}

TEST_F(LargeIndexTest, makes_its_graph_anew_once_it_is_asked_to) {
  ASSERT_FALSE(index->maintain({}).value()) << "nothing is due";

  EXPECT_TRUE(index->renew_graph());

  EXPECT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, static_cast<std::size_t>(kConversations));
  EXPECT_GE(recall({}, true), kRecallTarget);
  EXPECT_FALSE(index->maintain({}).value()) << "once";
}

TEST(TieredIndexTest, has_no_graph_to_make_anew_while_it_is_small) {
  const auto index = make_company_index(8, {.graph_from = 1000});

  EXPECT_FALSE(index->renew_graph());
}

TEST_F(LargeIndexTest, scans_few_new_ones_until_they_are_in_the_graph) {
  for (int i = kConversations; i < kConversations + 300; ++i) {
    put(i);
    if (i % 2 == 0) index->remove(conversation(i - 200));
    if (i % 20 == 0) {
      ASSERT_TRUE(index->maintain({}));
    }
  }
  while (index->maintain({}).value()) {
  }

  const auto size = index->size();
  EXPECT_EQ(size.vectors, static_cast<std::size_t>(kConversations + 150));
  EXPECT_GT(size.graph_vectors + 50, size.vectors);
  EXPECT_GE(recall({}, true), kRecallTarget);
}

TEST_F(LargeIndexTest, measures_again_by_the_queries_it_is_asked) {
  for (int q = 0; q < 1'100; ++q) {
    ASSERT_TRUE(index->nearest(clustered(random, kDimension), 10, {}));
  }

  EXPECT_TRUE(index->maintain({}).value());

  EXPECT_FALSE(index->maintain({}).value());
  EXPECT_GE(recall({}, true), kRecallTarget);
}

TEST_F(LargeIndexTest, is_as_it_was_when_the_making_of_a_graph_is_stopped) {
  for (int i = kConversations; i < kConversations * 3 / 2; ++i) put(i);
  std::stop_source stop;
  stop.request_stop();

  const auto stopped = index->maintain(stop.get_token());

  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::unavailable);
  EXPECT_EQ(index->size().vectors, static_cast<std::size_t>(kConversations * 3 / 2));
  EXPECT_GE(recall({}, true), kRecallTarget);
  index->remove(conversation(kConversations));
  EXPECT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, static_cast<std::size_t>(kConversations * 3 / 2 - 1));
}

TEST_F(LargeIndexTest, answers_and_changes_while_a_graph_is_made) {
  for (int i = kConversations; i < kConversations * 3 / 2; ++i) put(i);
  std::atomic<bool> is_made = false;
  std::jthread maintainer([&] {
    EXPECT_TRUE(index->maintain({}).value());
    is_made = true;
  });

  int number = 0;
  for (; !is_made || number < 500; ++number) {
    index->remove(conversation(number % kConversations));
    put(kConversations * 2 + number);
    ASSERT_EQ(index->nearest(clustered(random, kDimension), 10, {})->hits.size(), 10U);
  }
  maintainer.join();

  const auto removed = std::min(number, kConversations);
  EXPECT_EQ(index->size().vectors,
            static_cast<std::size_t>(kConversations * 3 / 2 + number - removed));
  EXPECT_GE(recall({}, true), kRecallTarget);
}

TEST(TieredIndexTest, gives_back_the_memory_of_what_is_removed) {
  const auto index = make_company_index(0);
  for (int round = 0; round < 3; ++round) {
    for (int number = 0; number < 3'000; ++number) {
      put_words(*index, number,
                "word" + std::to_string(number) + " in round " + std::to_string(round));
    }
  }
  const auto full = index->size().bytes;

  for (int number = 0; number < 3'000; ++number) index->remove(conversation(number));

  EXPECT_EQ(index->size().chunks, 0U);
  EXPECT_LT(index->size().bytes, full / 3);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(TieredIndexTest, says_how_much_memory_it_holds_within_a_fifth) {
  std::mt19937_64 random(5);
  const auto before = mallinfo2().uordblks + mallinfo2().hblkhd;
  const auto index = make_company_index(64);
  for (int number = 0; number < 4'000; ++number) {
    std::string text;
    for (int word = 0; word < 60; ++word)
      text += " w" + std::to_string(random() % (random() % 20'000 + 1));
    const auto vector = unit_vector(random, 64);
    const IndexChunk chunks[] = {{0, text, vector}};
    auto attributes = index_conformance::on_channel("a channel with a name that is long");
    attributes.tags = {"one tag", "another tag with a long name"};
    ASSERT_TRUE(index->put(conversation(number), std::move(attributes), chunks).has_value());
  }

  const auto held = static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd - before);

  EXPECT_NEAR(static_cast<double>(index->size().bytes), held, held / 5);
}

// A server has one for each company, and most companies are small.
TEST(TieredIndexTest, takes_about_a_kibibyte_when_it_has_nothing) {
  constexpr std::size_t kIndexes = 500;
  std::vector<std::unique_ptr<CompanyIndex>> indexes;
  indexes.reserve(kIndexes);
  const auto before = mallinfo2().uordblks;
  for (std::size_t i = 0; i < kIndexes; ++i) {
    indexes.push_back(make_company_index(384, {.graph_from = 50'000}));
  }

  const auto each = static_cast<double>(mallinfo2().uordblks - before) / kIndexes;

  EXPECT_LE(each, 1'100);
  EXPECT_NEAR(static_cast<double>(indexes.front()->size().bytes), each, each / 5);
}
#endif

TEST(TieredIndexTest, searches_that_read_together_find_what_each_finds_alone) {
  constexpr std::size_t kDimension = 1'024;
  constexpr int kConversations = 2'100;  // Enough bytes for that.
  std::mt19937_64 random(3);
  const auto index = make_company_index(kDimension, {.graph_from = 0});
  for (int i = 0; i < kConversations; ++i) {
    const auto vector = clustered(random, kDimension);
    const IndexChunk chunks[] = {{0, "", vector}};
    ASSERT_TRUE(index->put(conversation(i), {.channel = i % 2 == 1 ? "odd" : "even"}, chunks));
  }
  const auto find = [&](std::size_t number) {
    std::mt19937_64 query_random(number % 10);
    const ConversationFilter odd = [](const Attributes& of) { return of.channel == "odd"; };
    const auto found = index->nearest(clustered(query_random, kDimension), 5,
                                      number % 3 == 0 ? odd : ConversationFilter{});
    std::vector<std::pair<ConversationId, float>> hits;
    for (const auto& hit : found.value().hits) hits.emplace_back(hit.conversation, hit.score);
    return hits;
  };
  std::vector<std::vector<std::pair<ConversationId, float>>> alone;
  for (std::size_t number = 0; number < 30; ++number) alone.push_back(find(number));

  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (auto number = t; number < alone.size(); ++number) {
          if (find(number) != alone[number]) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace samtale

// Goal:   what the cache answers is what a search of the whole index would find at that moment.
// Method: random changes and searches by many seeds, each answer compared with the index' own to
// the
//         bit; few queries, filters and vectors, so that there are hits and ties. With threads: who
//         has changed something finds its change, whoever else asks the same.
#include "search/near_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <latch>
#include <random>
#include <thread>

#include "index/testing/vectors.h"

namespace samtale {
namespace {

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};
constexpr std::size_t kDimension = 16;
constexpr std::size_t kMegabyte = std::size_t{1} << 20;

ConversationId conversation(int number) {
  return make_conversation_id(kAcme, "test", std::to_string(number));
}

bool same_bits(const std::vector<ChunkHit>& a, const std::vector<ChunkHit>& b) {
  return std::ranges::equal(a, b, [](const ChunkHit& x, const ChunkHit& y) {
    return x.conversation == y.conversation && x.ordinal == y.ordinal &&
           std::memcmp(&x.score, &y.score, sizeof x.score) == 0;
  });
}

// An index that does something more between a search and its end.
class SlowIndex final : public CompanyIndex {
 public:
  explicit SlowIndex(CompanyIndex& index) : index_(index) {}

  std::function<void()> after_search;

  Result<> put(ConversationId conversation, Attributes attributes,
               std::span<const IndexChunk> chunks) override {
    return index_.put(conversation, std::move(attributes), chunks);
  }
  bool remove(ConversationId conversation) override { return index_.remove(conversation); }
  Result<NearChunks> nearest(std::span<const float> query, std::size_t limit,
                             const ConversationFilter& filter, bool must_be_exact) const override {
    auto found = index_.nearest(query, limit, filter, must_be_exact);
    after_search();
    return found;
  }
  bool renew_graph() override { return index_.renew_graph(); }
  Result<std::optional<ChangedChunks>> changed_since(
      std::uint64_t since, std::span<const float> query,
      const ConversationFilter& filter) const override {
    return index_.changed_since(since, query, filter);
  }
  std::vector<ChunkHit> words(std::string_view query, std::size_t limit,
                              const ConversationFilter& filter,
                              const WordCounts* counts) const override {
    return index_.words(query, limit, filter, counts);
  }
  WordCounts word_counts(std::string_view query) const override {
    return index_.word_counts(query);
  }
  double inverse_document_frequency(std::string_view word) const override {
    return index_.inverse_document_frequency(word);
  }
  std::vector<ConversationId> passing(const ConversationFilter& filter) const override {
    return index_.passing(filter);
  }
  IndexSize size() const override { return index_.size(); }
  Result<bool> maintain(const std::stop_token& stop) override { return index_.maintain(stop); }

 private:
  CompanyIndex& index_;
};

class NearCacheTest : public testing::Test {
 protected:
  void put(int number, const std::vector<std::vector<float>>& vectors,
           const std::string& channel = "chat") {
    Attributes attributes;
    attributes.channel = channel;
    std::vector<IndexChunk> chunks;
    for (std::uint32_t i = 0; i < vectors.size(); ++i) chunks.push_back({i, "text", vectors[i]});
    ASSERT_TRUE(index->put(conversation(number), attributes, chunks));
  }

  Result<NearChunks> nearest(std::span<const float> query, std::size_t limit,
                             const std::string& channel = "", CompanyId company = kAcme) {
    const auto filter = only(channel);
    return cache.nearest(
        company, index,
        {.vector = query, .limit = limit, .filter = filter, .filter_text = channel});
  }

  static ConversationFilter only(const std::string& channel) {
    if (channel.empty()) return {};
    return [channel](const Attributes& attributes) { return attributes.channel == channel; };
  }

  std::vector<float> vector() { return unit_vector(random, kDimension); }

  std::mt19937_64 random{1};
  std::shared_ptr<CompanyIndex> index = make_company_index(kDimension);
  NearCache cache{"model", kMegabyte};
};

TEST_F(NearCacheTest, answers_as_the_index_does_through_any_changes) {
  std::uint64_t hits = 0;
  std::uint64_t renewed = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    random.seed(seed);
    index = make_company_index(kDimension);
    NearCache tried("model", kMegabyte);
    std::vector<std::vector<float>> queries;
    for (int i = 0; i < 4; ++i) queries.push_back(vector());
    for (int step = 0; step < 400; ++step) {
      const auto number = static_cast<int>(random() % 80);
      const auto action = random() % 10;
      if (action < 3) {
        std::vector<std::vector<float>> vectors(random() % 5);
        for (auto& v : vectors) {
          if (random() % 6 != 0) v = random() % 4 == 0 ? queries[random() % 4] : vector();
        }
        put(number, vectors, random() % 2 == 0 ? "chat" : "voice");
        continue;
      }
      if (action == 3) {
        index->remove(conversation(number));
        if (random() % 4 == 0) tried.forget(kAcme);
        continue;
      }
      const auto& query = queries[random() % queries.size()];
      const std::string channel = random() % 3 == 0 ? "chat" : "";
      const std::size_t limit = std::array{0, 1, 7, 40, 500}[random() % 5];
      const auto filter = only(channel);

      const auto got = tried.nearest(
          kAcme, index,
          {.vector = query, .limit = limit, .filter = filter, .filter_text = channel});

      const auto fresh = index->nearest(query, limit, filter, true);
      ASSERT_TRUE(got && fresh);
      EXPECT_TRUE(got->is_exact);
      ASSERT_TRUE(same_bits(got->hits, fresh->hits)) << "seed " << seed << ", step " << step;
    }
    hits += tried.stats().cache.hits;
    renewed += tried.stats().renewed;
  }
  EXPECT_GT(hits, 10'000U) << "otherwise this tests nothing";
  EXPECT_GT(renewed, 5'000U);
}

TEST_F(NearCacheTest, knows_a_chunk_that_was_added_after_a_search_was_kept) {
  const auto query = vector();
  put(1, {vector()});
  ASSERT_TRUE(nearest(query, 5));

  put(2, {query});
  const auto again = nearest(query, 5);

  ASSERT_EQ(again->hits.size(), 2U);
  EXPECT_EQ(again->hits[0].conversation, conversation(2));
  EXPECT_EQ(cache.stats().cache.hits, 1U);
  EXPECT_EQ(cache.stats().renewed, 1U);
}

TEST_F(NearCacheTest, asks_for_other_filters_limits_and_companies_anew) {
  const auto query = vector();
  put(1, {query}, "chat");
  put(2, {query}, "voice");

  ASSERT_TRUE(nearest(query, 5));
  EXPECT_EQ(nearest(query, 5, "voice")->hits.size(), 1U);
  EXPECT_EQ(nearest(query, 1)->hits.size(), 1U);
  ASSERT_TRUE(nearest(query, 5, "", kGlobex));

  EXPECT_EQ(cache.stats().cache.hits, 0U);
  EXPECT_EQ(cache.stats().cache.misses, 4U);
}

TEST_F(NearCacheTest, searches_again_where_removals_have_left_too_few) {
  const auto query = vector();
  for (int number = 0; number < 60; ++number) put(number, {vector()});
  ASSERT_TRUE(nearest(query, 20));
  const auto best = nearest(query, 20)->hits;
  for (std::size_t i = 0; i < 10; ++i) index->remove(best[i].conversation);

  const auto again = nearest(query, 20);

  EXPECT_EQ(again->hits.size(), 20U);
  EXPECT_TRUE(same_bits(again->hits, index->nearest(query, 20, {}, true)->hits));
  EXPECT_EQ(cache.stats().cache.misses, 2U);
}

TEST_F(NearCacheTest, searches_again_where_more_has_changed_than_the_index_remembers) {
  const auto query = vector();
  put(0, {vector()});
  ASSERT_TRUE(nearest(query, 5));
  for (int number = 1; number < 1'100; ++number) put(number, {vector()});

  const auto again = nearest(query, 5);

  EXPECT_TRUE(same_bits(again->hits, index->nearest(query, 5, {}, true)->hits));
  EXPECT_EQ(cache.stats().cache.hits, 0U);
}

TEST_F(NearCacheTest, never_answers_from_an_index_that_was_replaced) {
  const auto query = vector();
  put(1, {query});
  ASSERT_TRUE(nearest(query, 5));

  index = make_company_index(kDimension);
  put(2, {query});
  const auto again = nearest(query, 5);

  ASSERT_EQ(again->hits.size(), 1U);
  EXPECT_EQ(again->hits[0].conversation, conversation(2));
}

TEST_F(NearCacheTest, keeps_of_a_large_company_only_what_was_asked_for_exactly) {
  index = make_company_index(kDimension, {.graph_from = 1'000});
  for (int number = 0; number < 300; ++number) {
    put(number, {vector(), vector(), vector(), vector(), vector(), vector(), vector(), vector(),
                 vector(), vector()});
  }
  ASSERT_TRUE(index->maintain({}).value());
  const auto query = vector();
  const ConversationFilter all;

  EXPECT_FALSE(nearest(query, 1)->is_exact);
  EXPECT_EQ(cache.stats().cache.values, 0U);
  const auto exact = cache.nearest(
      kAcme, index,
      {.vector = query, .limit = 1, .filter = all, .filter_text = "", .must_be_exact = true});
  put(1'000, {query});
  const auto kept = nearest(query, 1);

  EXPECT_TRUE(exact->is_exact);
  EXPECT_TRUE(kept->is_exact);
  EXPECT_EQ(kept->hits[0].conversation, conversation(1'000));
  EXPECT_EQ(cache.stats().cache.hits, 1U);
}

TEST_F(NearCacheTest, keeps_nothing_of_a_company_that_was_forgotten) {
  const auto query = vector();
  put(1, {query});
  ASSERT_TRUE(nearest(query, 5));
  ASSERT_GT(cache.stats().cache.values, 0U);

  cache.forget(kAcme);

  EXPECT_EQ(cache.stats().cache.values, 0U);
  EXPECT_EQ(cache.stats().cache.bytes, 0U);
}

TEST_F(NearCacheTest, passes_on_what_the_index_refuses_and_keeps_nothing) {
  const std::vector<float> none(kDimension);

  const auto answer = nearest(none, 5);

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(cache.stats().cache.values, 0U);
}

TEST_F(NearCacheTest, answers_as_the_index_where_it_has_no_memory) {
  NearCache nothing("model", 0);
  const auto query = vector();
  put(1, {query});
  const ConversationFilter all;

  for (int i = 0; i < 2; ++i) {
    const auto answer = nothing.nearest(
        kAcme, index, {.vector = query, .limit = 5, .filter = all, .filter_text = ""});
    EXPECT_EQ(answer->hits.size(), 1U);
  }

  EXPECT_EQ(nothing.stats().cache.hits, 0U);
}

TEST_F(NearCacheTest, brings_up_to_date_what_another_has_searched_before_a_change) {
  const auto query = vector();
  put(1, {vector()});
  const auto slow = std::make_shared<SlowIndex>(*index);
  std::latch changed(1);
  slow->after_search = [&] {
    put(2, {query});
    changed.count_down();
    while (cache.stats().cache.joined == 0) std::this_thread::yield();
  };
  const ConversationFilter all;
  const auto search = [&] {
    return cache.nearest(kAcme, slow,
                         {.vector = query, .limit = 5, .filter = all, .filter_text = ""});
  };

  std::jthread first([&] { EXPECT_EQ(search()->hits.size(), 1U) << "it began before"; });
  changed.wait();
  const auto second = search();

  ASSERT_EQ(second->hits.size(), 2U);
  EXPECT_EQ(second->hits[0].conversation, conversation(2));
}

TEST_F(NearCacheTest, shows_everybody_his_own_change_whoever_else_asks_the_same) {
  const auto query = vector();
  for (int number = 1'000; number < 1'200; ++number) put(number, {vector()});
  const ConversationFilter all;
  const auto finds = [&](ConversationId wanted) {
    const auto answer = cache.nearest(
        kAcme, index, {.vector = query, .limit = 20, .filter = all, .filter_text = ""});
    return std::ranges::count(answer->hits, wanted, &ChunkHit::conversation) == 1;
  };

  std::vector<std::jthread> people;
  for (int me = 0; me < 4; ++me) {
    people.emplace_back([&, me] {
      const IndexChunk mine[] = {{0, "text", query}};
      for (int round = 0; round < 300; ++round) {
        ASSERT_TRUE(index->put(conversation(me), {}, mine));
        ASSERT_TRUE(finds(conversation(me))) << "round " << round;
        index->remove(conversation(me));
        if (round % 50 == 0) cache.forget(kAcme);
        ASSERT_FALSE(finds(conversation(me))) << "round " << round;
      }
    });
  }
  people.clear();

  EXPECT_GT(cache.stats().cache.hits, 0U);
}

}  // namespace
}  // namespace samtale

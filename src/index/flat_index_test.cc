#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "index/company_index_conformance.h"

namespace samtale {
namespace {

struct MakeFlatIndex {
  std::unique_ptr<CompanyIndex> operator()(std::size_t dimension) const {
    return make_flat_index(dimension);
  }
};

}  // namespace

namespace index_conformance {
INSTANTIATE_TYPED_TEST_SUITE_P(FlatIndex, CompanyIndexConformance, MakeFlatIndex);
}  // namespace index_conformance

namespace {

using index_conformance::conversation;

void put_words(CompanyIndex& index, int number, const std::string& text) {
  const IndexChunk chunks[] = {{0, text, {}}};
  ASSERT_TRUE(index.put(conversation(number), {}, chunks).has_value());
}

TEST(FlatIndexTest, scores_by_the_formula_of_bm25) {
  const auto index = make_flat_index(0);
  put_words(*index, 1, "refund refund one two");
  put_words(*index, 2, "one two");

  const auto hits = index->words("refund", 10, {});

  // ln(1 + (2 - 1 + .5) / (1 + .5)) * 2 / (2 + 1.2 * (.25 + .75 * 4 / 3)), by hand.
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_NEAR(hits[0].score, 0.693147 * 2 / 3.5, 1e-6);
  EXPECT_EQ(index->words("refund the refund", 10, {})[0].score, hits[0].score);
}

// Clusters, so that many scores are close, and vectors that are there twice, so that some are
// equal.
std::vector<float> clustered(std::mt19937_64& random, std::size_t dimension) {
  std::normal_distribution<float> normal;
  std::mt19937_64 centre(random() % 7);
  std::vector<float> vector(dimension);
  double sum = 0;
  for (auto& value : vector) {
    value = normal(centre) + normal(random) / 8;
    sum += double{value} * value;
  }
  for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum));
  return vector;
}

TEST(FlatIndexTest, finds_by_codes_what_a_look_at_every_vector_finds) {
  constexpr int kVectors = 3'000;
  for (const std::size_t dimension : {8, 100, 384}) {
    std::mt19937_64 random(dimension);
    const auto index = make_flat_index(dimension);
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

        ASSERT_EQ(found->size(), limit);
        for (std::size_t i = 0; i < limit; ++i) {
          ASSERT_EQ((*found)[i].conversation, (*every)[i].conversation) << dimension << " " << q;
          ASSERT_EQ((*found)[i].score, (*every)[i].score);
        }
      }
    }
  }
}

TEST(FlatIndexTest, gives_back_the_memory_of_what_is_removed) {
  const auto index = make_flat_index(0);
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
TEST(FlatIndexTest, says_how_much_memory_it_holds_within_a_fifth) {
  std::mt19937_64 random(5);
  const auto before = mallinfo2().uordblks + mallinfo2().hblkhd;
  const auto index = make_flat_index(64);
  for (int number = 0; number < 4'000; ++number) {
    std::string text;
    for (int word = 0; word < 60; ++word)
      text += " w" + std::to_string(random() % (random() % 20'000 + 1));
    const auto vector = index_conformance::unit_vector(random, 64);
    const IndexChunk chunks[] = {{0, text, vector}};
    auto attributes = index_conformance::on_channel("a channel with a name that is long");
    attributes.tags = {"one tag", "another tag with a long name"};
    ASSERT_TRUE(index->put(conversation(number), std::move(attributes), chunks).has_value());
  }

  const auto held = static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd - before);

  EXPECT_NEAR(static_cast<double>(index->size().bytes), held, held / 5);
}
#endif

}  // namespace
}  // namespace samtale

#include "search/query_vectors.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "embed/testing/fake_embedder.h"

namespace samtale {
namespace {

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};
constexpr std::size_t kMegabyte = std::size_t{1} << 20;

struct NoWords final : WordStatistics {
  double inverse_document_frequency(std::string_view) const override { return 1; }
};

class QueryVectorsTest : public testing::Test {
 protected:
  Result<std::vector<float>> of(QueryVectors& vectors, const std::string& query,
                                CompanyId company = kAcme) {
    return vectors.of(company, query, NoWords(), std::chrono::seconds(1));
  }
};

TEST_F(QueryVectorsTest, asks_the_embedder_once_for_a_text) {
  FakeEmbedder embedder;
  QueryVectors vectors(embedder, kMegabyte);

  const auto first = of(vectors, "where is my parcel");
  const auto second = of(vectors, "where is my parcel");

  EXPECT_EQ(*first, *second);
  EXPECT_EQ(embedder.calls(), 1U);
  EXPECT_EQ(vectors.stats().hits, 1U);
}

TEST_F(QueryVectorsTest, asks_for_each_text_and_company) {
  FakeEmbedder embedder;
  QueryVectors vectors(embedder, kMegabyte);

  ASSERT_TRUE(of(vectors, "parcel"));
  ASSERT_TRUE(of(vectors, "Parcel"));
  ASSERT_TRUE(of(vectors, "parcel", kGlobex));

  EXPECT_EQ(embedder.calls(), 3U);
}

TEST_F(QueryVectorsTest, keeps_none_where_vectors_follow_from_more_than_the_text) {
  FakeEmbedder embedder({.needs_text_alone = false});
  QueryVectors vectors(embedder, kMegabyte);

  ASSERT_TRUE(of(vectors, "parcel"));
  ASSERT_TRUE(of(vectors, "parcel"));

  EXPECT_EQ(embedder.calls(), 2U);
  EXPECT_EQ(vectors.stats().values, 0U);
}

TEST_F(QueryVectorsTest, asks_once_for_all_that_are_about_to_be_asked_for) {
  FakeEmbedder embedder;
  QueryVectors vectors(embedder, kMegabyte);
  const auto known = *of(vectors, "parcel");

  vectors.prepare(kAcme, std::array<std::string, 3>{"parcel", "lamp", "refund"},
                  std::chrono::seconds(1));

  EXPECT_EQ(embedder.calls(), 2U);
  EXPECT_EQ(*of(vectors, "parcel"), known);
  const auto prepared = *of(vectors, "lamp");
  EXPECT_EQ(embedder.calls(), 2U);
  QueryVectors others(embedder, kMegabyte);
  EXPECT_EQ(prepared, *of(others, "lamp"));
}

TEST_F(QueryVectorsTest, leaves_it_to_the_search_to_say_why_nothing_could_be_prepared) {
  FakeEmbedder embedder;
  embedder.then_fail(ErrorCode::unavailable, "away");
  QueryVectors vectors(embedder, kMegabyte);

  vectors.prepare(kAcme, std::array<std::string, 1>{"parcel"}, std::chrono::seconds(1));

  EXPECT_TRUE(of(vectors, "parcel"));
}

TEST_F(QueryVectorsTest, passes_errors_on_and_asks_again) {
  FakeEmbedder embedder;
  embedder.then_fail(ErrorCode::unavailable, "away");
  QueryVectors vectors(embedder, kMegabyte);

  const auto first = of(vectors, "parcel");
  const auto second = of(vectors, "parcel");

  EXPECT_EQ(first.error().message, "away");
  EXPECT_TRUE(second);
}

TEST(VectorCodecTest, gives_back_the_very_bits) {
  const std::vector<float> vector{0.6F, -0.8F, 0.0F, -0.0F};

  const auto again = decode_vector(encode_vector(vector), 4);

  ASSERT_TRUE(again);
  EXPECT_EQ(encode_vector(*again), encode_vector(vector));
}

TEST(VectorCodecTest, refuses_what_is_no_unit_vector_of_the_dimension) {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto infinity = std::numeric_limits<float>::infinity();

  EXPECT_FALSE(decode_vector(encode_vector({0.6F, 0.8F}), 3));
  EXPECT_FALSE(decode_vector(encode_vector({0.6F, 0.8F}).substr(1), 2));
  EXPECT_FALSE(decode_vector("", 0));
  for (const auto& vector :
       {std::vector{1.0F, 1.0F}, {0.0F, 0.0F}, {nan, 1.0F}, {infinity, 0.0F}}) {
    EXPECT_FALSE(decode_vector(encode_vector(vector), 2));
  }
}

}  // namespace
}  // namespace samtale

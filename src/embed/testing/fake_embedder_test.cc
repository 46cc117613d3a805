#include "embed/testing/fake_embedder.h"

#include <gtest/gtest.h>

#include <numeric>

namespace samtale {
namespace {

Result<std::vector<std::vector<float>>> embed(FakeEmbedder& embedder,
                                              const std::vector<std::string>& texts) {
  return embedder.embed(texts, EmbedRole::passage, nullptr, std::chrono::seconds(1));
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST(FakeEmbedderTest, places_texts_by_their_words) {
  FakeEmbedder embedder({.model_id = "fake-v1", .dimension = 256, .batch_max = 8, .poison = ""});

  const auto vectors = *embed(embedder, {"a broken kettle", "the broken kettle", "late train", ""});

  EXPECT_NEAR(dot(vectors[0], vectors[0]), 1.0, 1e-6);
  EXPECT_NEAR(dot(vectors[3], vectors[3]), 1.0, 1e-6);
  EXPECT_GT(dot(vectors[0], vectors[1]), dot(vectors[0], vectors[2]) + 0.3);
}

TEST(FakeEmbedderTest, fails_as_scripted_and_then_works) {
  FakeEmbedder embedder;
  embedder.then_fail(ErrorCode::unavailable, "down");

  EXPECT_EQ(embed(embedder, {"hello"}).error().code, ErrorCode::unavailable);
  EXPECT_TRUE(embed(embedder, {"hello"}));
  EXPECT_EQ(embedder.calls(), 2U);
}

TEST(FakeEmbedderTest, refuses_poison) {
  FakeEmbedder embedder({.model_id = "fake-v1", .dimension = 4, .batch_max = 8, .poison = "BAD"});

  EXPECT_EQ(embed(embedder, {"good", "is BAD"}).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(embed(embedder, {"good"}));
}

}  // namespace
}  // namespace samtale

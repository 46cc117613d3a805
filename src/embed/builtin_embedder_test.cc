#include "embed/builtin_embedder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/bytes.h"

namespace samtale {
namespace {

// Words that begin with "o" are everywhere, others are rare.
class CommonOWords final : public WordStatistics {
 public:
  [[nodiscard]] double inverse_document_frequency(std::string_view word) const override {
    if (word.empty()) return 7.0;
    return word.front() == 'o' ? 0.1 : 4.0;
  }
};

std::vector<float> vector_of(const std::string& text, EmbedRole role = EmbedRole::passage,
                             const WordStatistics* words = nullptr) {
  BuiltinEmbedder embedder;
  return embedder.embed({&text, 1}, role, words, std::chrono::seconds(1))->front();
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

TEST(BuiltinEmbedderTest, gives_a_unit_vector_to_any_text) {
  std::mt19937_64 random(3);
  std::vector<std::string> texts = {"", " ", "🙂", "x", "\xFF\xFE", std::string(100'000, 'a')};
  for (int i = 0; i < 200; ++i) {
    std::string text(random() % 40, '\0');
    for (char& byte : text) byte = static_cast<char>(random());
    texts.push_back(std::move(text));
  }
  BuiltinEmbedder embedder;

  const auto vectors = *embedder.embed(texts, EmbedRole::query, nullptr, std::chrono::seconds(1));

  ASSERT_EQ(vectors.size(), texts.size());
  for (const auto& vector : vectors) {
    EXPECT_EQ(vector.size(), embedder.dimension());
    EXPECT_NEAR(dot(vector, vector), 1.0, 1e-5);
  }
}

TEST(BuiltinEmbedderTest, places_texts_with_the_same_words_near_and_others_far) {
  const auto refund = vector_of("I want my money back for the broken kettle");

  EXPECT_GT(dot(refund, vector_of("the kettle arrived broken, money back please")), 0.5);
  EXPECT_LT(std::abs(dot(refund, vector_of("which train goes to Odense tomorrow"))), 0.15);
}

TEST(BuiltinEmbedderTest, finds_a_compound_by_its_parts) {
  const auto query = vector_of("faktura");

  EXPECT_GT(dot(query, vector_of("fakturaadresse")), 0.2);
}

TEST(BuiltinEmbedderTest, does_not_look_at_statistics_for_a_passage) {
  const CommonOWords words;

  EXPECT_EQ(vector_of("ordered kettle", EmbedRole::passage, &words), vector_of("ordered kettle"));
}

TEST(BuiltinEmbedderTest, lets_the_rare_word_of_a_query_decide) {
  const CommonOWords words;
  const auto query = vector_of("order kettle", EmbedRole::query, &words);

  EXPECT_GT(dot(query, vector_of("kettle lid")), 3 * dot(query, vector_of("order form")));
}

TEST(BuiltinEmbedderTest, lets_common_words_decide_little) {
  const auto query = vector_of("what is the warranty");

  EXPECT_GT(dot(query, vector_of("warranty")), 3 * dot(query, vector_of("what is the")));
}

TEST(BuiltinEmbedderTest, counts_repetitions_less_and_less) {
  const auto twice = vector_of("kettle kettle lid");
  const auto often = vector_of("kettle kettle kettle kettle kettle kettle kettle kettle lid");

  EXPECT_GT(dot(twice, often), 0.9);
}

TEST(BuiltinEmbedderTest, counts_a_word_of_a_query_once) {
  const auto asked = [](const char* text) { return vector_of(text, EmbedRole::query); };

  EXPECT_EQ(asked("the colour of the lid of the kettle"), asked("the colour of lid kettle"));
}

// If this fails, vectors have changed: so must the model id, here and in text/words.
TEST(BuiltinEmbedderTest, gives_the_bytes_it_always_gave_under_this_model_id) {
  const auto vector = vector_of("kaffe 4711 Ærø");
  const std::string_view bytes(reinterpret_cast<const char*>(vector.data()),
                               vector.size() * sizeof(float));

  EXPECT_EQ(BuiltinEmbedder().model_id(), "builtin-1024-v1");
  EXPECT_EQ(crc32c(bytes), 2841788074U);
}

}  // namespace
}  // namespace samtale

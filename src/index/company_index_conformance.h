// Goal:   every CompanyIndex gives the answers that its header promises.
// Method: a model that keeps the conversations as they were put and compares everything with
//         everything, in double; thousands of seeded changes and searches beside it. Scores are
//         compared within rounding, order and ties exactly.
//
// An index joins with INSTANTIATE_TYPED_TEST_SUITE_P(Name, CompanyIndexConformance, Maker), where
// Maker{}(dimension) gives an empty index.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "index/company_index.h"
#include "index/testing/vectors.h"
#include "text/words.h"

namespace samtale::index_conformance {

constexpr std::size_t kDimension = 24;
constexpr float kRounding = 1e-5F;

inline ConversationId conversation(int number) {
  return make_conversation_id(CompanyId{1}, "test", std::to_string(number));
}

inline std::vector<float> unit_vector(std::mt19937_64& random) {
  return samtale::unit_vector(random, kDimension);
}

inline Attributes on_channel(std::string channel) {
  Attributes attributes;
  attributes.channel = std::move(channel);
  return attributes;
}

// What was put, kept as it came.
class ModelIndex {
 public:
  struct Piece {
    std::uint32_t ordinal = 0;
    std::string text;
    std::vector<float> vector;
  };
  struct Talk {
    Attributes attributes;
    std::vector<Piece> pieces;
  };

  std::map<ConversationId, Talk> talks;

  static std::vector<IndexChunk> chunks(const Talk& talk) {
    std::vector<IndexChunk> chunks;
    for (const auto& piece : talk.pieces)
      chunks.push_back({piece.ordinal, piece.text, piece.vector});
    return chunks;
  }

  // Every piece that may be found, with its score; best first.
  std::vector<ChunkHit> nearest(std::span<const float> query,
                                const ConversationFilter& filter) const {
    double length = 0;
    for (const float value : query) length += double{value} * value;
    return all(filter, [&](const Piece& piece) {
      double sum = 0;
      for (std::size_t i = 0; i < piece.vector.size(); ++i)
        sum += double{piece.vector[i]} * query[i];
      return piece.vector.empty() ? kNotFound : sum / std::sqrt(length);
    });
  }

  std::vector<ChunkHit> words(std::string_view query, const ConversationFilter& filter) const {
    double total = 0;
    std::map<std::string, std::size_t> chunks_with;
    for (const auto& piece : pieces()) {
      auto terms = samtale::words(piece->text);
      total += static_cast<double>(terms.size());
      std::ranges::sort(terms);
      terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
      for (const auto& term : terms) ++chunks_with[term];
    }
    const auto count = static_cast<double>(pieces().size());
    return all(filter, [&](const Piece& piece) {
      const auto terms = samtale::words(piece.text);
      double score = kNotFound;
      auto asked = samtale::words(query);
      std::ranges::sort(asked);
      asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
      for (const auto& term : asked) {
        const auto times = static_cast<double>(std::ranges::count(terms, term));
        if (times == 0) continue;
        const auto with = static_cast<double>(chunks_with[term]);
        const auto weight = std::log(1 + (count - with + 0.5) / (with + 0.5));
        const auto length = static_cast<double>(terms.size()) / (total / count);
        score = std::max(score, 0.0) + weight * times / (times + 1.2 * (0.25 + 0.75 * length));
      }
      return score;
    });
  }

  std::vector<const Piece*> pieces() const {
    std::vector<const Piece*> found;
    for (const auto& [id, talk] : talks) {
      for (const auto& piece : talk.pieces) found.push_back(&piece);
    }
    return found;
  }

 private:
  static constexpr double kNotFound = -std::numeric_limits<double>::infinity();

  template <class Score>
  std::vector<ChunkHit> all(const ConversationFilter& filter, const Score& score) const {
    std::vector<ChunkHit> hits;
    for (const auto& [id, talk] : talks) {
      if (filter && !filter(talk.attributes)) continue;
      for (const auto& piece : talk.pieces) {
        const auto value = score(piece);
        if (value != kNotFound) hits.push_back({id, piece.ordinal, static_cast<float>(value)});
      }
    }
    std::ranges::sort(hits, std::greater(), &ChunkHit::score);
    return hits;
  }
};

// `got` are the best `limit` of `all` but for rounding, in the promised order, each with its score.
inline void expect_best(const std::vector<ChunkHit>& got, const std::vector<ChunkHit>& all,
                        std::size_t limit) {
  ASSERT_EQ(got.size(), std::min(limit, all.size()));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto same = std::ranges::find_if(all, [&](const ChunkHit& hit) {
      return hit.conversation == got[i].conversation && hit.ordinal == got[i].ordinal;
    });
    ASSERT_NE(same, all.end()) << "hit " << i << " should not be found";
    EXPECT_NEAR(got[i].score, same->score, kRounding);
    EXPECT_NEAR(got[i].score, all[i].score, kRounding) << "place " << i;
    if (i == 0) continue;
    const auto& before = got[i - 1];
    const bool in_order =
        before.score > got[i].score ||
        (before.score == got[i].score && std::tie(before.conversation, before.ordinal) <
                                             std::tie(got[i].conversation, got[i].ordinal));
    EXPECT_TRUE(in_order) << "hits " << i - 1 << " and " << i;
  }
}

template <class Maker>
class CompanyIndexConformance : public testing::Test {
 protected:
  void put(int number, ModelIndex::Talk talk) {
    const auto done = index_->put(conversation(number), talk.attributes, ModelIndex::chunks(talk));
    ASSERT_TRUE(done.has_value()) << done.error().message;
    model_.talks[conversation(number)] = std::move(talk);
  }

  void remove(int number) {
    index_->remove(conversation(number));
    model_.talks.erase(conversation(number));
  }

  // The same texts: some get a vector, some another, some lose theirs.
  void put_other_vectors(int number) {
    auto talk = model_.talks[conversation(number)];
    talk.attributes = on_channel(random_() % 2 == 0 ? "chat" : "voice");
    for (auto& piece : talk.pieces) {
      if (random_() % 3 != 0) piece.vector = unit_vector(random_);
      if (random_() % 6 == 0) piece.vector.clear();
    }
    put(number, std::move(talk));
  }

  // Few words, so that they meet; few different vectors, so that there are ties.
  ModelIndex::Talk random_talk() {
    static constexpr const char* kWords[] = {"invoice ", "faktura ", "pakke ", "refund ",
                                             "E-4711 ",  "hej ",     "",       "angry "};
    ModelIndex::Talk talk{.attributes = on_channel(random_() % 2 == 0 ? "chat" : "voice"),
                          .pieces = {}};
    const auto pieces = random_() % 6;
    for (std::uint32_t i = 0; i < pieces; ++i) {
      ModelIndex::Piece piece{.ordinal = i * 2, .text = {}, .vector = {}};
      for (auto words = random_() % 9; words > 0; --words) piece.text += kWords[random_() % 8];
      if (random_() % 8 == 0) {
        piece.vector = common_vector_;
      } else if (random_() % 8 != 0) {
        piece.vector = unit_vector(random_);
      }
      talk.pieces.push_back(std::move(piece));
    }
    return talk;
  }

  void expect_same_answers() {
    const ConversationFilter filters[] = {
        {},
        [](const Attributes& a) { return a.channel == "chat"; },
        [](const Attributes&) { return false; },
    };
    const auto& filter = filters[random_() % 3];
    const auto limit = random_() % 12;
    const auto query = random_() % 4 == 0 ? common_vector_ : unit_vector(random_);
    const auto near = index_->nearest(query, limit, filter);
    ASSERT_TRUE(near.has_value()) << near.error().message;
    EXPECT_TRUE(near->is_exact) << "too few for a graph to be faster";
    expect_best(near->hits, model_.nearest(query, filter), limit);
    const auto* words = random_() % 2 == 0 ? "faktura refund refund" : "E4711 angry unknown";
    expect_best(index_->words(words, limit, filter), model_.words(words, filter), limit);
    const auto size = index_->size();
    EXPECT_EQ(size.conversations, model_.talks.size());
    EXPECT_EQ(size.chunks, model_.pieces().size());
  }

  std::mt19937_64 random_{1};
  std::vector<float> common_vector_ = unit_vector(random_);
  std::unique_ptr<CompanyIndex> index_ = Maker{}(kDimension);
  ModelIndex model_;
};
TYPED_TEST_SUITE_P(CompanyIndexConformance);

TYPED_TEST_P(CompanyIndexConformance, answers_as_brute_force_through_any_changes) {
  for (int step = 0; step < 6'000; ++step) {
    const auto number = static_cast<int>(this->random_() % 60);
    switch (this->random_() % 8) {
      case 0:
      case 1:
        this->remove(number);
        break;
      case 2:
        this->put(number, this->random_talk());
        break;
      case 3:
        this->put_other_vectors(number);
        break;
      case 4:
        ASSERT_TRUE(this->index_->maintain({}).has_value());
        break;
      default:
        this->expect_same_answers();
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << "step " << step;
  }
}

TYPED_TEST_P(CompanyIndexConformance, tells_what_has_changed_since_a_search) {
  const auto other = unit_vector(this->random_);
  this->put(1, {{}, {{0, "refund", this->common_vector_}}});
  this->put(2, {on_channel("chat"), {{0, "refund", other}}});
  const auto since = this->index_->nearest(other, 10, {})->sequence;
  this->put(2, {on_channel("chat"), {{3, "refund", other}, {4, "refund", {}}}});
  this->put(3, {on_channel("voice"), {{0, "refund", other}}});
  this->remove(1);

  const auto changed = this->index_->changed_since(
      since, other, [](const Attributes& attributes) { return attributes.channel == "chat"; });
  const auto fresh = this->index_->nearest(other, 10, {});

  ASSERT_TRUE(changed.has_value() && changed->has_value());
  EXPECT_THAT((*changed)->conversations,
              testing::UnorderedElementsAre(conversation(1), conversation(2), conversation(3)));
  EXPECT_EQ((*changed)->sequence, fresh->sequence);
  ASSERT_EQ((*changed)->hits.size(), 1U);
  EXPECT_EQ((*changed)->hits[0].conversation, conversation(2));
  EXPECT_EQ((*changed)->hits[0].ordinal, 3U);
  EXPECT_EQ((*changed)->hits[0].score, fresh->hits[0].score) << "to the bit";
  EXPECT_TRUE(
      this->index_->changed_since(fresh->sequence, other, {})->value().conversations.empty());
}

TYPED_TEST_P(CompanyIndexConformance, forgets_too_old_changes_and_says_so) {
  this->put(1, {{}, {{0, "refund", this->common_vector_}}});
  const auto since = this->index_->nearest(this->common_vector_, 1, {})->sequence;
  for (int i = 0; i < 10'000; ++i) this->put(1, {{}, {{0, "refund", this->common_vector_}}});

  const auto changed = this->index_->changed_since(since, this->common_vector_, {});
  const auto of_another = this->index_->changed_since(1'000'000, this->common_vector_, {});

  EXPECT_FALSE(changed.value().has_value());
  EXPECT_FALSE(of_another.value().has_value());
}

TYPED_TEST_P(CompanyIndexConformance, forgets_a_conversation_at_once) {
  this->put(1, {{}, {{0, "angry refund", this->common_vector_}}});
  this->put(2, {{}, {{0, "refund", this->common_vector_}}});

  this->remove(1);

  EXPECT_THAT(this->index_->words("angry", 10, {}), testing::IsEmpty());
  EXPECT_EQ(this->index_->nearest(this->common_vector_, 10, {})->hits.size(), 1U);
  EXPECT_DOUBLE_EQ(this->index_->inverse_document_frequency("angri"), std::log(1 + 1.5 / 0.5));
}

TYPED_TEST_P(CompanyIndexConformance, forgets_the_chunks_a_new_version_does_not_name) {
  this->put(1, {{}, {{0, "angry", this->common_vector_}, {1, "refund", this->common_vector_}}});

  this->put(1, {{}, {{0, "calm", {}}}});

  EXPECT_THAT(this->index_->words("angry refund", 10, {}), testing::IsEmpty());
  EXPECT_THAT(this->index_->nearest(this->common_vector_, 10, {})->hits, testing::IsEmpty());
  EXPECT_EQ(this->index_->size().chunks, 1U);
}

TYPED_TEST_P(CompanyIndexConformance, never_answers_from_another_company) {
  auto other = TypeParam{}(kDimension);
  this->put(1, {{}, {{0, "canary", this->common_vector_}}});

  EXPECT_THAT(other->words("canary", 10, {}), testing::IsEmpty());
  EXPECT_THAT(other->nearest(this->common_vector_, 10, {})->hits, testing::IsEmpty());
  EXPECT_EQ(other->inverse_document_frequency("canari"),
            TypeParam{}(kDimension)->inverse_document_frequency("canari"));
}

TYPED_TEST_P(CompanyIndexConformance, breaks_ties_by_conversation_and_ordinal) {
  for (const int number : {3, 1, 2}) {
    this->put(number,
              {{}, {{5, "refund", this->common_vector_}, {0, "refund", this->common_vector_}}});
  }

  const auto by_words = this->index_->words("refund", 4, {});
  const auto by_vector = this->index_->nearest(this->common_vector_, 4, {})->hits;

  expect_best(by_words, this->model_.words("refund", {}), 4);
  ASSERT_EQ(by_vector.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(by_words[i].conversation, by_vector[i].conversation);
    EXPECT_EQ(by_words[i].ordinal, by_vector[i].ordinal);
  }
  EXPECT_EQ(by_vector[0].conversation,
            std::min({conversation(1), conversation(2), conversation(3)}));
}

TYPED_TEST_P(CompanyIndexConformance, refuses_vectors_it_cannot_compare_and_changes_nothing) {
  this->put(1, {{}, {{0, "refund", this->common_vector_}}});
  const auto with = [&](float value) {
    auto vector = this->common_vector_;
    vector[3] = value;
    return vector;
  };
  const std::vector<float> bad[] = {
      with(std::numeric_limits<float>::quiet_NaN()),
      with(std::numeric_limits<float>::infinity()),
      with(2.0F),
      std::vector<float>(kDimension, 0.0F),
      std::vector<float>(kDimension, 1e-40F),
      std::vector<float>(kDimension - 1, 0.2F),
  };
  for (const auto& vector : bad) {
    const IndexChunk chunks[] = {{0, "new", this->common_vector_}, {1, "words", vector}};

    const auto done = this->index_->put(conversation(1), on_channel("new"), chunks);

    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(this->index_->words("refund new words", 10, {}).size(), 1U);
    EXPECT_EQ(this->index_->size().vectors, 1U);
  }
}

TYPED_TEST_P(CompanyIndexConformance, takes_queries_of_any_length_but_none) {
  this->put(1, {{}, {{0, "refund", this->common_vector_}}});
  for (const float scale : {1e-42F, 1e-3F, 1e3F, 1e38F}) {
    auto query = this->common_vector_;
    for (auto& value : query) value *= scale;

    const auto hits = this->index_->nearest(query, 1, {});

    ASSERT_TRUE(hits.has_value()) << scale;
    EXPECT_NEAR(hits->hits[0].score, 1, scale < 1e-30F ? 0.05 : 1e-5)
        << scale;  // Denormals are few.
  }
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& query : {std::vector<float>(kDimension), std::vector<float>(kDimension, nan),
                            std::vector<float>(kDimension + 1, 1.0F), std::vector<float>()}) {
    const auto hits = this->index_->nearest(query, 1, {});
    ASSERT_FALSE(hits.has_value());
    EXPECT_EQ(hits.error().code, ErrorCode::invalid_argument);
  }
}

TYPED_TEST_P(CompanyIndexConformance, refuses_a_chunk_that_is_there_twice) {
  const IndexChunk chunks[] = {{7, "one", {}}, {7, "two", {}}};

  const auto done = this->index_->put(conversation(1), {}, chunks);

  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(this->index_->size().conversations, 0U);
}

TYPED_TEST_P(CompanyIndexConformance, asks_the_filter_once_for_a_conversation) {
  for (int number = 0; number < 20; ++number) {
    this->put(number, {on_channel(std::to_string(number)),
                       {{0, "refund", this->common_vector_}, {1, "refund", this->common_vector_}}});
  }
  std::map<std::string, int> asked;
  const ConversationFilter filter = [&asked](const Attributes& attributes) {
    ++asked[attributes.channel];
    return attributes.channel != "7";
  };

  const auto hits = this->index_->words("refund", 100, filter);
  EXPECT_THAT(asked, testing::Each(testing::Pair(testing::_, 1)));
  asked.clear();
  const auto near = this->index_->nearest(this->common_vector_, 100, filter);

  EXPECT_THAT(asked, testing::Each(testing::Pair(testing::_, 1)));
  EXPECT_EQ(hits.size(), 38U);
  EXPECT_EQ(near->hits.size(), 38U);
}

TYPED_TEST_P(CompanyIndexConformance, tells_which_conversations_pass) {
  this->put(1, {on_channel("chat"), {}});
  this->put(2, {on_channel("voice"), {}});
  this->put(3, {on_channel("chat"), {}});
  this->remove(3);

  const auto all = this->index_->passing({});
  const auto some = this->index_->passing(
      [](const Attributes& attributes) { return attributes.channel == "chat"; });

  EXPECT_THAT(all, testing::UnorderedElementsAre(conversation(1), conversation(2)));
  EXPECT_THAT(some, testing::ElementsAre(conversation(1)));
}

TYPED_TEST_P(CompanyIndexConformance, scores_words_by_the_counts_of_several_as_one_that_has_all) {
  const std::unique_ptr<CompanyIndex> parts[] = {TypeParam{}(kDimension), TypeParam{}(kDimension)};
  for (int i = 0; i < 60; ++i) {
    const auto talk = this->random_talk();
    this->put(i, talk);
    ASSERT_TRUE(parts[i % 2]->put(conversation(i), talk.attributes, ModelIndex::chunks(talk)));
    if (i % 5 == 4) {
      this->remove(i - 3);
      parts[(i - 3) % 2]->remove(conversation(i - 3));
    }
  }
  constexpr std::string_view kQuery = "angry invoice nowhere angry pakke";

  const auto all = this->index_->word_counts(kQuery);
  auto sum = parts[0]->word_counts(kQuery);
  const auto second = parts[1]->word_counts(kQuery);
  sum.chunks += second.chunks;
  sum.words += second.words;
  for (std::size_t i = 0; i < sum.having.size(); ++i) sum.having[i] += second.having[i];
  auto hits = parts[0]->words(kQuery, 1000, {}, &sum);
  for (const auto& hit : parts[1]->words(kQuery, 1000, {}, &sum)) hits.push_back(hit);
  std::ranges::sort(hits, ranks_before);

  EXPECT_EQ(sum, all);
  ASSERT_EQ(all.having.size(), 5U);
  EXPECT_EQ(all.having[2], 0U);
  const auto expected = this->index_->words(kQuery, 1000, {});
  ASSERT_EQ(hits.size(), expected.size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    EXPECT_EQ(hits[i].conversation, expected[i].conversation);
    EXPECT_EQ(hits[i].score, expected[i].score) << "to the bit";
  }
}

TYPED_TEST_P(CompanyIndexConformance, holds_no_vectors_without_a_dimension) {
  auto index = TypeParam{}(0);
  const IndexChunk chunks[] = {{0, "refund", {}}};

  ASSERT_TRUE(index->put(conversation(1), {}, chunks).has_value());

  EXPECT_EQ(index->words("refund", 10, {}).size(), 1U);
  EXPECT_THAT(index->nearest(this->common_vector_, 10, {})->hits, testing::IsEmpty());
}

TYPED_TEST_P(CompanyIndexConformance, answers_while_it_changes_and_changes_while_it_answers) {
  std::vector<std::jthread> readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const auto near = this->index_->nearest(this->common_vector_, 5, {});
        for (const auto& hit : near->hits) EXPECT_LE(hit.score, 1.001F);
        EXPECT_LE(this->index_->words("refund", 5, {}).size(), 5U);
        EXPECT_LE(this->index_->size().conversations, 20U);
      }
    });
  }

  readers.emplace_back([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) EXPECT_TRUE(this->index_->maintain({}).has_value());
  });

  for (int step = 0; step < 2'000; ++step) {
    const auto number = static_cast<int>(this->random_() % 20);
    if (step % 3 == 0) {
      this->remove(number);
    } else {
      this->put(number, this->random_talk());
    }
  }

  readers.clear();
  this->expect_same_answers();
}

REGISTER_TYPED_TEST_SUITE_P(
    CompanyIndexConformance, answers_as_brute_force_through_any_changes,
    tells_what_has_changed_since_a_search, forgets_too_old_changes_and_says_so,
    forgets_a_conversation_at_once, forgets_the_chunks_a_new_version_does_not_name,
    never_answers_from_another_company, breaks_ties_by_conversation_and_ordinal,
    refuses_vectors_it_cannot_compare_and_changes_nothing, takes_queries_of_any_length_but_none,
    refuses_a_chunk_that_is_there_twice, asks_the_filter_once_for_a_conversation,
    tells_which_conversations_pass, holds_no_vectors_without_a_dimension,
    scores_words_by_the_counts_of_several_as_one_that_has_all,
    answers_while_it_changes_and_changes_while_it_answers);

}  // namespace samtale::index_conformance

#include "search/stored_vector_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "store/testing/fake_vector_search.h"

namespace samtale {
namespace {

constexpr CompanyId kAcme{1};

ConversationId id(int number) {
  return make_conversation_id(kAcme, "test", std::to_string(number));
}

std::vector<float> at(float angle) { return {std::cos(angle), std::sin(angle)}; }

class StoredVectorIndexTest : public testing::Test {
 protected:
  // Each a little farther from at(0) than the one before; every tenth on the phone.
  void put(int count) {
    for (int number = 0; number < count; ++number) {
      const auto vector = at(0.01F * static_cast<float>(number));
      vectors.vectors.push_back({id(number), 0, vector});
      Attributes attributes;
      attributes.channel = number % 10 == 0 ? "voice" : "chat";
      const IndexChunk chunks[] = {{.ordinal = 0, .text = "parcel", .vector = vector}};
      ASSERT_TRUE(index->put(id(number), attributes, chunks));
    }
  }
  static ConversationFilter on(const std::string& channel) {
    return [channel](const Attributes& attributes) { return attributes.channel == channel; };
  }
  NearChunks nearest(std::size_t limit, const ConversationFilter& filter = {},
                     bool must_be_exact = false) {
    const auto near = index->nearest(at(0), limit, filter, must_be_exact);
    EXPECT_TRUE(near) << near.error().message;
    return near.value_or(NearChunks());
  }
  void make_graph() {
    vectors.has_graph = true;
    ASSERT_TRUE(index->maintain({}));
  }

  FakeVectorSearch vectors;
  std::unique_ptr<CompanyIndex> index =
      make_stored_vector_index(2, {.graph_from = 100, .recall_target = 0.9}, kAcme, vectors);
};

TEST_F(StoredVectorIndexTest, compares_all_of_a_small_company) {
  put(50);
  make_graph();

  const auto near = nearest(3);

  EXPECT_TRUE(near.is_exact);
  ASSERT_EQ(near.hits.size(), 3U);
  EXPECT_EQ(near.hits[0].conversation, id(0));
  EXPECT_EQ(vectors.walks, 0U);
  EXPECT_EQ(index->size().vectors, 50U);
  EXPECT_EQ(index->size().graph_vectors, 0U);
}

TEST_F(StoredVectorIndexTest, walks_the_graph_of_a_large_one_and_says_so) {
  put(200);
  EXPECT_TRUE(nearest(3).is_exact) << "its graph is not there yet";
  make_graph();

  EXPECT_FALSE(nearest(3).is_exact);
  EXPECT_TRUE(nearest(3, {}, true).is_exact) << "as was asked for";
  EXPECT_EQ(vectors.walks, 1U);
  EXPECT_EQ(index->size().graph_vectors, 200U);
}

TEST_F(StoredVectorIndexTest, compares_all_where_a_walk_finds_too_few) {
  put(200);
  make_graph();
  vectors.walk_finds_max = 2;

  const auto near = nearest(3);

  EXPECT_TRUE(near.is_exact);
  EXPECT_EQ(near.hits.size(), 3U);
}

TEST_F(StoredVectorIndexTest, names_the_few_that_pass_a_filter_and_drops_the_few_that_do_not) {
  put(60);

  const auto few = nearest(5, on("voice"));
  EXPECT_EQ(vectors.named_scans, 1U);
  EXPECT_EQ(vectors.scans, 0U);
  const auto most = nearest(5, on("chat"));
  EXPECT_EQ(vectors.named_scans, 1U);
  EXPECT_EQ(vectors.scans, 1U);

  ASSERT_EQ(few.hits.size(), 5U);
  EXPECT_EQ(few.hits[1].conversation, id(10));
  ASSERT_EQ(most.hits.size(), 5U);
  EXPECT_EQ(most.hits[0].conversation, id(1));
  EXPECT_TRUE(few.is_exact && most.is_exact);
  EXPECT_EQ(nearest(100, on("voice")).hits.size(), 6U);
  EXPECT_EQ(nearest(100, on("chat")).hits.size(), 54U);
  EXPECT_TRUE(nearest(5, on("mail")).hits.empty());
}

TEST_F(StoredVectorIndexTest, finds_what_passes_also_where_it_lies_far_from_the_question) {
  put(60);
  // Half of all.
  for (int number = 0; number < 60; ++number) {
    Attributes attributes;
    attributes.channel = number >= 30 ? "far" : "near";
    const IndexChunk chunks[] = {{.text = "parcel", .vector = at(0)}};
    ASSERT_TRUE(index->put(id(number), attributes, chunks));
  }

  const auto near = nearest(5, on("far"));

  ASSERT_EQ(near.hits.size(), 5U);
  EXPECT_EQ(near.hits[0].conversation, id(30));
}

TEST_F(StoredVectorIndexTest, looks_at_more_until_the_graph_finds_enough) {
  put(400);
  make_graph();
  vectors.walk_finds_from = 50;
  const auto maintain = [&] {
    for (int i = 0; i < 8; ++i) nearest(10);
    for (int look = 0; look < 60; ++look) ASSERT_TRUE(index->maintain({}));
  };

  maintain();
  EXPECT_LT(index->size().recall, 0.9);
  for (int i = 0; i < 3; ++i) maintain();

  EXPECT_DOUBLE_EQ(index->size().recall, 1);
  EXPECT_GE(vectors.last_effort, 50U);
}

TEST_F(StoredVectorIndexTest, gives_no_part_of_an_answer_where_the_store_is_away) {
  put(50);
  vectors.error = Error(ErrorCode::unavailable, "connection refused");

  for (const auto& filter : {ConversationFilter(), on("voice"), on("chat")}) {
    const auto near = index->nearest(at(0), 3, filter);

    ASSERT_FALSE(near);
    EXPECT_EQ(near.error().code, ErrorCode::unavailable);
  }
}

TEST_F(StoredVectorIndexTest, refuses_a_question_that_cannot_be_compared) {
  put(1);
  for (const auto& vector : {std::vector<float>{0, 0}, {1, 0, 0}, {NAN, 0}}) {
    EXPECT_EQ(index->nearest(vector, 3, {}).error().code, ErrorCode::invalid_argument);
  }
}

TEST_F(StoredVectorIndexTest, knows_of_no_answer_what_has_changed_since) {
  put(1);

  EXPECT_FALSE(index->changed_since(0, at(0), {}).value().has_value());
}

TEST_F(StoredVectorIndexTest, counts_the_vectors_of_what_is_there) {
  put(3);
  const IndexChunk chunks[] = {{.text = "one", .vector = {}}};
  ASSERT_TRUE(index->put(id(1), {}, chunks));
  EXPECT_TRUE(index->remove(id(2)));

  EXPECT_EQ(index->size().vectors, 1U);
  EXPECT_EQ(index->size().conversations, 2U);
  EXPECT_EQ(index->words("one", 9, {}).size(), 1U);
}

}  // namespace
}  // namespace samtale

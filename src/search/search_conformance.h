// Goal:   a search answers the same, whatever keeps and compares the vectors.
// Method: conversations of few words go through a real store and its change feed into the indexes.
//
// A backend joins with INSTANTIATE_TEST_SUITE_P(Name, SearchConformance, testing::Values(maker)).
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "search/testing/search_fixture.h"

namespace samtale {

using MakeBackend = std::unique_ptr<SearchBackend> (*)();

class SearchConformance : public SearchFixture, public testing::WithParamInterface<MakeBackend> {
 protected:
  SearchConformance() : SearchFixture(GetParam()()) {}
};

TEST_P(SearchConformance, finds_by_what_each_analyzer_concluded) {
  const auto first = add(kAcme, "first", "the parcel is late");
  add(kAcme, "second", "the parcel is here");
  conclude(kAcme, first, "intent", {"complain", "cancel"});
  conclude(kAcme, first, "quality", {}, 0.5);
  const auto found_by = [&](AnalysisFilter filter) {
    SearchRequest request;
    request.query = "parcel";
    request.filters.analyses = {std::move(filter)};
    return found(kAcme, request);
  };

  EXPECT_THAT(found_by({.analyzer = "intent", .labels = {"cancel"}}), ElementsAre("first"));
  EXPECT_THAT(found_by({.analyzer = "intent", .labels = {"ask"}}), IsEmpty());
  EXPECT_THAT(found_by({.analyzer = "topics", .labels = {"cancel"}}), IsEmpty());
  EXPECT_THAT(found_by({.analyzer = "quality", .score_min = 0.5, .score_max = 0.5}),
              ElementsAre("first"));
  EXPECT_THAT(found_by({.analyzer = "quality", .score_min = 0.51}), IsEmpty());
  EXPECT_THAT(found_by({.analyzer = "quality", .score_max = 0.49}), IsEmpty());
  EXPECT_THAT(found_by({.analyzer = "intent", .score_max = 1}), IsEmpty());
}

TEST_P(SearchConformance, finds_by_words_by_meaning_and_by_both) {
  add(kAcme, "lamp", "the lamp arrived broken");
  add(kAcme, "bill", "please explain my bill");

  for (const auto mode : {SearchMode::keyword, SearchMode::vector, SearchMode::hybrid}) {
    EXPECT_THAT(found(kAcme, {.query = "broken lamp", .mode = mode, .limit = 1}),
                ElementsAre("lamp"));
  }
}

TEST_P(SearchConformance, never_answers_with_another_companys_conversation) {
  add(kAcme, "secret", "the merger is secret");

  EXPECT_THAT(found(kGlobex, {.query = "merger"}), IsEmpty());
  add(kGlobex, "other", "something else");
  EXPECT_THAT(found(kGlobex, {.query = "merger", .mode = SearchMode::keyword}), IsEmpty());
}

TEST_P(SearchConformance, answers_a_hybrid_by_words_and_says_so_when_the_embedder_is_away) {
  add(kAcme, "lamp", "the lamp arrived broken");
  embedder.then_fail(ErrorCode::unavailable, "connection refused");

  const auto answer = searcher().search(kAcme, {.query = "lamp"});

  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->hits, SizeIs(1));
  EXPECT_EQ(answer->mode, SearchMode::keyword);
  EXPECT_THAT(answer->degraded, HasSubstr("connection refused"));
}

TEST_P(SearchConformance, a_rate_limit_of_the_embedder_is_not_the_callers) {
  add(kAcme, "lamp", "the lamp arrived broken");
  embedder.then_fail(ErrorCode::resource_exhausted, "http://10.0.0.5: too many requests");

  const auto answer = searcher().search(kAcme, {.query = "lamp", .mode = SearchMode::vector});

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
}

TEST_P(SearchConformance, filters_before_it_ranks) {
  add(kAcme, "one", "zebra", "chat");
  add(kAcme, "two", "zebra", "voice");

  SearchRequest request{.query = "zebra"};
  request.filters.channels = {"voice"};

  EXPECT_THAT(found(kAcme, request), ElementsAre("two"));
}

TEST_P(SearchConformance, goes_through_all_pages_without_repeats) {
  for (int i = 0; i < 5; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  SearchRequest request{.query = "zebra", .mode = SearchMode::keyword, .limit = 2};

  std::vector<std::string> all;
  while (true) {
    const auto answer = searcher().search(kAcme, request);
    ASSERT_TRUE(answer);
    for (const auto& hit : answer->hits) all.push_back(hit.summary->head.external_id);
    if (answer->next_cursor.empty()) break;
    request.cursor = answer->next_cursor;
  }

  EXPECT_THAT(all, testing::UnorderedElementsAre("c0", "c1", "c2", "c3", "c4"));
}

TEST_P(SearchConformance, refuses_a_cursor_of_another_search_or_company) {
  for (int i = 0; i < 3; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  SearchRequest request{.query = "zebra", .mode = SearchMode::keyword, .limit = 1};
  request.cursor = searcher().search(kAcme, request)->next_cursor;
  ASSERT_FALSE(request.cursor.empty());

  EXPECT_TRUE(searcher().search(kAcme, request));
  open(kGlobex);
  EXPECT_FALSE(searcher().search(kGlobex, request));
  request.query = "lion";
  EXPECT_EQ(searcher().search(kAcme, request).error().code, ErrorCode::invalid_argument);
}

TEST_P(SearchConformance, does_not_find_what_was_deleted) {
  const auto id = add(kAcme, "lamp", "the lamp arrived broken");
  ASSERT_TRUE(store.write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY([[maybe_unused]] const auto positions, writer.erase_conversation(kAcme, id));
    return {};
  }));

  ASSERT_TRUE(indexes.refresh(store, kAcme, {&id, 1}));

  EXPECT_THAT(found(kAcme, {.query = "lamp"}), IsEmpty());
  EXPECT_EQ(indexes.size(kAcme).chunks, 0U);
}

TEST_P(SearchConformance, tells_filters_apart_that_are_written_alike) {
  const auto first = add(kAcme, "first", "the parcel is late");
  conclude(kAcme, first, "quality", {}, 0.1234567);
  const auto with_least = [&](double least) {
    SearchRequest request{.query = "parcel", .mode = SearchMode::vector};
    request.filters.analyses = {{.analyzer = "quality", .score_min = least}};
    return found(kAcme, request);
  };

  EXPECT_THAT(with_least(0.1234567), ElementsAre("first"));
  EXPECT_THAT(with_least(0.1234568), IsEmpty());
}

TEST_P(SearchConformance, ranks_by_the_nearest_first_and_knows_their_cosines) {
  add(kAcme, "same", "the lamp arrived broken");
  add(kAcme, "other", "please explain my bill");

  const auto answer =
      searcher().search(kAcme, {.query = "the lamp arrived broken", .mode = SearchMode::vector});

  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->is_exact);
  ASSERT_THAT(answer->hits, SizeIs(2));
  EXPECT_EQ(answer->hits[0].summary->head.external_id, "same");
  EXPECT_NEAR(answer->hits[0].chunks[0].vector_score, 1, 1e-5);
  EXPECT_LT(answer->hits[1].chunks[0].vector_score, 0.9);
}

TEST_P(SearchConformance, finds_others_beside_one_that_has_very_many_near_chunks) {
  add(kAcme, "long", "the lamp arrived broken", "chat", 100);
  add(kAcme, "near", "the lamp arrived late");
  add(kAcme, "far", "please explain my bill");
  SearchRequest request{.query = "the lamp arrived broken", .mode = SearchMode::vector, .limit = 2};

  const auto first = searcher().search(kAcme, request);

  ASSERT_TRUE(first);
  ASSERT_THAT(first->hits, SizeIs(2));
  EXPECT_EQ(first->hits[0].summary->head.external_id, "long");
  EXPECT_THAT(first->hits[0].chunks, SizeIs(request.chunks));
  EXPECT_EQ(first->hits[1].summary->head.external_id, "near");
  request.cursor = first->next_cursor;
  EXPECT_THAT(found(kAcme, request), ElementsAre("far"));
}

TEST_P(SearchConformance, asks_an_index_of_many_for_the_few_that_pass_and_for_the_most_of_them) {
  for (int i = 0; i < 30; ++i) {
    add(kAcme, "c" + std::to_string(i), "parcel " + std::to_string(i), i < 3 ? "voice" : "chat");
  }
  SearchRequest request{.query = "parcel", .mode = SearchMode::vector, .limit = 100};

  for (const auto& [channel, count] : {std::pair("voice", 3U), {"chat", 27U}, {"mail", 0U}}) {
    request.filters.channels = {channel};
    EXPECT_THAT(found(kAcme, request), SizeIs(count)) << channel;
  }
}

}  // namespace samtale

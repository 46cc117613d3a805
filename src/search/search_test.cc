#include "search/search.h"

#include <gmock/gmock.h>

#include <stop_token>
#include <thread>

#include "base/bytes.h"
#include "search/search_conformance.h"
#include "search/testing/native_search.h"
#include "sim/memory_log.h"
#include "sim/sim_files.h"
#include "text/words.h"

namespace samtale {
namespace {

INSTANTIATE_TEST_SUITE_P(Native, SearchConformance, testing::Values(NativeBackend::make));

class SearchTest : public SearchFixture {
 protected:
  SearchTest() : SearchFixture(NativeBackend::make()) {}
};

TEST_F(SearchTest, keeps_nothing_of_a_conversation_that_was_deleted) {
  const auto id = add(kAcme, "lamp", "the lamp arrived broken");
  ASSERT_THAT(found(kAcme, {.query = "lamp"}), SizeIs(1));
  ASSERT_EQ(near_cache.stats().cache.values, 1U);
  ASSERT_EQ(hydration.stats().values, 1U);

  remove(kAcme, id);

  ASSERT_TRUE(hydration.follow());
  EXPECT_EQ(near_cache.stats().cache.values, 0U);
  EXPECT_EQ(hydration.stats().values, 0U);
}

TEST_F(SearchTest, answers_what_was_asked_before_as_if_it_were_asked_first) {
  QueryVectors no_vectors(embedder, 0);
  NearCache no_searches(embedder.model_id(), 0);
  Hydration no_texts(store, 0);
  const Searcher fresh(indexes, no_texts, no_vectors, no_searches, clock, {.cursor_key = "a key"});
  constexpr const char* kWords[] = {"parcel", "invoice", "refund", "angry", "thanks", "broken"};
  std::vector<std::string> names;
  const auto word = [&] { return std::string(kWords[random.below(std::size(kWords))]); };
  for (int step = 0; step < 60; ++step) {
    const auto place = names.empty() ? 0 : random.below(names.size());
    if (!names.empty() && random.one_in(4)) {
      remove(kAcme, make_conversation_id(kAcme, "api", names[place]));
      names.erase(names.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      if (names.empty() || random.one_in(2)) names.push_back("c" + std::to_string(step));
      const auto& name = random.one_in(2) ? names.back() : names[place];
      add(kAcme, name, word() + " " + word(), random.one_in(2) ? "chat" : "voice");
    }
    for (const auto* query : kWords) {
      SearchRequest request{.query = query, .limit = 5};
      if (random.one_in(2)) request.filters.channels = {"chat"};
      if (random.one_in(2)) request.mode = SearchMode::vector;

      const auto kept = searcher().search(kAcme, request);
      const auto expected = fresh.search(kAcme, request);

      ASSERT_TRUE(kept && expected);
      ASSERT_EQ(shown(*kept), shown(*expected)) << "step " << step << ": " << query;
    }
  }
  EXPECT_GT(near_cache.stats().cache.hits, 50U);
  EXPECT_EQ(query_vectors.stats().misses, std::size(kWords));
}

TEST_F(SearchTest, a_follower_that_starts_late_loads_what_is_there) {
  add(kAcme, "lamp", "the lamp arrived broken");
  IndexSet fresh(embedder.model_id(), embedder.dimension());
  IndexFollower late(store, Partition{0}, fresh);

  ASSERT_TRUE(late.load());
  while (late.step().value() > 0) continue;

  EXPECT_EQ(fresh.size(kAcme).vectors, 1U);
  EXPECT_TRUE(late.is_warm());
}

TEST_F(SearchTest, who_waits_for_a_change_is_woken_when_the_index_has_it) {
  IndexFollower late(store, Partition{0}, indexes);
  ASSERT_TRUE(late.load());
  add(kAcme, "lamp", "the lamp arrived broken");
  const auto last = store.last_change(Partition{0})->sequence;
  std::uint64_t applied = 0;

  std::jthread waiting([&] { applied = late.wait_applied(last, std::chrono::hours(1)); });
  while (late.step().value() > 0) {
  }
  waiting.join();

  EXPECT_EQ(applied, last);
}

TEST_F(SearchTest, who_waits_is_told_how_far_the_index_is_when_its_time_is_over) {
  IndexFollower late(store, Partition{0}, indexes);
  EXPECT_EQ(late.wait_applied(1, std::chrono::hours(1)), 0U) << "not loaded: it would wait in vain";
  add(kAcme, "lamp", "the lamp arrived broken");
  ASSERT_TRUE(late.load());
  const auto loaded = store.last_change(Partition{0})->sequence;
  add(kAcme, "chair", "the chair is fine");

  EXPECT_EQ(late.wait_applied(loaded + 1, {}), loaded);
  EXPECT_EQ(late.wait_applied(loaded, std::chrono::hours(1)), loaded);
}

TEST_F(SearchTest, who_waits_for_an_index_that_goes_away_is_told_at_once) {
  IndexFollower leaving(store, Partition{0}, indexes);
  ASSERT_TRUE(leaving.load());
  std::uint64_t applied = 7;

  std::jthread waiting([&] { applied = leaving.wait_applied(1'000, std::chrono::hours(1)); });
  leaving.rest({}, std::chrono::hours(1), {});  // Ends once somebody waits.
  leaving.drop();
  waiting.join();

  EXPECT_EQ(applied, 0U);
}

TEST_F(SearchTest, a_follower_that_hears_of_a_change_rests_no_longer) {
  IndexFollower idle(store, Partition{0}, indexes);
  ASSERT_TRUE(idle.load());
  add(kAcme, "lamp", "the lamp arrived broken");
  const auto last = store.last_change(Partition{0})->sequence;

  idle.heard_of(last);
  idle.rest({}, std::chrono::hours(1), {});
  EXPECT_GT(idle.lag(), 0U);

  EXPECT_GT(idle.step().value(), 0U);
  EXPECT_EQ(idle.wait_applied(last, {}), last);
  EXPECT_EQ(idle.lag(), 0U);
}

TEST_F(SearchTest, a_follower_need_not_know_how_far_the_feed_is_to_hear_of_it) {
  IndexFollower idle(store, Partition{0}, indexes);
  ASSERT_TRUE(idle.load());

  idle.heard_of(IndexFollower::kFurther);
  idle.rest({}, std::chrono::hours(1), {});

  EXPECT_EQ(idle.step().value(), 0U);
}

TEST_F(SearchTest, a_follower_that_only_hears_of_changes_rests_at_least_for_a_while) {
  IndexFollower idle(store, Partition{0}, indexes);
  ASSERT_TRUE(idle.load());
  add(kAcme, "lamp", "the lamp arrived broken");
  const auto last = store.last_change(Partition{0})->sequence;
  constexpr auto kLong = std::chrono::hours(1);

  idle.heard_of(last);
  std::jthread resting([&](const std::stop_token& stop) { idle.rest(kLong, 2 * kLong, stop); });
  std::jthread waiting([&] { static_cast<void>(idle.wait_applied(last, kLong)); });
  resting.join();  // Not by the news, but because somebody waits.

  EXPECT_GT(idle.step().value(), 0U);
}

TEST_F(SearchTest, a_follower_rests_until_it_is_told_to_stop) {
  IndexFollower idle(store, Partition{0}, indexes);
  ASSERT_TRUE(idle.load());
  std::stop_source stop;

  std::jthread resting([&] { idle.rest({}, std::chrono::hours(1), stop.get_token()); });
  stop.request_stop();
  resting.join();

  EXPECT_TRUE(idle.is_loaded());
}

TEST_F(SearchTest, a_follower_whose_changes_were_forgotten_begins_anew) {
  add(kAcme, "lamp", "the lamp arrived broken");
  const auto chair = add(kAcme, "chair", "the chair is fine");
  IndexSet other(embedder.model_id(), embedder.dimension());
  IndexFollower slow(store, Partition{0}, other);
  ASSERT_TRUE(slow.load());

  ASSERT_TRUE(store.write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.erase_conversation(kAcme, chair));
    return {};
  }));
  add(kAcme, "desk", "the desk arrived");
  ASSERT_TRUE(store.trim_changes(Partition{0}, store.last_change(Partition{0})->sequence));

  while (slow.step().value() > 0) {
  }
  EXPECT_EQ(other.size(kAcme).conversations, 2U);
  EXPECT_TRUE(slow.is_loaded());
}

TEST_F(SearchTest, leaves_vectors_of_another_model_out) {
  add(kAcme, "lamp", "the lamp arrived broken");
  IndexSet other("another-model", embedder.dimension());
  IndexFollower late(store, Partition{0}, other);

  open(late, kAcme, IndexFollower::Part::whole);

  EXPECT_EQ(other.size(kAcme).chunks, 1U);
  EXPECT_EQ(other.size(kAcme).vectors, 0U);
}

TEST_F(SearchTest, a_company_without_an_index_keeps_no_file) {
  add(kAcme, "lamp", "the lamp arrived broken");
  SimFiles files(random);
  ASSERT_TRUE(files.make_folder("/index"));
  files.replace("/index/0000000000000001-0123456789abcdef.seg", "of a model before");
  files.replace("/index/0000000000000063-0123456789abcdef.seg", "of a company that is gone");
  MemoryLog log;
  const auto segments =
      SegmentFolder::open(files, "/index", embedder.model_id(), embedder.dimension(), clock, log)
          .value();
  IndexSet fresh(embedder.model_id(), embedder.dimension(), {}, segments.get());
  IndexFollower late(store, Partition{0}, fresh);
  ASSERT_TRUE(late.load());

  ASSERT_EQ(fresh.maintain({}, [](CompanyId) { return true; }).value(), 0U);

  EXPECT_THAT(files.paths(), IsEmpty());
}

std::string shown(const std::vector<SnippetPart>& parts) {
  std::string text;
  for (const auto& part : parts) text += part.is_hit ? "[" + part.text + "]" : part.text;
  return text;
}

TEST(SnippetTest, marks_the_words_of_the_query) {
  EXPECT_EQ(shown(make_snippet("My parcels never came", words("parcel came"))),
            "My [parcels] never [came]");
}

TEST(SnippetTest, shows_the_part_of_a_long_text_that_has_the_hits) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "nothing here ";
  text += "the lamp is broken ";
  for (int i = 0; i < 200; ++i) text += "nor here ";

  const auto snippet = shown(make_snippet(text, words("lamp")));

  EXPECT_THAT(snippet, HasSubstr("[lamp]"));
  EXPECT_LT(snippet.size(), 400U);
  EXPECT_THAT(snippet, testing::StartsWith("… "));
}

TEST(SnippetTest, never_cuts_inside_a_code_point) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "æøå😀";

  for (std::size_t length = 100; length < 140; ++length) {
    std::string whole;
    for (const auto& part : make_snippet(text, {"x"}, length)) whole += part.text;
    EXPECT_TRUE(is_utf8(whole)) << length;
  }
}

}  // namespace
}  // namespace samtale

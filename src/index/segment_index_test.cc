// Goal:   a graph that was in a file answers as it did, whatever changed in the store meanwhile;
//         what is gone is in no answer, and soon in no file.
// Method: indexes that are dropped and filled again, over one folder on a simulated disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>

#include "base/bytes.h"
#include "index/company_index_conformance.h"
#include "index/segment.h"
#include "index/segment_folder.h"
#include "index/testing/vectors.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

using index_conformance::conversation;

class SegmentIndexTest : public testing::Test {
 protected:
  static constexpr std::size_t kDimension = 24;
  static constexpr int kConversations = 1'500;
  static constexpr int kQuietLooks = 61;

  void SetUp() override {
    ASSERT_TRUE(files.make_folder("/data"));
    for (int i = 0; i < kConversations; ++i) vectors[i] = clustered(random, kDimension);
    start();
    ASSERT_TRUE(index->maintain({}).value());
    ASSERT_EQ(folder->stats().written, 1U);
  }

  // A process that finds in its store what `vectors` says.
  void start() {
    index = nullptr;
    folder = SegmentFolder::open(files, "/data/index", "a-model", kDimension, clock, log).value();
    index =
        make_company_index(kDimension, {.graph_from = graph_from}, {folder.get(), CompanyId{1}});
    for (const auto& [number, vector] : vectors) put(number, vector);
  }
  void put(int number, const std::vector<float>& vector) {
    vectors[number] = vector;
    const IndexChunk chunks[] = {{0, "text", vector}};
    ASSERT_TRUE(index->put(conversation(number), {}, chunks));
  }
  void remove(int number) {
    vectors.erase(number);
    index->remove(conversation(number));
  }

  std::string file() const {
    const auto paths = files.paths();
    return paths.empty() ? "" : files.contents(paths.front());
  }
  bool is_filed(const std::vector<float>& vector) const {
    const auto digest = vector_digest(vector);
    return file().contains(std::string(reinterpret_cast<const char*>(&digest), sizeof digest));
  }

  struct Answers {
    std::vector<std::pair<ConversationId, float>> hits;
    std::size_t by_graph = 0;
    bool operator==(const Answers&) const = default;
  };
  Answers answers(bool must_be_exact = false) {
    std::mt19937_64 queries(77);
    Answers all;
    for (int q = 0; q < 60; ++q) {
      const auto found = index->nearest(clustered(queries, kDimension), 10, {}, must_be_exact);
      all.by_graph += found->is_exact ? 0 : 1;
      for (const auto& hit : found->hits) all.hits.emplace_back(hit.conversation, hit.score);
    }
    return all;
  }
  // Every hit is there, with the score of the vector that the store has now.
  void expect_true_scores() {
    std::map<ConversationId, const std::vector<float>*> truth;
    for (const auto& [number, vector] : vectors) truth[conversation(number)] = &vector;
    const auto found = answers();
    std::mt19937_64 queries(77);
    std::vector<float> query;
    for (std::size_t i = 0; i < found.hits.size(); ++i) {
      if (i % 10 == 0) query = clustered(queries, kDimension);
      ASSERT_TRUE(truth.contains(found.hits[i].first));
      const auto& vector = *truth.at(found.hits[i].first);
      const auto score = std::inner_product(vector.begin(), vector.end(), query.begin(), 0.0);
      ASSERT_NEAR(found.hits[i].second, score, 1e-5);
    }
  }
  // And enough of the nearest are found.
  void expect_right_answers() {
    expect_true_scores();
    const auto exact = answers(true);
    const auto found = answers();
    ASSERT_EQ(found.hits.size(), exact.hits.size());
    std::size_t met = 0;
    for (std::size_t i = 0; i < found.hits.size(); ++i) {
      met += found.hits[i].second >= exact.hits[i / 10 * 10 + 9].second ? 1 : 0;
    }
    EXPECT_GE(static_cast<double>(met), 0.95 * static_cast<double>(exact.hits.size()));
  }

  std::size_t graph_from = 600;
  std::mt19937_64 random{3};
  std::map<int, std::vector<float>> vectors;
  SimRandom chance{1};
  SimFiles files{chance};
  SimClock clock;
  MemoryLog log;
  std::unique_ptr<SegmentFolder> folder;
  std::unique_ptr<CompanyIndex> index;
};

TEST_F(SegmentIndexTest, answers_after_a_restart_as_before_without_making_a_graph) {
  const auto before = answers();
  const auto recall = index->size().recall;
  const auto bytes = file();

  start();
  EXPECT_EQ(answers().by_graph, 0U);
  EXPECT_TRUE(index->maintain({}).value());

  EXPECT_EQ(before.by_graph, 60U);
  EXPECT_EQ(answers(), before);
  EXPECT_EQ(index->size().recall, recall);
  EXPECT_EQ(index->size().graph_vectors, static_cast<std::size_t>(kConversations));
  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_FALSE(index->maintain({}).value());
  EXPECT_EQ(folder->stats().written, 0U);
  EXPECT_EQ(file(), bytes);
}

TEST_F(SegmentIndexTest, serves_what_the_store_has_when_some_went_some_changed_and_some_came) {
  for (int i = 0; i < 300; ++i) vectors.erase(i);
  for (int i = 300; i < 400; ++i) vectors[i] = clustered(random, kDimension);
  for (int i = kConversations; i < kConversations + 200; ++i) {
    vectors[i] = clustered(random, kDimension);
  }

  start();
  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_EQ(index->size().vectors, vectors.size());
  EXPECT_LE(index->size().graph_vectors, static_cast<std::size_t>(kConversations - 400));
  EXPECT_GT(index->size().graph_vectors, static_cast<std::size_t>(kConversations - 450));
  EXPECT_EQ(answers().by_graph, 60U);
  expect_right_answers();
  for (int i = 500; i < 700; ++i) remove(i);
  expect_right_answers();
}

TEST_F(SegmentIndexTest, what_went_while_nobody_ran_is_not_in_the_file_after_the_first_look) {
  const auto gone = vectors[5];
  ASSERT_TRUE(is_filed(gone));
  vectors.erase(5);

  start();
  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_FALSE(is_filed(gone));
  EXPECT_TRUE(is_filed(vectors[6]));
  EXPECT_EQ(folder->stats().written, 1U);
}

TEST_F(SegmentIndexTest, what_is_removed_leaves_the_file_at_the_next_look) {
  const auto gone = vectors[5];
  ASSERT_TRUE(is_filed(gone));
  remove(5);

  EXPECT_FALSE(index->maintain({}).value());

  EXPECT_TRUE(files.paths().empty());
  for (int look = 0; look < kQuietLooks; ++look) ASSERT_FALSE(index->maintain({}).value());
  EXPECT_FALSE(is_filed(gone));
  EXPECT_TRUE(is_filed(vectors[6]));
  start();
  ASSERT_TRUE(index->maintain({}).value());
  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_EQ(folder->stats().written, 0U) << "it is as it should be";
  expect_right_answers();
}

TEST_F(SegmentIndexTest, what_changed_leaves_the_file_too) {
  const auto before = vectors[5];
  put(5, clustered(random, kDimension));

  EXPECT_FALSE(index->maintain({}).value());

  EXPECT_FALSE(is_filed(before));
}

TEST_F(SegmentIndexTest, a_new_vector_leaves_the_file_alone) {
  put(kConversations, clustered(random, kDimension));

  EXPECT_FALSE(index->maintain({}).value());

  EXPECT_EQ(files.paths().size(), 1U);
  EXPECT_EQ(folder->stats().written, 1U);
}

TEST_F(SegmentIndexTest, a_graph_that_has_grown_leaves_the_file_alone_and_grows_again) {
  for (int i = 0; i < 50; ++i) put(kConversations + i, clustered(random, kDimension));
  ASSERT_TRUE(index->maintain({}).value());
  ASSERT_EQ(index->size().graph_vectors, vectors.size());

  EXPECT_EQ(files.paths().size(), 1U);
  EXPECT_EQ(folder->stats().written, 1U) << "all of it for a few";

  start();
  ASSERT_TRUE(index->maintain({}).value());
  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_EQ(index->size().graph_vectors, static_cast<std::size_t>(kConversations));
  ASSERT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, vectors.size());
  expect_right_answers();
}

TEST_F(SegmentIndexTest, what_the_graph_has_grown_by_is_in_the_next_file) {
  for (int i = 0; i < 50; ++i) put(kConversations + i, clustered(random, kDimension));
  ASSERT_TRUE(index->maintain({}).value());
  remove(kConversations);

  for (int look = 0; look <= kQuietLooks; ++look) ASSERT_FALSE(index->maintain({}).value());

  EXPECT_TRUE(is_filed(vectors[kConversations + 1]));
  start();
  ASSERT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, vectors.size());
  expect_right_answers();
}

TEST_F(SegmentIndexTest, a_new_graph_takes_the_place_of_the_old_one) {
  for (int i = kConversations; i < kConversations * 3 / 2; ++i)
    put(i, clustered(random, kDimension));

  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_EQ(files.paths().size(), 1U);
  EXPECT_TRUE(is_filed(vectors[kConversations]));
  start();
  ASSERT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, vectors.size());
  EXPECT_EQ(folder->stats().loaded, 1U);
}

TEST_F(SegmentIndexTest, a_damaged_file_is_reported_and_the_graph_made_again) {
  const auto path = files.paths().front();
  const auto bytes = file();
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{20}, bytes.size() / 20, bytes.size() - 1}) {
    auto damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    files.replace(path, damaged);

    start();
    ASSERT_TRUE(index->maintain({}).value());

    EXPECT_EQ(folder->stats().refused, 1U);
    EXPECT_TRUE(log.has("index.segment_refused"));
    EXPECT_EQ(folder->stats().written, 1U);
    expect_right_answers();
    EXPECT_TRUE(check_segments(files, "/data/index")->front().problem.empty());
  }
}

TEST_F(SegmentIndexTest, a_file_that_lies_hides_answers_and_falsifies_none) {
  auto lie = *folder->load(CompanyId{1});
  std::ranges::rotate(lie.digests, lie.digests.begin() + 1);
  ASSERT_TRUE(folder->save(CompanyId{1}, lie));

  start();
  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_EQ(index->size().vectors, vectors.size());
  expect_true_scores();
}

TEST_F(SegmentIndexTest, a_file_may_be_deleted_at_any_time) {
  ASSERT_TRUE(files.remove(files.paths().front()));
  const auto lost = index->maintain({});
  start();
  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_TRUE(lost);
  EXPECT_EQ(folder->stats().written, 1U);
  expect_right_answers();
}

TEST_F(SegmentIndexTest, a_file_of_which_most_is_gone_is_of_no_use) {
  for (int i = 0; i < kConversations * 6 / 10; ++i) vectors.erase(i);

  start();
  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_EQ(folder->stats().refused, 1U);
  EXPECT_TRUE(log.has("index.segment_outdated"));
  EXPECT_EQ(index->size().graph_vectors, vectors.size());
  expect_right_answers();
}

TEST_F(SegmentIndexTest, a_graph_that_has_lost_a_quarter_since_it_was_made_is_made_anew) {
  for (int i = 0; i < kConversations * 15 / 100; ++i) vectors.erase(i);
  start();
  ASSERT_TRUE(index->maintain({}).value());
  ASSERT_FALSE(index->maintain({}).value());
  for (int i = 1'000; i < 1'000 + kConversations * 15 / 100; ++i) vectors.erase(i);

  start();
  ASSERT_TRUE(index->maintain({}).value());
  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_TRUE(index->maintain({}).value());

  EXPECT_EQ(index->size().graph_vectors, vectors.size());
  EXPECT_FALSE(index->maintain({}).value());
  expect_right_answers();
}

TEST_F(SegmentIndexTest, the_file_of_a_company_that_would_get_no_graph_any_more_is_taken) {
  const auto before = answers();
  graph_from = kConversations + 1;

  start();
  EXPECT_TRUE(index->maintain({}).value());

  EXPECT_EQ(answers(), before);
  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_FALSE(index->maintain({}).value()) << "it stays";
}

TEST_F(SegmentIndexTest, a_company_that_is_small_now_has_no_file) {
  for (int i = 200; i < kConversations; ++i) vectors.erase(i);

  start();
  EXPECT_FALSE(index->maintain({}).value());

  EXPECT_TRUE(files.paths().empty());
  EXPECT_EQ(answers().by_graph, 0U);
}

// A log that does something when it hears of it.
class ActingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    if (event == "index.segment_loaded") act();
  }
  std::function<void()> act;
};

TEST_F(SegmentIndexTest, a_graph_whose_vectors_went_while_it_was_taken_has_no_file) {
  ActingLog acting;
  folder = SegmentFolder::open(files, "/data/index", "a-model", kDimension, clock, acting).value();
  index = make_company_index(kDimension, {.graph_from = graph_from}, {folder.get(), CompanyId{1}});
  for (const auto& [number, vector] : vectors) put(number, vector);
  acting.act = [this] {
    for (int i = 0; i < kConversations; ++i) remove(i);
  };

  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_EQ(index->size().vectors, 0U);
  EXPECT_TRUE(files.paths().empty());
}

TEST_F(SegmentIndexTest, without_graphs_there_are_no_files) {
  graph_from = 0;

  start();
  EXPECT_FALSE(index->maintain({}).value());

  EXPECT_TRUE(files.paths().empty());
}

TEST_F(SegmentIndexTest, of_equal_vectors_any_stands_for_any) {
  for (auto& [number, vector] : vectors) {
    if (number % 3 == 0) vector = vectors[0];
  }
  start();
  ASSERT_TRUE(index->maintain({}).value());
  ASSERT_TRUE(index->maintain({}).has_value());
  for (int i = 0; i < 90; i += 3) vectors.erase(i);
  vectors[kConversations] = vectors[90];

  start();
  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_EQ(folder->stats().loaded, 1U);
  EXPECT_EQ(index->size().vectors, vectors.size());
  EXPECT_EQ(index->nearest(vectors[90], vectors.size(), {}, true)->hits.size(), vectors.size());
}

TEST_F(SegmentIndexTest, a_disk_that_is_full_costs_only_the_file) {
  put(kConversations, clustered(random, kDimension));
  for (int i = 1; i < kConversations / 2; ++i) {
    put(kConversations + i, clustered(random, kDimension));
  }
  files.fail_write(2, SimFault::disk_full);

  ASSERT_TRUE(index->maintain({}).value());

  EXPECT_TRUE(files.paths().empty() || !files.paths().front().ends_with(".seg"));
  EXPECT_EQ(folder->stats().failed, 1U);
  expect_right_answers();
  for (int look = 0; look < kQuietLooks; ++look) ASSERT_FALSE(index->maintain({}).value());
  EXPECT_EQ(folder->stats().written, 2U) << "later there is room";
}

TEST_F(SegmentIndexTest, is_as_it_was_when_it_is_stopped_while_it_takes_the_file) {
  vectors.erase(5);
  start();
  std::stop_source stop;
  stop.request_stop();

  EXPECT_FALSE(index->maintain(stop.get_token()));

  EXPECT_EQ(files.paths().size(), 1U);
  EXPECT_EQ(index->size().vectors, vectors.size());
  expect_right_answers();
}

TEST_F(SegmentIndexTest, answers_and_changes_go_on_while_a_file_is_taken) {
  start();
  const auto before = vectors;
  std::jthread maintainer([&] { EXPECT_TRUE(index->maintain({}).value()); });

  for (int i = 0; i < 200; ++i) {
    remove(i);
    put(kConversations + i, clustered(random, kDimension));
    ASSERT_EQ(index->nearest(vectors[1'000], 10, {})->hits.size(), 10U);
  }
  maintainer.join();

  EXPECT_EQ(index->size().vectors, vectors.size());
  expect_right_answers();
  ASSERT_TRUE(index->maintain({}));
  for (int i = 0; i < 200; ++i) ASSERT_FALSE(is_filed(before.at(i)));
}

}  // namespace
}  // namespace samtale

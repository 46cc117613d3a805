// Goal:   an index whose floats lie in files answers as one that has them in memory; a full disk
//         refuses a change and spoils nothing; what is removed is in no file.
// Method: indexes over a simulated disk, whose files are small and whose room is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "index/company_index_conformance.h"
#include "index/float_rows.h"
#include "index/segment_folder.h"
#include "index/testing/vectors.h"
#include "index/vector_rows.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

using index_conformance::conversation;

class MappedIndexTest : public testing::Test {
 protected:
  static constexpr std::size_t kDimension = 24;
  static constexpr std::size_t kRowBytes = kDimension * sizeof(float);
  static constexpr std::size_t kFileRows = 32;
  static constexpr std::size_t kFileBytes = kFileRows * kRowBytes;

  void SetUp() override { ASSERT_TRUE(files.make_folder("/data")); }

  std::unique_ptr<CompanyIndex> make(std::size_t graph_from = 0) {
    return make_company_index(kDimension,
                              {.graph_from = graph_from, .float_file_bytes = kFileBytes},
                              {folder.get(), CompanyId{1}});
  }
  std::vector<float> vector(int number) const {
    std::mt19937_64 own(static_cast<std::uint64_t>(number));
    return unit_vector(own, kDimension);
  }
  Result<> put(CompanyIndex& index, int number) const {
    const auto floats = vector(number);
    const IndexChunk chunks[] = {{0, "text", floats}};
    return index.put(conversation(number), {}, chunks);
  }
  bool is_on_disk(const std::vector<float>& floats) const {
    return files.scratch_contents().contains(
        std::string_view(reinterpret_cast<const char*>(floats.data()), kRowBytes));
  }
  static std::vector<std::pair<ConversationId, float>> answers(const CompanyIndex& index) {
    std::mt19937_64 queries(7);
    std::vector<std::pair<ConversationId, float>> all;
    for (const std::size_t limit : {1, 10, 1'000}) {
      const auto found = index.nearest(unit_vector(queries, kDimension), limit, {}, true).value();
      for (const auto& hit : found.hits) all.emplace_back(hit.conversation, hit.score);
    }
    return all;
  }

  SimRandom random{1};
  SimFiles files{random};
  SimClock clock;
  MemoryLog log;
  std::unique_ptr<SegmentFolder> folder =
      SegmentFolder::open(files, "/data/index", "a-model", kDimension, clock, log).value();
};

TEST_F(MappedIndexTest, keeps_few_vectors_in_memory_and_many_in_files) {
  const auto index = make();
  constexpr int kFew = static_cast<int>(kFileRows) - 1;
  for (int i = 0; i < kFew; ++i) ASSERT_TRUE(put(*index, i));
  EXPECT_EQ(index->size().mapped_bytes, 0U);
  EXPECT_FALSE(is_on_disk(vector(0)));

  ASSERT_TRUE(put(*index, kFew));
  EXPECT_EQ(index->size().mapped_bytes, kFileBytes);
  EXPECT_TRUE(is_on_disk(vector(0)));
  EXPECT_TRUE(is_on_disk(vector(kFew)));

  ASSERT_TRUE(put(*index, kFew + 1));
  EXPECT_EQ(index->size().mapped_bytes, 2 * kFileBytes);
  EXPECT_THAT(files.paths(), testing::IsEmpty());
}

TEST_F(MappedIndexTest, answers_to_the_bit_as_an_index_in_memory) {
  const auto mapped = make();
  const auto in_memory = make_company_index(kDimension);
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(put(*mapped, i));
    ASSERT_TRUE(put(*in_memory, i));
    if (i % 3 != 0) continue;
    mapped->remove(conversation(i / 2));
    in_memory->remove(conversation(i / 2));
  }

  EXPECT_EQ(answers(*mapped), answers(*in_memory));
  EXPECT_LT(mapped->size().bytes, in_memory->size().bytes - 300 * kRowBytes);
}

TEST_F(MappedIndexTest, leaves_nothing_of_what_is_removed_in_a_file) {
  const auto index = make();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(put(*index, i));

  for (const int last_or_not : {99, 3, 50}) {
    index->remove(conversation(last_or_not));
    EXPECT_FALSE(is_on_disk(vector(last_or_not)));
  }

  EXPECT_TRUE(is_on_disk(vector(98)));
  for (int i = 0; i < 100; ++i) index->remove(conversation(i));
  EXPECT_THAT(files.scratch_contents(), testing::Each('\0'));
  EXPECT_LT(index->size().mapped_bytes, 3 * kFileBytes);
}

TEST_F(MappedIndexTest, clears_what_is_removed_from_a_graph_at_the_next_look) {
  const auto index = make(100);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(put(*index, i));
  ASSERT_TRUE(index->maintain({}).value());
  ASSERT_TRUE(is_on_disk(vector(5)));

  index->remove(conversation(5));
  ASSERT_FALSE(index->maintain({}).value());

  EXPECT_FALSE(is_on_disk(vector(5)));
  EXPECT_TRUE(is_on_disk(vector(6)));
}

TEST_F(MappedIndexTest, refuses_a_change_when_the_disk_is_full_and_is_as_it_was) {
  const auto index = make();
  int count = 0;
  for (; count < 64; ++count) ASSERT_TRUE(put(*index, count));
  files.set_capacity(2 * kFileBytes);
  const auto before = answers(*index);

  const auto refused = put(*index, count);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_EQ(refused.error().message,
            "allocate /data/index: No space left on device: vectors need 3072 bytes there; free "
            "some");
  EXPECT_EQ(index->size().vectors, 64U);
  EXPECT_EQ(answers(*index), before);

  // What needs no room goes on.
  EXPECT_TRUE(index->remove(conversation(0)));
  EXPECT_TRUE(put(*index, count));
}

TEST_F(MappedIndexTest, makes_no_graph_when_the_disk_is_full_and_makes_it_later) {
  const auto index = make(100);
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(put(*index, i));
  files.set_capacity(5 * kFileBytes);
  const auto before = answers(*index);

  const auto refused = index->maintain({});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_EQ(answers(*index), before);

  files.set_capacity(1 << 20);
  EXPECT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, 120U);
  EXPECT_EQ(answers(*index), before);
}

TEST_F(MappedIndexTest, its_graph_grows_later_when_the_disk_is_full) {
  const auto index = make(128);
  for (int i = 0; i < 128; ++i) ASSERT_TRUE(put(*index, i));
  ASSERT_TRUE(index->maintain({}).value());
  for (int i = 128; i < 160; ++i) ASSERT_TRUE(put(*index, i));
  files.set_capacity(5 * kFileBytes);
  const auto before = answers(*index);

  const auto refused = index->maintain({});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_EQ(answers(*index), before);

  files.set_capacity(1 << 20);
  index->remove(conversation(150));
  EXPECT_TRUE(index->maintain({}).value());
  EXPECT_EQ(index->size().graph_vectors, 159U);
  EXPECT_FALSE(is_on_disk(vector(150)));
  EXPECT_TRUE(is_on_disk(vector(151)));
}

TEST_F(MappedIndexTest, codes_go_to_a_file_and_come_back_the_same) {
  constexpr std::size_t kRows = 100;
  VectorRows rows(kDimension, {.folder = folder.get(), .file_bytes = kFileBytes});
  ASSERT_TRUE(rows.make_room(kRows));
  for (std::size_t i = 0; i < kRows; ++i) rows.add(0, vector(static_cast<int>(i)));
  const auto bounds = [&] {
    std::vector<float> all(kRows);
    std::vector<float> likely(kRows);
    auto query = rows.encode_for_scan(vector(-1));
    rows.bounds(query, 0, kRows, all.data(), likely.data());
    return all;
  };
  const auto in_memory = bounds();
  const auto bytes = rows.bytes();
  ASSERT_FALSE(rows.codes_for(true));

  rows.put(rows.codes_for(false).value());
  EXPECT_EQ(bounds(), in_memory);
  EXPECT_LE(rows.bytes(), bytes - kRows * kDimension);
  EXPECT_FALSE(rows.codes_for(false));

  rows.put(rows.codes_for(true).value());
  EXPECT_EQ(bounds(), in_memory);

  rows.put(rows.codes_for(false).value());
  for (std::size_t i = 0; i < kRows; ++i) rows.clear(static_cast<VectorRows::Place>(i));
  EXPECT_THAT(files.scratch_contents(), testing::Each('\0'));
}

TEST_F(MappedIndexTest, codes_stay_in_memory_when_the_disk_is_full) {
  VectorRows rows(kDimension, {.folder = folder.get(), .file_bytes = kFileBytes});
  ASSERT_TRUE(rows.make_room(kFileRows));
  rows.add(0, vector(0));
  files.set_capacity(kFileBytes);

  EXPECT_FALSE(rows.codes_for(false));
}

TEST_F(MappedIndexTest, rows_that_are_written_ahead_are_there_when_they_are_appended) {
  const auto filled = [&](int first, int count) {
    auto rows = std::make_unique<FloatRows>(
        kDimension, FloatPlace{.folder = folder.get(), .file_bytes = kFileBytes});
    EXPECT_TRUE(rows->make_room(static_cast<std::size_t>(count)));
    for (int i = first; i < first + count; ++i) rows->add(vector(i));
    return rows;
  };
  for (const bool is_ahead : {false, true}) {
    const auto rows = filled(0, 40);
    const auto more = filled(40, 50);

    if (is_ahead) rows->write_ahead(*more);  // There is room for some of them only.
    ASSERT_TRUE(rows->make_room(90));
    if (is_ahead) rows->write_ahead(*more);
    rows->append(*more);

    for (int i = 0; i < 90; ++i) {
      EXPECT_TRUE(std::ranges::equal((*rows)[static_cast<std::size_t>(i)], vector(i)));
    }
  }
}

TEST(FloatRowsTest, scores_runs_that_lie_in_several_files) {
  SimRandom random(1);
  SimFiles files(random);
  SimClock clock;
  MemoryLog log;
  const auto folder = SegmentFolder::open(files, "/index", "a-model", 2, clock, log).value();
  FloatRows rows(2, {.folder = folder.get(), .file_bytes = 64});
  ASSERT_TRUE(rows.make_room(20));

  for (int i = 0; i < 20; ++i) rows.add(std::vector<float>{static_cast<float>(i), 1});

  EXPECT_EQ(rows.mapped_bytes(), 3 * 64U);
  EXPECT_EQ(rows.together(0), 8U);
  EXPECT_EQ(rows.together(7), 1U);
  EXPECT_EQ(rows[19][0], 19);
  rows.remove_last();
  EXPECT_EQ(rows[19][0], 0);
}

}  // namespace
}  // namespace samtale

// Goal:   a file is found by its owner and by nobody else, and whatever fails and whenever the
//         power goes, it is the old one, the new one, or none.
// Method: SimFiles; each seed dies at another change of another writing.
#include "index/segment_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "index/testing/segments.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr CompanyId kAcme{1};
constexpr CompanyId kZeta{2};
const std::string kPath = "/data/index";

struct World {
  explicit World(std::uint64_t seed = 1) : random(seed) {
    EXPECT_TRUE(files.make_folder("/data"));
    EXPECT_TRUE(files.sync_folder("/"));
  }

  std::unique_ptr<SegmentFolder> open(const std::string& model = "a-model",
                                      std::size_t dimension = 3) {
    return SegmentFolder::open(files, kPath, model, dimension, clock, log).value();
  }
  std::string path_of(std::string_view start) {
    for (const auto& path : files.paths()) {
      if (path.starts_with(kPath + "/" + std::string(start))) return path;
    }
    return {};
  }

  SimRandom random;
  SimFiles files{random};
  SimClock clock;
  MemoryLog log;
};

const std::string kAcmesFile = "0000000000000001-";
const std::string kZetasFile = "0000000000000002-";

TEST(SegmentFolderTest, finds_what_it_saved_after_a_restart) {
  World world;
  const auto segment = make_segment(1, 50);
  ASSERT_TRUE(world.open()->save(kAcme, segment));

  const auto folder = world.open();

  EXPECT_TRUE(folder->has(kAcme));
  EXPECT_FALSE(folder->has(kZeta));
  EXPECT_EQ(folder->companies(), std::set{kAcme});
  const auto loaded = folder->load(kAcme);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->digests, segment.digests);
  EXPECT_FALSE(folder->load(kZeta));
  EXPECT_EQ(folder->stats().refused, 0U);
}

TEST(SegmentFolderTest, refuses_a_file_that_was_another_companys) {
  World world;
  ASSERT_TRUE(world.open()->save(kAcme, make_segment(1, 50)));
  ASSERT_TRUE(world.open()->save(kZeta, make_segment(2, 50)));
  ASSERT_TRUE(world.files.rename(world.path_of(kZetasFile), world.path_of(kAcmesFile)));
  const auto folder = world.open();

  EXPECT_FALSE(folder->load(kAcme));

  EXPECT_EQ(folder->stats().refused, 1U);
  EXPECT_THAT(world.log.lines().back(), HasSubstr("error=is company 2's"));
}

TEST(SegmentFolderTest, refuses_a_file_of_another_model_or_dimension) {
  World world;
  ASSERT_TRUE(world.open("a-model")->save(kAcme, make_segment(1, 50)));
  const auto of_a = world.path_of(kAcmesFile);
  const auto bytes = world.files.contents(of_a);
  ASSERT_TRUE(world.open("b-model")->save(kAcme, make_segment(1, 50)));
  for (const auto& path : world.files.paths()) world.files.replace(path, bytes);

  EXPECT_FALSE(world.open("b-model")->load(kAcme));
  EXPECT_THAT(world.log.lines().back(), HasSubstr("error=is of the model a-model"));
  EXPECT_FALSE(world.open("a-model", 4)->load(kAcme));
  EXPECT_THAT(world.log.lines().back(), HasSubstr("error=is of 3 dimensions"));
  EXPECT_TRUE(world.open("a-model")->load(kAcme));
}

TEST(SegmentFolderTest, sweeps_away_what_belongs_to_nobody_and_leaves_what_it_does_not_know) {
  World world;
  ASSERT_TRUE(world.open("old-model")->save(kAcme, make_segment(1, 50)));
  ASSERT_TRUE(world.open()->save(kAcme, make_segment(1, 50)));
  const auto kept = world.open();
  ASSERT_TRUE(kept->save(kZeta, make_segment(1, 50)));
  world.files.replace(world.path_of(kAcmesFile) + ".tmp", "half");
  world.files.replace(kPath + "/notes.txt", "mine");
  const auto folder = world.open();

  folder->sweep([](CompanyId company) { return company == kAcme; });

  EXPECT_EQ(world.files.paths().size(), 2U);
  EXPECT_TRUE(folder->load(kAcme));
  EXPECT_FALSE(folder->has(kZeta));
  EXPECT_TRUE(world.files.exists(kPath + "/notes.txt"));
}

TEST(SegmentFolderTest, removes_what_a_killed_process_left_of_its_scratch_files) {
  World world;
  ASSERT_TRUE(world.open()->save(kAcme, make_segment(1, 50)));
  world.files.replace(kPath + "/scratch-a1B2c3", "");

  const auto folder = world.open();

  EXPECT_EQ(world.files.paths(), std::vector{world.path_of(kAcmesFile)});
}

TEST(SegmentFolderTest, keeps_the_old_file_when_a_writing_fails_and_says_so) {
  World world;
  const auto folder = world.open();
  ASSERT_TRUE(folder->save(kAcme, make_segment(1, 50)));

  world.files.fail_sync(1, SimFault::io_error);
  EXPECT_FALSE(folder->save(kAcme, make_segment(2, 50)));
  world.files.fail_write(2, SimFault::disk_full);
  EXPECT_FALSE(folder->save(kAcme, make_segment(3, 50)));

  EXPECT_EQ(folder->load(kAcme)->digests, make_segment(1, 50).digests);
  EXPECT_EQ(folder->stats().failed, 2U);
  EXPECT_TRUE(world.log.has("index.segment_not_written"));
  EXPECT_TRUE(folder->save(kAcme, make_segment(4, 50)));
  EXPECT_EQ(world.open()->load(kAcme)->digests, make_segment(4, 50).digests);
}

TEST(SegmentFolderTest, what_was_removed_is_not_back_after_a_loss_of_power) {
  World world;
  const auto folder = world.open();
  ASSERT_TRUE(folder->save(kAcme, make_segment(1, 50)));

  EXPECT_TRUE(folder->remove(kAcme));
  world.files.crash();
  world.files.start();

  EXPECT_FALSE(folder->has(kAcme));
  EXPECT_FALSE(world.open()->has(kAcme));
  EXPECT_TRUE(folder->remove(kAcme)) << "it is gone";
}

// One life that is cut off at some change, and the next.
void die_while_writing(std::uint64_t seed, bool has_old) {
  World world(seed);
  static const auto old = make_segment(1, 40);
  static const auto fresh = make_segment(2, 60);
  if (has_old) {
    ASSERT_TRUE(world.open()->save(kAcme, old));
  }
  // Up to the last change that a writing makes, and a little beyond.
  world.files.stop_at_change(1 + world.random.below(12));
  const bool is_saved = world.open()->save(kAcme, fresh);
  world.random.one_in(2) ? world.files.kill() : world.files.crash();
  world.files.start();

  const auto folder = world.open();
  const auto loaded = folder->load(kAcme);

  EXPECT_EQ(folder->stats().refused, 0U);
  if (has_old || is_saved) {
    ASSERT_TRUE(loaded);
  }
  if (loaded && loaded->digests != fresh.digests) {
    EXPECT_FALSE(is_saved);
    EXPECT_EQ(loaded->digests, old.digests);
  }
  folder->sweep([](CompanyId) { return true; });
  EXPECT_EQ(world.files.paths().size(), loaded ? 1U : 0U);
  ASSERT_TRUE(folder->save(kAcme, fresh));
  EXPECT_EQ(world.open()->load(kAcme)->digests, fresh.digests);
}

TEST(SegmentFolderSimulation, leaves_the_old_the_new_or_none_wherever_it_dies) {
  for (std::uint64_t seed = 1; seed <= 1'000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    die_while_writing(seed, seed % 2 == 0);
  }
}

// The test of the test.
TEST(SegmentFolderSimulation, finds_damage_on_a_disk_that_lies_about_syncs) {
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    World world(seed);
    ASSERT_TRUE(world.open()->save(kAcme, make_segment(1, 40)));
    world.files.lie_about_syncs();
    ASSERT_TRUE(world.open()->save(kAcme, make_segment(2, 60)));
    world.files.crash();
    world.files.start();

    const auto folder = world.open();
    const auto loaded = folder->load(kAcme);

    refused += folder->stats().refused;
    EXPECT_TRUE(!loaded || loaded->digests.size() == 40 || loaded->digests.size() == 60);
  }
  EXPECT_GT(refused, 0U);
}

TEST(CheckSegmentsTest, says_of_each_file_what_it_is_and_what_is_wrong) {
  World world;
  const auto folder = world.open();
  ASSERT_TRUE(folder->save(kAcme, make_segment(1, 50)));
  ASSERT_TRUE(folder->save(kZeta, make_segment(2, 60)));
  auto bytes = world.files.contents(world.path_of(kZetasFile));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  world.files.replace(world.path_of(kZetasFile), bytes);
  world.files.replace(kPath + "/0000000000000003-0000000000000000.seg", "short");

  const auto checks = check_segments(world.files, kPath).value();

  ASSERT_EQ(checks.size(), 3U);
  EXPECT_EQ(checks[0].company, kAcme);
  EXPECT_EQ(checks[0].model, "a-model");
  EXPECT_EQ(checks[0].vectors, 50U);
  EXPECT_EQ(checks[0].bytes, world.files.contents(world.path_of(kAcmesFile)).size());
  EXPECT_EQ(checks[0].problem, "");
  EXPECT_EQ(checks[1].problem, "has damaged neighbours");
  EXPECT_EQ(checks[2].problem, "ends within its header");
  EXPECT_THAT(*check_segments(world.files, "/none"), IsEmpty());
}

TEST(CheckSegmentsTest, says_when_a_file_lies_under_anothers_name) {
  World world;
  ASSERT_TRUE(world.open()->save(kAcme, make_segment(1, 50)));
  const auto path = world.path_of(kAcmesFile);
  world.files.replace(kPath + "/" + kZetasFile + path.substr(path.rfind('-') + 1),
                      world.files.contents(path));

  const auto checks = check_segments(world.files, kPath).value();

  ASSERT_EQ(checks.size(), 2U);
  EXPECT_EQ(checks[0].problem, "");
  EXPECT_EQ(checks[1].problem, "is company 1's");
}

}  // namespace
}  // namespace samtale

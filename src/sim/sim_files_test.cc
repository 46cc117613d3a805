// Goal: what must survive does, and what may be lost is lost for some seed.
#include "sim/sim_files.h"

#include <gtest/gtest.h>

#include <set>

namespace samtale {
namespace {

// The contents that losses of power leave, over many seeds, of what `write` did to a new disk.
template <class Write>
std::set<std::string> outcomes(const Write& write) {
  std::set<std::string> out;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimRandom random(seed);
    SimFiles files(random);
    write(files);
    files.crash();
    files.start();
    out.insert(files.exists("file") ? files.contents("file") : "none");
  }
  return out;
}

TEST(SimFilesTest, keeps_what_was_synced_in_a_synced_folder) {
  const auto left = outcomes([](SimFiles& files) {
    auto file = files.open("file", true).value();
    ASSERT_TRUE(file->write_at(0, "safe"));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(files.sync_folder("."));
  });

  EXPECT_EQ(left, (std::set<std::string>{"safe"}));
}

TEST(SimFilesTest, may_lose_a_file_whose_folder_was_not_synced) {
  const auto left = outcomes([](SimFiles& files) {
    auto file = files.open("file", true).value();
    ASSERT_TRUE(file->write_at(0, "safe"));
    ASSERT_TRUE(file->sync());
  });

  EXPECT_EQ(left, (std::set<std::string>{"none", "safe"}));
}

TEST(SimFilesTest, tears_unsynced_writes_at_sectors_and_reorders_them) {
  const std::string first(512, 'a');
  const std::string second(512, 'b');

  const auto left = outcomes([&](SimFiles& files) {
    auto file = files.open("file", true).value();
    ASSERT_TRUE(files.sync_folder("."));
    ASSERT_TRUE(file->write_at(0, first + second));
  });

  EXPECT_TRUE(left.contains(""));
  EXPECT_TRUE(left.contains(first));
  EXPECT_TRUE(left.contains(first + second));
  EXPECT_TRUE(left.contains(std::string(512, '\0') + second));
}

TEST(SimFilesTest, a_rename_is_whole_or_not_at_all) {
  const auto left = outcomes([](SimFiles& files) {
    files.replace("file", "old");
    auto file = files.open("file.new", true).value();
    ASSERT_TRUE(file->write_at(0, "new"));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(files.rename("file.new", "file"));
  });

  EXPECT_EQ(left, (std::set<std::string>{"old", "new"}));
}

TEST(SimFilesTest, a_removal_counts_once_the_folder_is_synced) {
  const auto remove = [](SimFiles& files) {
    files.replace("file", "old");
    ASSERT_TRUE(files.remove("file"));
  };

  EXPECT_EQ(outcomes(remove), (std::set<std::string>{"none", "old"}));
  EXPECT_EQ(outcomes([&](SimFiles& files) {
              remove(files);
              ASSERT_TRUE(files.sync_folder("."));
            }),
            (std::set<std::string>{"none"}));
}

TEST(SimFilesTest, keeps_everything_written_when_only_the_process_dies) {
  SimRandom random(1);
  SimFiles files(random);
  auto file = files.open("file", true).value();
  ASSERT_TRUE(file->write_at(0, "written"));

  files.kill();
  EXPECT_FALSE(file->write_at(0, "dead"));
  files.start();

  EXPECT_EQ(files.contents("file"), "written");
  EXPECT_FALSE(file->write_at(0, "dead")) << "a file opened before stays dead";
}

TEST(SimFilesTest, does_not_heal_a_failed_sync_by_another) {
  const auto left = outcomes([](SimFiles& files) {
    auto file = files.open("file", true).value();
    ASSERT_TRUE(files.sync_folder("."));
    ASSERT_TRUE(file->write_at(0, "data"));
    files.fail_sync(1, SimFault::io_error);
    ASSERT_FALSE(file->sync());
    ASSERT_TRUE(file->sync());
    ASSERT_EQ(files.contents("file"), "data");
  });

  EXPECT_TRUE(left.contains(""));
}

TEST(SimFilesTest, refuses_writes_past_its_capacity_and_names_the_cause) {
  SimRandom random(1);
  SimFiles files(random);
  auto file = files.open("file", true).value();
  files.set_capacity(4);

  EXPECT_TRUE(file->write_at(0, "1234"));
  const auto result = file->write_at(4, "5");

  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "write file: No space left on device");
}

TEST(SimFilesTest, counts_scratch_memory_while_it_is_held) {
  SimRandom random(1);
  SimFiles files(random);
  files.set_capacity(1'000);

  auto scratch = *files.map_scratch("/", 600, false);
  const auto refused = files.map_scratch("/", 600, false);
  scratch = nullptr;

  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_EQ(refused.error().message, "allocate /: No space left on device");
  EXPECT_TRUE(files.map_scratch("/", 600, false));
}

TEST(SimFilesTest, dies_at_the_change_asked_for) {
  SimRandom random(1);
  SimFiles files(random);
  auto file = files.open("file", true).value();
  files.stop_at_change(2);

  EXPECT_TRUE(file->write_at(0, "first"));
  EXPECT_FALSE(file->sync());

  EXPECT_TRUE(files.is_down());
  EXPECT_FALSE(files.list("."));
}

TEST(SimFilesTest, repeats_itself_for_one_seed) {
  const auto run = [] {
    SimRandom random(7);
    SimFiles files(random);
    auto file = files.open("file", true).value();
    for (std::uint64_t i = 0; i < 50; ++i) {
      EXPECT_TRUE(file->write_at(random.below(9000), std::string(700, 'x')));
    }
    EXPECT_TRUE(files.sync_folder("."));
    files.crash();
    return files.contents("file");
  };

  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace samtale

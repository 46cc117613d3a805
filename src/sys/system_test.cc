#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "sys/clock.h"
#include "sys/files.h"
#include "sys/random.h"

namespace samtale {
namespace {

class SystemFilesTest : public testing::Test {
 protected:
  SystemFilesTest() {
    std::string folder = testing::TempDir() + "/files-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  ~SystemFilesTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
  std::unique_ptr<Files> files = make_system_files();
};

TEST_F(SystemFilesTest, reads_back_what_it_wrote_and_fewer_bytes_at_the_end) {
  const auto file = *files->open(path("a"), true);
  ASSERT_TRUE(file->write_at(3, "hello"));

  EXPECT_EQ(file->read_at(3, 5).value(), "hello");
  EXPECT_EQ(file->read_at(6, 100).value(), "lo");
  EXPECT_EQ(file->read_at(100, 5).value(), "");
  EXPECT_EQ(file->size().value(), 8U);
}

TEST_F(SystemFilesTest, makes_files_for_the_owner_alone) {
  ASSERT_TRUE(files->open(path("a"), true));

  using std::filesystem::perms;
  EXPECT_EQ(
      std::filesystem::status(path("a")).permissions() & (perms::group_all | perms::others_all),
      perms::none);
}

TEST_F(SystemFilesTest, tells_a_missing_file_from_a_failing_disk) {
  EXPECT_EQ(files->open(path("none"), false).error().code, ErrorCode::not_found);
  EXPECT_EQ(files->open(folder_, true).error().code, ErrorCode::unavailable);
  EXPECT_TRUE(files->remove(path("none")));
}

TEST_F(SystemFilesTest, lists_names_in_order) {
  for (const char* name : {"b", "a", "c"}) ASSERT_TRUE(files->open(path(name), true));

  EXPECT_EQ(files->list(folder_).value(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(SystemFilesTest, maps_zeros_that_can_be_written_and_leave_no_name) {
  constexpr std::size_t kSize = 3 << 20;
  const auto one = *files->map_scratch(folder_, kSize, true);
  const auto other = *files->map_scratch(folder_, kSize, true);

  ASSERT_EQ(one->bytes().size(), kSize);
  EXPECT_TRUE(
      std::ranges::all_of(one->bytes(), [](std::byte byte) { return byte == std::byte{}; }));
  std::ranges::fill(one->bytes(), std::byte{7});
  EXPECT_EQ(one->bytes().back(), std::byte{7});
  EXPECT_EQ(other->bytes().back(), std::byte{});
  EXPECT_EQ(files->list(folder_).value(), std::vector<std::string>());
}

// A file may not be so large in this process: the system refuses it as it does on a full disk.
TEST_F(SystemFilesTest, says_that_there_is_no_room_before_anything_is_written) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit low{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &low);

  const auto mapped = files->map_scratch(folder_, 2 << 20, false);

  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(mapped.error().message.starts_with("allocate " + folder_)) << mapped.error().message;
  EXPECT_EQ(files->list(folder_).value(), std::vector<std::string>());
}

TEST(SystemRandomTest, gives_other_bytes_each_time) {
  SystemRandom random;

  EXPECT_EQ(random.bytes(32).size(), 32U);
  EXPECT_NE(random.bytes(32), random.bytes(32));
  EXPECT_LT(random.fraction(), 1.0);
}

TEST(SystemClockTest, ends_a_sleep_when_it_is_told_to_stop) {
  SystemClock clock;
  std::stop_source stop;
  stop.request_stop();

  const auto begin = clock.now();
  clock.sleep_for(std::chrono::hours(1), stop.get_token());

  EXPECT_LT(clock.now() - begin, std::chrono::minutes(1));
}

}  // namespace
}  // namespace samtale

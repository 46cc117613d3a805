#include "sqlite/data_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace samtale {
namespace {

class DataFolderTest : public ::testing::Test {
 protected:
  DataFolderTest() : path_(std::filesystem::temp_directory_path() / "samtale-folder-XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~DataFolderTest() override { std::filesystem::remove_all(path_); }

  std::string path_;
};

TEST_F(DataFolderTest, refuses_a_folder_in_use_naming_the_process) {
  const auto first = DataFolder::open(path_);
  ASSERT_TRUE(first) << first.error().message;

  const auto second = DataFolder::open(path_);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find("in use by pid " + std::to_string(getpid()) + ";"),
            std::string::npos);
}

TEST_F(DataFolderTest, is_free_again_when_let_go) {
  { const auto first = DataFolder::open(path_).value(); }

  EXPECT_TRUE(DataFolder::open(path_));
}

TEST_F(DataFolderTest, refuses_a_missing_folder) {
  const auto refused = DataFolder::open(path_ + "/missing");

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_found);
}

TEST_F(DataFolderTest, refuses_a_folder_open_to_others_naming_the_mode) {
  ASSERT_EQ(chmod(path_.c_str(), 0750), 0);

  const auto refused = DataFolder::open(path_);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_NE(refused.error().message.find("mode 0750"), std::string::npos);
}

TEST_F(DataFolderTest, refuses_a_folder_of_another_user) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  ASSERT_EQ(chown(path_.c_str(), 12345, 0), 0);

  const auto refused = DataFolder::open(path_);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_NE(refused.error().message.find("12345"), std::string::npos);
}

}  // namespace
}  // namespace samtale

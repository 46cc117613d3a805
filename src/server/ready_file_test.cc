#include "server/ready_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "json/json.h"

namespace samtale {
namespace {

class ReadyFileTest : public testing::Test {
 protected:
  ReadyFileTest() {
    std::string name = testing::TempDir() + "/ready-XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~ReadyFileTest() override { std::filesystem::remove_all(folder); }

  static std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::string folder;
};

TEST_F(ReadyFileTest, tells_the_url_as_json_and_leaves_nothing_beside) {
  const auto path = folder + "/ready.json";

  ASSERT_TRUE(write_ready_file(path, "http://127.0.0.1:8080"));

  const auto body = json::parse(contents(path));
  ASSERT_TRUE(body);
  EXPECT_EQ(*body->find("url"), json::Value("http://127.0.0.1:8080"));
  const auto files = std::filesystem::directory_iterator(folder);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(ReadyFileTest, replaces_the_one_of_an_earlier_run) {
  const auto path = folder + "/ready.json";
  ASSERT_TRUE(write_ready_file(path, "http://127.0.0.1:1"));

  ASSERT_TRUE(write_ready_file(path, "http://127.0.0.1:2"));

  EXPECT_EQ(contents(path), "{\"url\":\"http://127.0.0.1:2\"}\n");
}

TEST_F(ReadyFileTest, nothing_is_written_where_none_is_wanted) {
  EXPECT_TRUE(write_ready_file("", "http://127.0.0.1:8080"));
}

TEST_F(ReadyFileTest, a_folder_that_is_missing_is_named) {
  const auto written = write_ready_file(folder + "/none/ready.json", "http://127.0.0.1:8080");

  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find(folder + "/none/ready.json"), std::string::npos);
}

TEST_F(ReadyFileTest, a_full_disk_leaves_no_empty_file_that_says_ready) {
  const auto path = folder + "/ready.json";
  std::filesystem::create_symlink("/dev/full", path + ".new");

  EXPECT_FALSE(write_ready_file(path, "http://127.0.0.1:8080"));

  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace samtale

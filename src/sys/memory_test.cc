#include "sys/memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace samtale {
namespace {

TEST(MemoryTest, the_least_limit_of_a_group_and_those_above_it_counts) {
  std::string root = testing::TempDir() + "/cgroup-XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  std::filesystem::create_directories(root + "/outer/inner");
  std::ofstream(root + "/outer/memory.max") << "1000\n";
  std::ofstream(root + "/outer/inner/memory.max") << "max\n";

  EXPECT_EQ(cgroup_memory_limit(root, "/outer/inner", 5000), 1000U);
  EXPECT_EQ(cgroup_memory_limit(root, "/outer/inner", 500), 500U) << "the machine has no more";
  EXPECT_EQ(cgroup_memory_limit(root, "", 5000), 5000U) << "no group, no limit";
  EXPECT_EQ(cgroup_memory_limit(root, "/nowhere/here", 5000), 5000U);

  std::filesystem::remove_all(root);
}

TEST(MemoryTest, this_process_may_use_some) { EXPECT_GT(memory_limit(), std::size_t{1} << 20); }

}  // namespace
}  // namespace samtale

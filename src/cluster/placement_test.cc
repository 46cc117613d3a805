// Goal: every partition is held as often as asked, loads are even, and little moves.
#include "cluster/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

namespace samtale {
namespace {

std::vector<std::string> names(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("node" + std::to_string(i));
  return names;
}

std::size_t copies_of(std::size_t partition, const std::vector<Slices>& placed) {
  return static_cast<std::size_t>(
      std::ranges::count_if(placed, [&](Slices some) { return has(some, partition); }));
}

TEST(PlacementTest, places_every_partition_on_as_many_nodes_as_asked_and_evenly) {
  for (const std::size_t partitions : {1U, 4U, 16U, 64U}) {
    for (std::size_t nodes = 1; nodes <= 20; ++nodes) {
      for (const std::size_t replicas : {1U, 2U, 3U}) {
        const auto placed = place(partitions, 1, names(nodes), replicas);

        const auto copies = std::min(replicas, nodes);
        for (std::size_t i = 0; i < partitions; ++i) ASSERT_EQ(copies_of(i, placed), copies);
        const auto most = (5 * partitions * copies + 4 * nodes - 1) / (4 * nodes);
        for (const auto some : placed) {
          // Who came last may have had no choice: two copies are never on one node.
          ASSERT_LE(static_cast<std::size_t>(std::popcount(some)), most + 1);
        }
      }
    }
  }
}

TEST(PlacementTest, moves_little_more_than_the_part_of_the_node_that_goes) {
  const auto before_names = names(8);
  const auto before = place(64, 1, before_names, 2);
  for (std::size_t gone = 0; gone < before_names.size(); ++gone) {
    auto after_names = before_names;
    after_names.erase(after_names.begin() + static_cast<std::ptrdiff_t>(gone));
    const auto after = place(64, 1, after_names, 2);

    int moved = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
      moved += std::popcount(after[i] & ~before[i < gone ? i : i + 1]);
    }
    EXPECT_GE(moved, std::popcount(before[gone]));
    EXPECT_LE(moved, 2 * std::popcount(before[gone]) + 4) << "of 128";
  }
}

TEST(PlacementTest, spreads_the_slices_of_each_partition_evenly) {
  for (const std::size_t slices : {2U, 3U, 4U, 8U}) {
    for (std::size_t nodes = 1; nodes <= 8; ++nodes) {
      for (const std::size_t replicas : {1U, 2U}) {
        const auto placed = place(64 / slices, slices, names(nodes), replicas);

        const auto even = slices * std::min(replicas, nodes) / nodes;
        for (std::size_t partition = 0; partition < 64 / slices; ++partition) {
          const auto all = ((Slices{1} << slices) - 1) << partition * slices;
          for (const auto some : placed) {
            const auto here = static_cast<std::size_t>(std::popcount(some & all));
            ASSERT_TRUE(here == even || here == even + 1) << here << " of " << slices;
          }
        }
      }
    }
  }
}

TEST(PlacementTest, is_nothing_without_nodes) { EXPECT_TRUE(place(4, 1, {}, 2).empty()); }

}  // namespace
}  // namespace samtale

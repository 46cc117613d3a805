#include "cluster/placement.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace samtale {
namespace {

std::uint64_t weight(const std::string& node, std::size_t partition) {
  const auto digest = sha256(std::to_string(partition) + ":" + node);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    number = number << 8 | static_cast<unsigned char>(view(digest)[i]);
  }
  return number;
}

}  // namespace

std::vector<Partitions> place(std::size_t partitions, std::span<const std::string> nodes,
                              std::size_t replicas) {
  std::vector<Partitions> placed(nodes.size(), 0);
  if (nodes.empty()) return placed;
  const auto copies = std::min(replicas, nodes.size());
  const auto even = partitions * copies;
  const auto most = (5 * even + 4 * nodes.size() - 1) / (4 * nodes.size());
  std::vector<std::size_t> loads(nodes.size(), 0);
  for (std::size_t partition = 0; partition < partitions; ++partition) {
    std::vector<std::pair<std::uint64_t, std::size_t>> order;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      order.emplace_back(weight(nodes[i], partition), i);
    }
    std::ranges::sort(order, std::greater());
    std::ranges::stable_partition(order, [&](const auto& one) { return loads[one.second] < most; });
    for (std::size_t copy = 0; copy < copies; ++copy) {
      const auto i = order[copy].second;
      placed[i] |= Partitions{1} << partition;
      ++loads[i];
    }
  }
  return placed;
}

}  // namespace samtale

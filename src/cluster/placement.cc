#include "cluster/placement.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace samtale {
namespace {

std::uint64_t weight(const std::string& node, std::size_t slice) {
  const auto digest = sha256(std::to_string(slice) + ":" + node);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    number = number << 8 | static_cast<unsigned char>(view(digest)[i]);
  }
  return number;
}

}  // namespace

std::vector<Slices> place(std::size_t partitions, std::size_t slices,
                          std::span<const std::string> nodes, std::size_t replicas) {
  std::vector<Slices> placed(nodes.size(), 0);
  if (nodes.empty()) return placed;
  const auto copies = std::min(replicas, nodes.size());
  const auto even = partitions * slices * copies;
  const auto most = (5 * even + 4 * nodes.size() - 1) / (4 * nodes.size());
  std::vector<std::size_t> loads(nodes.size(), 0);
  std::vector<std::size_t> of_partition(nodes.size(), 0);
  for (std::size_t slice = 0; slice < partitions * slices; ++slice) {
    if (slice % slices == 0) std::ranges::fill(of_partition, 0);
    std::vector<std::pair<std::uint64_t, std::size_t>> order;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      order.emplace_back(weight(nodes[i], slice), i);
    }
    std::ranges::sort(order, std::greater());
    std::ranges::stable_partition(order, [&](const auto& one) { return loads[one.second] < most; });
    std::ranges::stable_sort(order, {}, [&](const auto& one) { return of_partition[one.second]; });
    for (std::size_t copy = 0; copy < copies; ++copy) {
      const auto i = order[copy].second;
      placed[i] |= Slices{1} << slice;
      ++loads[i];
      ++of_partition[i];
    }
  }
  return placed;
}

}  // namespace samtale

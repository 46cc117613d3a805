#include "sys/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <utility>

namespace samtale {

std::size_t cgroup_memory_limit(const std::string& root, std::string path, std::size_t most) {
  while (true) {
    std::ifstream file(root + path + "/memory.max");
    std::size_t bytes = 0;
    if (file >> bytes) most = std::min(most, bytes);  // "max" is no number.
    if (path.empty()) return most;
    path.resize(path.rfind('/'));
  }
}

std::size_t memory_limit() {
  const auto pages = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES));
  const auto all = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream groups("/proc/self/cgroup");
  constexpr std::string_view kVersion2 = "0::/";
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with(kVersion2)) continue;
    auto path = line.substr(kVersion2.size() - 1);
    if (path == "/") path.clear();
    return cgroup_memory_limit("/sys/fs/cgroup", std::move(path), all);
  }
  return all;
}

}  // namespace samtale

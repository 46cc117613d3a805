// How much memory this process may use. Linux.
#pragma once

#include <cstddef>
#include <string>

namespace samtale {

// Bytes: the machine's, or less where a control group says so, its own or one above it.
[[nodiscard]] std::size_t memory_limit();

// The least limit of the group `path` ("/system.slice/samtale.service") and those above it below
// the folder `root`; `most` where none has one.
[[nodiscard]] std::size_t cgroup_memory_limit(const std::string& root, std::string path,
                                              std::size_t most);

}  // namespace samtale

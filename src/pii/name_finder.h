// NameFinder: finds the names of a list in a text, apart from case. Private to pii/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pii/pii.h"

namespace samtale {

// Names and text are compared by full case folding and canonical decomposition (Unicode 15, D145),
// any white space as one space, any apostrophe and dash as that of ASCII.
// Threads: any, once it is made. Memory: some 50 bytes a letter of the names.
class NameFinder {
 public:
  explicit NameFinder(const std::vector<std::string>& names);

  void find(std::string_view text, std::vector<PiiSpan>& found) const;

 private:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;
  static constexpr Node kNone = ~Node{0};

  static std::uint64_t edge(Node node, char32_t letter) {
    return (std::uint64_t{node} << 32U) | letter;
  }
  [[nodiscard]] Node follow(Node node, std::u32string_view letters) const;
  void add(std::string_view name);
  [[nodiscard]] std::size_t end_of_name(std::string_view text, std::size_t begin) const;

  std::unordered_map<std::uint64_t, Node> edges_;  // A trie.
  std::vector<bool> is_name_ = {false};            // By node.
};

}  // namespace samtale

// Member: a node, as the others see it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace samtale {

// What a node does beside answering the API, which every one does.
enum class Role : std::uint8_t {
  indexer,   // Cuts conversations into chunks and gives them their vectors.
  searcher,  // Holds indexes and answers searches by them.
  analyst,   // Analyses, and tells subscribers.
  keeper,    // May be the one that does what only one should: schedules, batches.
};
inline constexpr std::array kRoles = {Role::indexer, Role::searcher, Role::analyst, Role::keeper};
[[nodiscard]] std::string_view name(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view text);

class Roles {
 public:
  void add(Role role) { bits_ |= bit(role); }
  [[nodiscard]] bool has(Role role) const { return (bits_ & bit(role)) != 0; }

  friend bool operator==(const Roles&, const Roles&) = default;

 private:
  static unsigned bit(Role role) { return 1U << static_cast<unsigned>(role); }
  unsigned bits_ = 0;
};
[[nodiscard]] std::string text(const Roles& roles);           // "indexer,searcher"
[[nodiscard]] Roles roles_from_text(std::string_view names);  // Unknown ones are left out.

// Some of the partitions of a store, which has 64 at the most: bit i is partition i.
using Partitions = std::uint64_t;
[[nodiscard]] inline bool has(Partitions some, std::size_t partition) {
  return (some >> partition & 1U) != 0;
}

struct Member {
  std::string node;  // Its name among those that share the store, over restarts.
  std::string url;   // Where the others reach its API: "http://10.0.0.7:8080".
  Roles roles;
  Partitions ready = 0;  // Whose index it has.
  bool leads = false;    // It is the one that does what only one should. As read; not to be told.
};

}  // namespace samtale

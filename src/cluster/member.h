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

// Some of the slices of a store's partitions, of which there are 64 at the most: bit i is the slice
// i % S of partition i / S, where each has S.
using Slices = std::uint64_t;
inline constexpr std::size_t kSlicesMax = 64;
[[nodiscard]] inline bool has(Slices some, std::size_t slice) { return (some >> slice & 1U) != 0; }

struct Member {
  std::string node;  // Its name among those that share the store, over restarts.
  std::string url;   // Where the others reach its API: "http://10.0.0.7:8080".
  Roles roles;
  Slices ready = 0;  // Whose index it has.
  // Into how many slices it divides a partition. To one that divides otherwise it has no index.
  std::size_t slices = 1;
  // Up to which change of who is split it has loaded what it is to have.
  std::uint64_t layout = 0;
  std::uint64_t lag = 0;  // Changes that its index is behind, at the most of a slice.
  std::uint64_t requests_per_second = 0;  // That it has answered lately, all together.
  bool leads = false;  // It is the one that does what only one should. As read; not to be told.
};

}  // namespace samtale

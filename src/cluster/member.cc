#include "cluster/member.h"

#include <ranges>

namespace samtale {

std::string_view name(Role role) {
  switch (role) {
    case Role::indexer:
      return "indexer";
    case Role::searcher:
      return "searcher";
    case Role::analyst:
      return "analyst";
    case Role::keeper:
      return "keeper";
  }
  return "?";
}

std::optional<Role> parse_role(std::string_view text) {
  for (const auto role : kRoles) {
    if (name(role) == text) return role;
  }
  return std::nullopt;
}

std::string text(const Roles& roles) {
  std::string names;
  for (const auto role : kRoles) {
    if (roles.has(role)) names.append(names.empty() ? "" : ",").append(name(role));
  }
  return names;
}

Roles roles_from_text(std::string_view names) {
  Roles roles;
  for (const auto part : std::views::split(names, ',')) {
    const auto role = parse_role(std::string_view(part.begin(), part.end()));
    if (role) roles.add(*role);
  }
  return roles;
}

}  // namespace samtale

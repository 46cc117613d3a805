// How the registry's columns hold its records, whatever the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "store/registry.h"

namespace samtale {

// The bits of a key's rights (docs/formats/sqlite-v1.md).
[[nodiscard]] std::int64_t rights_of(const KeyRecord& record);
void set_rights(KeyRecord& record, std::int64_t rights);

// invalid_argument for a name outside [a-z0-9][a-z0-9-]{0,62}.
Result<> check_company_name(std::string_view name);
[[nodiscard]] std::unexpected<Error> name_in_use(std::string_view name);

inline std::optional<std::int64_t> optional_us(const std::optional<WallTime>& time) {
  if (!time) return std::nullopt;
  return to_us(*time);
}

}  // namespace samtale

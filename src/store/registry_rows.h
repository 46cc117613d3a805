// What the registry's files share: times that may be missing, and its maps as lists.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "sqlite/connection.h"
#include "store/registry_codec.h"
#include "sys/clock.h"

namespace samtale {

inline std::optional<WallTime> optional_time(const sqlite::Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return from_us(row.integer(column));
}

template <class Key, class Record>
std::vector<Record> all_of(const std::map<Key, Record>& records) {
  std::vector<Record> all;
  all.reserve(records.size());
  for (const auto& [key, record] : records) all.push_back(record);
  return all;
}

}  // namespace samtale

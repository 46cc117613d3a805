// The tables of the store's files (docs/formats/sqlite-v1.md).
#pragma once

#include <span>

#include "sqlite/database.h"

namespace samtale {

// Of part-NN.db, the queue's included.
[[nodiscard]] std::span<const sqlite::Migration> partition_schema();
// Of control.db.
[[nodiscard]] std::span<const sqlite::Migration> registry_schema();

}  // namespace samtale

// The store's tables in PostgreSQL (docs/formats/postgres-v1.md).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "postgres/database.h"

namespace samtale {

// All migrations, the queue's among them. `hash_partitions` is how many PostgreSQL gives each large
// table as it makes it; what is there already stays as it is.
[[nodiscard]] std::vector<postgres::Migration> postgres_store_schema(std::size_t hash_partitions);

// What a company may read of its own by a token, without a server.
[[nodiscard]] std::vector<std::string> token_tables();

}  // namespace samtale

// Whether a PostgreSQL lacks fixes of its own kind.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "postgres/database.h"

namespace samtale::postgres {

// `version` as server_version_num has it: 150004 is 15.4. Empty where it has the security fixes
// that were out when this program was made; else the first that has them, "15.20".
[[nodiscard]] std::string version_with_fixes(std::int64_t version);

// What to tell an operator whose server lacks them; else empty. Errors: those of Database::read.
[[nodiscard]] Result<std::string> advice_on_version(Database& database);

}  // namespace samtale::postgres

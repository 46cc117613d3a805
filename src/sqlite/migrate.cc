#include "sqlite/database.h"

namespace samtale::sqlite {
namespace {

constexpr std::int64_t kApplicationId = 0x53414D54;  // "SAMT"

}  // namespace

Result<> migrate(Connection& connection, std::span<const Migration> migrations) {
  SAMTALE_TRY(const auto version, connection.integer("PRAGMA user_version"));
  SAMTALE_TRY(const auto application, connection.integer("PRAGMA application_id"));
  SAMTALE_TRY(const auto tables, connection.integer("SELECT count(*) FROM sqlite_schema"));
  if (application != kApplicationId && (tables != 0 || version != 0)) {
    return fail(ErrorCode::corrupt, "not a Samtale database (its application_id is " +
                                        std::to_string(application.value_or(0)) + ")");
  }
  const auto known = static_cast<std::int64_t>(migrations.size());
  if (version.value_or(0) > known) {
    return fail(ErrorCode::corrupt, "its schema is version " + std::to_string(*version) +
                                        " and this program knows up to " + std::to_string(known) +
                                        "; run the newer program, or restore an older backup");
  }
  for (auto next = version.value_or(0); next < known; ++next) {
    const auto number = std::to_string(next + 1);
    auto step = "BEGIN IMMEDIATE;" + std::string(migrations[static_cast<std::size_t>(next)]) +
                ";PRAGMA application_id=" + std::to_string(kApplicationId) +
                ";PRAGMA user_version=" + number + ";COMMIT";
    if (auto done = connection.script(step); !done) {
      if (connection.in_transaction()) SAMTALE_TRY_VOID(connection.script("ROLLBACK"));
      return std::unexpected(std::move(done).error().during("migration " + number));
    }
  }
  return {};
}

}  // namespace samtale::sqlite

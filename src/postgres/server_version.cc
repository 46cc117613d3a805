#include "postgres/server_version.h"

#include <array>

namespace samtale::postgres {
namespace {

struct Release {
  std::int64_t major = 0;
  std::int64_t minor = 0;
};
// As of November 2026. Newer kinds had them from the start.
constexpr std::array<Release, 4> kFixed = {{{15, 20}, {16, 16}, {17, 12}, {18, 7}}};

std::string text(const Release& release) {
  return std::to_string(release.major) + "." + std::to_string(release.minor);
}

}  // namespace

std::string version_with_fixes(std::int64_t version) {
  const Release have{version / 10'000, version % 10'000};
  for (const auto& fixed : kFixed) {
    if (have.major == fixed.major && have.minor < fixed.minor) return text(fixed);
  }
  return {};
}

Result<std::string> advice_on_version(Database& database) {
  SAMTALE_TRY(const auto rows,
              database.read({}, "SELECT current_setting('server_version_num')::bigint"));
  const auto version = rows.integer(0, 0);
  const auto fixed = version_with_fixes(version);
  if (fixed.empty()) return std::string();
  return "PostgreSQL " + text({version / 10'000, version % 10'000}) + " lacks security fixes; " +
         fixed + " is the first that has them";
}

}  // namespace samtale::postgres

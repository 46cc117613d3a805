// Goal: a server of any supported kind that lacks the known security fixes is named with the first
// that has them.
#include "postgres/server_version.h"

#include <gtest/gtest.h>

#include "postgres/testing/postgres_process.h"
#include "sys/clock.h"

namespace samtale::postgres {
namespace {

TEST(ServerVersionTest, names_the_first_release_of_its_kind_that_has_the_fixes) {
  EXPECT_EQ(version_with_fixes(150'004), "15.20");
  EXPECT_EQ(version_with_fixes(150'019), "15.20");
  EXPECT_EQ(version_with_fixes(160'000), "16.16");
  EXPECT_EQ(version_with_fixes(170'011), "17.12");
  EXPECT_EQ(version_with_fixes(180'006), "18.7");
}

TEST(ServerVersionTest, has_nothing_to_say_of_those_and_of_newer_kinds) {
  for (const auto version : {150'020, 160'017, 170'012, 180'007, 190'000}) {
    EXPECT_EQ(version_with_fixes(version), "");
  }
}

TEST(ServerVersionTest, advises_whoever_runs_one_without_them_and_nobody_else) {
  SystemClock clock;
  auto& server = PostgresProcess::shared();
  const auto database =
      Database::open({.pool = {.address = server.address()}, .schema = server.fresh_schema()},
                     clock, {})
          .value();
  const auto version =
      database->read({}, "SELECT current_setting('server_version_num')::bigint")->integer(0, 0);

  EXPECT_EQ(advice_on_version(*database).value().empty(), version_with_fixes(version).empty());
}

}  // namespace
}  // namespace samtale::postgres

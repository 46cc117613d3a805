// Goal: a server of any supported kind that lacks the known security fixes is named with the first
// that has them.
#include "postgres/server_version.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace samtale::postgres

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

TEST(CprTest, finds_numbers_with_a_hyphen_wherever_they_stand) {
  for (const std::string cpr : {"010190-1234", "311299-4567", "290200-5123", "290224-4000",
                                "010190\u20111234", "010190 - 1234", "070761-4285"}) {
    EXPECT_THAT(found("Jeg er " + cpr + ", og"), ElementsAre("CPR " + cpr));
  }
}

TEST(CprTest, finds_numbers_without_a_hyphen_beside_the_word) {
  EXPECT_THAT(found("mit CPR-nummer er 0101901234"), ElementsAre("CPR 0101901234"));
  EXPECT_THAT(found("cpr.nr. 010190 1234"), ElementsAre("CPR 010190 1234"));
  EXPECT_THAT(found("0101901234 er mit cpr"), ElementsAre("CPR 0101901234"));
  EXPECT_THAT(found("Personnummer: 0101901234."), ElementsAre("CPR 0101901234"));
  EXPECT_THAT(found("cpr010190-1234"), ElementsAre("CPR 010190-1234"));
}

TEST(CprTest, finds_none_without_a_hyphen_where_the_word_is_far_or_part_of_another) {
  EXPECT_THAT(found("order 0101901234"), Not(Contains(StartsWith("CPR"))));
  EXPECT_THAT(found("order 010190 1234"), Not(Contains(StartsWith("CPR"))));
  EXPECT_THAT(found("cpr " + std::string(60, 'x') + " 0101901234"),
              Not(Contains(StartsWith("CPR"))));
  EXPECT_THAT(found("xcpr 0101901234"), Not(Contains(StartsWith("CPR"))));
}

TEST(CprTest, wants_a_date_that_exists_in_the_century_of_the_seventh_digit) {
  for (const auto* text :
       {"320190-1234", "011390-1234", "000190-1234", "010090-1234", "310490-1234",
        "290200-1234",  // 1900 was no leap year; 2000 was.
        "290223-4000"}) {
    EXPECT_THAT(found(text), Not(Contains(StartsWith("CPR")))) << text;
    EXPECT_THAT(found(std::string("cpr ") + text), Not(Contains(StartsWith("CPR")))) << text;
  }
}

TEST(CprTest, takes_no_part_of_something_longer) {
  for (const auto* text : {"A010190-1234", "010190-12345", "1010190-1234", "010190-1234-5",
                           "12-010190-1234", "010190-1234x", "010190.1234", "010190/1234"}) {
    EXPECT_THAT(found(text), Not(Contains(StartsWith("CPR")))) << text;
  }
}

}  // namespace
}  // namespace samtale

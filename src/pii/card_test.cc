#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

// Numbers that card schemes publish for tests.
TEST(CardTest, finds_the_numbers_of_all_schemes) {
  for (const std::string card :
       {"4111111111111111", "4222222222222", "5500005555555559", "2223000048400011",
        "378282246310005", "30569309025904", "6011111111111117", "3530111333300000",
        "6304000000000000", "5019717010103742", "6205500000000000004"}) {
    EXPECT_THAT(found("My card is " + card + "."), ElementsAre("CARD " + card));
  }
}

TEST(CardTest, finds_the_groups_people_write) {
  for (const std::string card :
       {"4111 1111 1111 1111", "4111-1111-1111-1111", "4111\u00A01111\u00A01111\u00A01111",
        "3782 822463 10005", "3056 930902 5904", "6205500 000000000004", "41111111 11111111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "41 11 11 11 11 11 11 11", "4222 2222 2222 2",
        "4111 \u2013 1111 \u2013 1111 \u2013 1111"}) {
    EXPECT_THAT(found("kort: " + card), ElementsAre("CARD " + card));
    EXPECT_THAT(found("Visa" + card + "!"), ElementsAre("CARD " + card));
  }
}

TEST(CardTest, finds_a_card_among_other_numbers) {
  EXPECT_THAT(found("pin 1234 4111 1111 1111 1111 123"), ElementsAre("CARD 4111 1111 1111 1111"));
  EXPECT_THAT(found("4111111111111111 12/29 737"), ElementsAre("CARD 4111111111111111"));
}

TEST(CardTest, finds_cards_of_others_than_banks_where_a_card_is_spoken_of) {
  EXPECT_THAT(found("Brændstofkort? kort 7021853752943052"), ElementsAre("CARD 7021853752943052"));
  EXPECT_THAT(found("1111222233334444 is my credit card"), ElementsAre("CARD 1111222233334444"));
  EXPECT_THAT(found("1111222233334444 is my number"), Not(Contains(StartsWith("CARD"))));
}

TEST(CardTest, takes_no_other_number_for_a_card) {
  for (const auto* text : {
           "4111111111111112",                      // The check is wrong.
           "4111 1111 1111 1112",                   //
           "1111111111111117",                      // No bank's card begins with 1.
           "411111111111115",                       // Right in length, wrong in check.
           "41111111111111111111",                  // Twenty digits.
           "0.4111111111111111",                    // A fraction.
           "4111111111111111,5",                    //
           "4111 1111-1111 1111",                   // Nobody mixes them.
           "4111.1111.1111.1111",                   // Nor writes points.
           "4111  1111    1111  1111",              // Columns of a table.
           "550e8400-e29b-41d4-a716-446655440000",  // A UUID.
           "4111 11 1111111111",                    // Groups of no scheme.
           "2013-03-26-205909 2014",                // A time.
       }) {
    EXPECT_THAT(found(text), Not(Contains(StartsWith("CARD")))) << text;
  }
}

}  // namespace
}  // namespace samtale

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

// The examples of the SWIFT IBAN Registry.
TEST(IbanTest, finds_accounts_of_many_countries) {
  for (const std::string iban :
       {"DK5000400440116243", "FO6264600001631634", "GL8964710001000206", "NO9386011117947",
        "SE4550000000058398257466", "DE89370400440532013000", "GB29NWBK60161331926819",
        "FR1420041010050500013M02606", "MT84MALT011000012345MTLCAST001S", "BE68539007547034",
        "NL91ABNA0417164300", "LC55HEMM000100010012001200023015"}) {
    EXPECT_THAT(found("Betal til " + iban + ", tak"), ElementsAre("IBAN " + iban));
  }
}

TEST(IbanTest, finds_them_in_groups_and_in_any_case) {
  for (const std::string iban :
       {"DK50 0040 0440 1162 43", "dk50 0040 0440 1162 43", "DK50-0040-0440-1162-43",
        "DK 50 0040 0440116243", "DK5000 400440 116243", "gb29 nwbk 6016 1331 9268 19",
        "DK50\u00A00040\u00A00440\u00A01162\u00A043"}) {
    EXPECT_THAT(found("IBAN:" + iban + " og mere"), ElementsAre("IBAN " + iban));
  }
}

TEST(IbanTest, finds_none_with_a_mistake) {
  for (const auto* text : {
           "DK5100400440116243",        // Check digits.
           "DK5000400440116244",        // One digit.
           "DK500040044011624",         // Too short.
           "DK50004004401162431",       // Too long.
           "DK5000400440116243A",       //
           "XX5000400440116243",        // No such country.
           "ADK5000400440116243",       // Part of a word.
           "DK50  0040 0440 1162 43",   // A table's columns.
           "GB 29 NWBK60161331926819",  // Letters, and not in fours.
           "gb29 n wbk6016133 1926819",
           "DK50.0040.0440.1162.43",  //
       }) {
    EXPECT_THAT(found(text), Not(Contains(StartsWith("IBAN")))) << text;
  }
}

}  // namespace
}  // namespace samtale

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(FindPiiTest, gives_all_kinds_in_the_order_of_the_text) {
  EXPECT_THAT(
      found("Jane Doe, cpr 010190-1234, 12 34 56 78, jane@b.dk, DK50 0040 0440 1162 43, "
            "4111 1111 1111 1111",
            {"jane doe"}),
      ElementsAre("NAME Jane Doe", "CPR 010190-1234", "PHONE 12 34 56 78", "EMAIL jane@b.dk",
                  "IBAN DK50 0040 0440 1162 43", "CARD 4111 1111 1111 1111"));
}

TEST(FindPiiTest, gives_the_surer_kind_where_two_could_be) {
  EXPECT_THAT(found("4111111111111111@b.dk"), ElementsAre("CARD 4111111111111111"));
  EXPECT_THAT(found("010190-1234@b.dk"), ElementsAre("CPR 010190-1234"));
  EXPECT_THAT(found("12345678@b.dk"), ElementsAre("EMAIL 12345678@b.dk"));
  EXPECT_THAT(found("jane@doe.dk", {"Jane", "Doe"}), ElementsAre("EMAIL jane@doe.dk"));
}

TEST(FindPiiTest, finds_nothing_in_nothing_and_in_ordinary_talk) {
  EXPECT_THAT(found(""), IsEmpty());
  EXPECT_THAT(
      found("Hej, pakken kom den 3. marts kl. 14:30, og den kostede 1.299,00 kr. Ordre 4711, "
            "version 0.9.8-2, 100 % af 2.000."),
      IsEmpty());
}

// Were the work to grow with the square of the length, each of these would take minutes.
TEST(FindPiiTest, takes_megabytes_of_what_could_be_something) {
  constexpr std::size_t kBytes = 1 << 20;
  const std::vector<std::string> names = {"a a a a a a a a a a b", "Anna Anna Anna Ann", "Anna"};
  for (const auto* text :
       {"4",          "12 ", "1 ", "1-",   "1(",   "(", "+",       "+4", "00",   "4111 ", "010190 ",
        "010190123 ", "@",   "a@", "a.",   "a@b.", ".", "-",       "DK", "DK5 ", "DK50 ", "a ",
        "anna ",      "Å",   "å ", "\xF0", " ",    "[", "[EMAIL_", "王", "王@"}) {
    const auto bytes = repeated(text, kBytes);
    EXPECT_LE(find_pii(bytes, names).size(), bytes.size() / 4) << text;
  }
}

TEST(RedactTest, puts_the_kind_in_place) {
  EXPECT_EQ(redact("Jane: 12345678 eller jane@b.dk.", {"Jane"}), "[NAME]: [PHONE] eller [EMAIL].");
  EXPECT_EQ(redact("cpr 0101901234, 4111111111111111, DK5000400440116243", {}),
            "cpr [CPR], [CARD], [IBAN]");
  EXPECT_EQ(redact("", {"Jane"}), "");
}

}  // namespace
}  // namespace samtale

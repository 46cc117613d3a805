#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NameFinderTest, finds_whole_words_apart_from_case) {
  EXPECT_THAT(found("Hej anders, ANDERS og Andersen her", {"Anders"}),
              ElementsAre("NAME anders", "NAME ANDERS"));
  EXPECT_THAT(found("SØREN ÅGÅRD, søren ågård", {"Søren Ågård"}),
              ElementsAre("NAME SØREN ÅGÅRD", "NAME søren ågård"));
  EXPECT_THAT(found("ÆRØ og Ærøskøbing", {"ærø"}), ElementsAre("NAME ÆRØ"));
}

TEST(NameFinderTest, finds_names_however_their_letters_are_encoded) {
  EXPECT_THAT(found("A\u030Age og Åge", {"Åge"}), ElementsAre("NAME A\u030Age", "NAME Åge"));
  EXPECT_THAT(found("Åge", {"A\u030Age"}), ElementsAre("NAME Åge"));
  EXPECT_THAT(found("Herr STRASSER", {"Straßer"}), ElementsAre("NAME STRASSER"));
  EXPECT_THAT(found("José", {"Jose"}), IsEmpty());
  EXPECT_THAT(found("Jose\u0301", {"Jose"}), IsEmpty());
}

TEST(NameFinderTest, finds_names_in_any_script) {
  EXPECT_THAT(found("ИВАН здесь", {"Иван"}), ElementsAre("NAME ИВАН"));
  EXPECT_THAT(found("我叫王小明。", {"王小明"}), ElementsAre("NAME 王小明"));
  EXPECT_THAT(found("김철수는 왔다", {"김철수"}), ElementsAre("NAME 김철수"));
  EXPECT_THAT(found("γιώργοσ ΓΙΏΡΓΟΣ", {"Γιώργος"}), ElementsAre("NAME γιώργοσ", "NAME ΓΙΏΡΓΟΣ"));
}

TEST(NameFinderTest, takes_the_longest_at_each_place) {
  EXPECT_THAT(found("Jane Doe and Jane and Doe-Ray", {"Jane", "Jane Doe", "Doe-Ray", "Doe"}),
              ElementsAre("NAME Jane Doe", "NAME Jane", "NAME Doe-Ray"));
}

TEST(NameFinderTest, takes_any_white_space_and_any_apostrophe) {
  EXPECT_THAT(
      found("Jane\n  Doe, O\u2019Brien, Ann\u2010Marie", {" Jane\tDoe ", "O'Brien", "Ann-Marie"}),
      ElementsAre("NAME Jane\n  Doe", "NAME O\u2019Brien", "NAME Ann\u2010Marie"));
}

TEST(NameFinderTest, leaves_a_genitive_outside) {
  EXPECT_THAT(found("Mettes konto, Jane's phone, Mettest", {"Mette", "Jane"}),
              ElementsAre("NAME Mette", "NAME Jane"));
}

TEST(NameFinderTest, looks_for_no_name_of_one_letter_nor_of_more_than_128_bytes) {
  EXPECT_THAT(found("a b, - 1", {"a", "", " ", "-", "b."}), IsEmpty());
  EXPECT_THAT(found(std::string(129, 'a'), {std::string(129, 'a')}), IsEmpty());
  EXPECT_THAT(found(std::string(128, 'a'), {std::string(128, 'a')}).size(), 1);
  EXPECT_THAT(found("Bo", {"Bo"}), ElementsAre("NAME Bo"));
}

TEST(NameFinderTest, finds_no_name_across_something_else) {
  EXPECT_THAT(found("Jane a@b.dk Doe", {"Jane Doe", "Doe"}),
              ElementsAre("EMAIL a@b.dk", "NAME Doe"));
  EXPECT_THAT(found("Jane\xFF Doe", {"Jane\xFF Doe"}), IsEmpty());
}

}  // namespace
}  // namespace samtale

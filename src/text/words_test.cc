// Goal:   text and query meet in the same terms, in Danish and English, however they are typed; no
//         bytes whatsoever break the scanner.
// Method: examples; ICU's own word iterator as the judge of boundaries; seeded noise.
#include "text/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "text/break_iterator.h"
#include "text/term.h"
#include "text/testing/texts.h"

namespace samtale {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::string one_term(std::string_view word) {
  const auto terms = words(word);
  return terms.size() == 1 ? terms.front() : "not one term";
}

TEST(WordsTest, makes_one_term_of_the_forms_of_a_danish_word) {
  for (const auto* form : {"faktura", "fakturaen", "fakturaer", "fakturaerne", "FAKTURAERNES"}) {
    EXPECT_EQ(one_term(form), one_term("faktura")) << form;
  }
}

TEST(WordsTest, makes_one_term_of_the_forms_of_an_english_word) {
  for (const auto* form : {"refund", "refunds", "refunded", "Refunding"}) {
    EXPECT_EQ(one_term(form), one_term("refund")) << form;
  }
}

TEST(WordsTest, reads_the_danish_letters_however_they_are_written) {
  EXPECT_EQ(one_term("Århus"), one_term("Aarhus"));
  EXPECT_EQ(one_term("ÅRHUS"), one_term("aarhus"));
  EXPECT_EQ(one_term("A\u030Arhus"), one_term("Århus"));  // A and a combining ring.
  EXPECT_EQ(one_term("smørrebrød"), one_term("SMOERREBROED"));
  EXPECT_EQ(one_term("æble"), one_term("aeble"));
  EXPECT_NE(one_term("gør"), one_term("gor"));
}

TEST(WordsTest, removes_accents_and_folds_what_looks_different) {
  EXPECT_EQ(one_term("café"), one_term("cafe"));
  EXPECT_EQ(one_term("cafe\u0301"), one_term("cafe"));
  EXPECT_EQ(one_term("ＡＢＣ１２"), "abc12");                 // Full width.
  EXPECT_EQ(one_term("fak\u00ADtura"), one_term("faktura"));  // A soft hyphen.
  EXPECT_EQ(one_term("Straße"), one_term("STRASSE"));
}

TEST(WordsTest, keeps_the_marks_that_are_letters_in_other_scripts) {
  EXPECT_NE(one_term("が"), one_term("か"));
  EXPECT_EQ(one_term("か\u3099"), one_term("が"));
  EXPECT_EQ(one_term("ПРИВЕТ"), "привет");
}

TEST(WordsTest, parts_scripts_without_spaces_by_dictionary) {
  EXPECT_THAT(words("我想取消订单"), AllOf(Contains("取消"), Contains("订单")));
  EXPECT_THAT(words("ขอบคุณครับ"), SizeIs(2));
}

TEST(WordsTest, keeps_codes_whole_and_in_parts) {
  EXPECT_THAT(words("E-4711"), ElementsAre("e", "4711", "e4711"));
  EXPECT_THAT(words("E4711"), ElementsAre("e4711"));
  EXPECT_THAT(words("jane@example.com"),
              AllOf(Contains("jane@example.com"), Contains(one_term("jane"))));
  EXPECT_THAT(words("version 2.6.10"), Contains("2.6.10"));
  EXPECT_THAT(words("1,000 kr."), ElementsAre("1", "000", "1,000", "kr"));
  EXPECT_THAT(words("user_name"), Contains("user_name"));
}

TEST(WordsTest, makes_one_word_of_two_with_a_hyphen) {
  EXPECT_THAT(words("e-mail"), Contains(one_term("email")));
  EXPECT_THAT(words("e\u2011mail"), Contains(one_term("email")));
  EXPECT_THAT(words("and/or"), SizeIs(2));
}

TEST(WordsTest, does_not_join_across_spaces_and_sentence_ends) {
  EXPECT_THAT(words("paid. Thanks, 5 - 7"),
              ElementsAre(one_term("paid"), one_term("thanks"), "5", "7"));
  EXPECT_THAT(words("'quoted' it's don’t"), ElementsAre(one_term("quoted"), "it", "dont"));
}

TEST(WordsTest, finds_no_word_in_signs_and_broken_bytes) {
  EXPECT_THAT(words(""), IsEmpty());
  EXPECT_THAT(words(" -._@ !? 😀👩‍👩‍👧 \xFF\xC3 \xED\xA0\x80"), IsEmpty());
  EXPECT_THAT(words("good\xFF"
                    "bad"),
              ElementsAre("good", "bad"));
}

TEST(WordsTest, cuts_terms_to_their_limit_between_code_points) {
  EXPECT_THAT(words(std::string(10'000, 'x')), Each(SizeIs(64)));
  std::string letters;
  for (int i = 0; i < 1000; ++i) letters += "x\u0416";  // Three bytes: 64 is inside the last.
  EXPECT_THAT(words(letters), Each(SizeIs(63 + 1)));
  std::string bomb = "a";
  for (int i = 0; i < 100'000; ++i) bomb += "\u0301";
  EXPECT_THAT(words(bomb), ElementsAre("a"));
}

TEST(WordsTest, takes_the_short_cut_for_latin_letters_to_where_icu_goes) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string word;
    for (auto letters = random() % 12 + 1; letters > 0; --letters) {
      const auto kind = random() % 8;
      if (kind == 0) word += static_cast<char>('A' + random() % 26);
      if (kind == 1) word += "\u030A";
      if (kind == 2) word += '\'';
      if (kind == 3) word += testing_texts::utf8(static_cast<char32_t>(0xC0 + random() % 0x40));
      if (kind > 3) word += static_cast<char>('a' + random() % 26);
    }
    // × and ÷ are no letters and never reach the folding.
    if (word.find("\u00D7") != std::string::npos || word.find("\u00F7") != std::string::npos) {
      continue;
    }
    std::string quick;
    std::string by_icu;

    append_folded(word, quick);
    append_folded_by_icu(word, by_icu);

    ASSERT_EQ(quick, by_icu) << word;
  }
}

TEST(WordsTest, parts_words_where_icu_does_in_text_without_connectors) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 3'000; ++i) {
    const auto text = testing_texts::random_letters_and_spaces(random, 40);
    std::vector<std::string> expected;
    auto& breaks = BreakIterator::words();
    breaks.start(text);
    std::size_t from = 0;
    while (const auto to = breaks.next()) {
      std::string term;
      append_term(text.substr(from, *to - from), term);
      if (!term.empty()) expected.push_back(std::move(term));
      from = *to;
    }

    ASSERT_EQ(words(text), expected) << text;
  }
}

TEST(WordsTest, reads_what_follows_a_space_as_if_alone) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 3'000; ++i) {
    const auto a = testing_texts::random_text(random, 30);
    const auto b = testing_texts::random_text(random, 30);
    auto expected = words(a);
    for (auto& term : words(b)) expected.push_back(std::move(term));

    ASSERT_EQ(words(a + " " + b), expected) << a << "|" << b;
  }
}

TEST(WordsTest, survives_any_bytes_and_points_into_them) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    const auto text = testing_texts::random_bytes(random, 60);

    const auto terms = words(text);
    const auto ranges = find_words(text, terms);

    for (const auto& term : terms) ASSERT_TRUE(!term.empty() && term.size() <= 64);
    ASSERT_EQ(ranges.empty(), terms.empty());
    std::size_t end = 0;
    for (const auto& range : ranges) {
      ASSERT_TRUE(range.begin >= end && range.end > range.begin && range.end <= text.size());
      end = range.end;
    }
  }
}

TEST(WordsTest, gives_every_thread_the_same_terms) {
  const std::string text = "Fakturaerne for E-4711 blev betalt. Århus, café, don't, 我想取消订单";
  const auto expected = words(text);
  std::vector<std::vector<std::string>> got(4);
  {
    std::vector<std::jthread> threads;
    for (auto& terms : got) threads.emplace_back([&terms, &text] { terms = words(text); });
  }

  EXPECT_THAT(got, Each(expected));
}

TEST(FindWordsTest, marks_the_words_that_match_and_no_other) {
  const std::string text = "The invoices for Århus: e-mail jane@example.com about invoice E-4711!";

  std::vector<std::string> marked;
  for (const auto& range : find_words(text, words("invoicing aarhus jane@example.com E4711"))) {
    marked.push_back(text.substr(range.begin, range.end - range.begin));
  }

  EXPECT_THAT(marked, ElementsAre("invoices", "Århus", "jane@example.com", "invoice", "E-4711"));
}

TEST(FindWordsTest, marks_the_part_of_a_code_when_only_that_is_asked) {
  const auto ranges = find_words("call E-4711", words("4711"));

  ASSERT_THAT(ranges, SizeIs(1));
  EXPECT_EQ(ranges[0].begin, 7U);
  EXPECT_EQ(ranges[0].end, 11U);
  EXPECT_THAT(find_words("call E-4711", {}), IsEmpty());
}

}  // namespace
}  // namespace samtale

// Goal:   what is masked leaves no byte of what was found, and comes back exactly.
// Method: examples, and seeded texts with planted items among noise that looks like tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <random>
#include <string>
#include <vector>

#include "json/json.h"
#include "pii/pii.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

std::string key_of(char company) { return std::string(32, company); }

TEST(PiiMaskerTest, puts_a_token_in_place_and_the_value_back) {
  PiiMasker masker(key_of('a'), {"Jane Doe"});
  const std::string text = "Jane Doe skrev fra jane@b.dk, tlf. 12 34 56 78";

  const auto masked = masker.mask(text);

  EXPECT_THAT(masked, MatchesRegex(R"(\[NAME_[0-9a-f]+\] skrev fra \[EMAIL_[0-9a-f]+\], )"
                                   R"(tlf. \[PHONE_[0-9a-f]+\])"));
  EXPECT_EQ(masker.unmask(masked), text);
  EXPECT_EQ(masker.masked(), 3);
}

TEST(PiiMaskerTest, gives_a_value_one_token_and_another_spelling_another) {
  PiiMasker masker(key_of('a'), {});
  const auto token = masker.mask("4111111111111111");

  EXPECT_EQ(masker.mask("4111111111111111"), token);
  EXPECT_EQ(PiiMasker(key_of('a'), {}).mask("4111111111111111"), token);
  const auto spaced = masker.mask("4111 1111 1111 1111");
  EXPECT_NE(spaced, token);
  EXPECT_EQ(masker.unmask(token + spaced), "41111111111111114111 1111 1111 1111");
}

TEST(PiiMaskerTest, gives_another_company_another_token_that_it_cannot_read) {
  PiiMasker ours(key_of('a'), {});
  PiiMasker theirs(key_of('b'), {});

  const auto token = ours.mask("jane@b.dk");

  EXPECT_NE(theirs.mask("jane@b.dk"), token);
  EXPECT_EQ(theirs.unmask(token), token);
}

TEST(PiiMaskerTest, leaves_what_a_model_made_of_a_token) {
  PiiMasker masker(key_of('a'), {});
  const auto token = masker.mask("jane@b.dk");
  std::string upper = token;
  for (auto& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  auto other = token;
  other[other.size() - 2] = other[other.size() - 2] == '0' ? '1' : '0';

  for (const std::string& text : {upper, other, token.substr(1), token.substr(0, token.size() - 1),
                                  std::string("EMAIL"), token.substr(0, 12) + "]"}) {
    EXPECT_EQ(masker.unmask(text), text);
  }
  EXPECT_EQ(masker.unmask("[" + token + "]"), "[jane@b.dk]");
}

TEST(PiiMaskerTest, masks_what_has_a_tokens_form_already) {
  PiiMasker masker(key_of('a'), {});
  const auto token = masker.mask("jane@b.dk");
  const auto text = "Jeg så " + token + " og jane@b.dk og [NAME_0123456789ab], [CARD_12";

  const auto masked = masker.mask(text);

  EXPECT_EQ(masker.unmask(masked), text);
  EXPECT_EQ(masker.unmask(masker.unmask(masker.mask(masked))), text);
}

// Found by search: the two e-mails' digests under this key agree in 48 bits.
TEST(PiiMaskerTest, parts_two_values_whose_tokens_would_be_the_same) {
  const std::string first = "user10598699@example.com";
  const std::string second = "user29940321@example.com";
  const auto token = PiiMasker(key_of('k'), {}).mask(first);
  ASSERT_EQ(PiiMasker(key_of('k'), {}).mask(second), token);
  PiiMasker masker(key_of('k'), {});

  const auto masked = masker.mask(first + " " + second + " " + first + " " + second);

  EXPECT_THAT(masked, MatchesRegex(R"((\[EMAIL_[0-9a-f]{12}\] \[EMAIL_[0-9a-f]{16}\] ?){2})"));
  EXPECT_EQ(masker.unmask(masked), first + " " + second + " " + first + " " + second);
  EXPECT_EQ(masker.masked(), 2);
}

TEST(PiiMaskerTest, puts_back_no_token_that_a_value_brings) {
  PiiMasker masker(key_of('a'), {});
  const auto token = masker.mask("jane@b.dk");
  const auto masked = masker.mask(token);

  EXPECT_EQ(masker.unmask(masked), token);
}

TEST(PiiMaskerTest, unmasks_the_strings_of_a_json_value) {
  PiiMasker masker(key_of('a'), {});
  const auto token = masker.mask("jane@b.dk");
  auto value = json::Value(json::Object{
      {token, token},
      {"list", json::Array{"to " + token, 1, nullptr, json::Object{{"deep", token}}}}});

  unmask_strings(value, masker);

  EXPECT_EQ(value,
            json::Value(json::Object{{token, "jane@b.dk"},
                                     {"list", json::Array{"to jane@b.dk", 1, nullptr,
                                                          json::Object{{"deep", "jane@b.dk"}}}}}));
}

// What people write, with items between that must not remain.
class PlantedText {
 public:
  explicit PlantedText(unsigned seed) : random_(seed) {}

  std::string make() {
    items_.clear();
    std::string text;
    for (int i = 0; i < 30; ++i) {
      if (random_() % 3 == 0) {
        items_.push_back(item());
        text += items_.back();
        text += pick({" ", ". ", "\n", ", ", "; ", " \xFF", ")", "?"});
      } else {
        text += noise();
      }
    }
    return text;
  }
  const std::vector<std::string>& items() const { return items_; }

 private:
  std::string pick(const std::vector<std::string>& from) { return from[random_() % from.size()]; }
  std::string digits(std::size_t count) {
    std::string all;
    while (all.size() < count) all += static_cast<char>('1' + random_() % 9);
    return all;
  }
  std::string item() {
    switch (random_() % 6) {
      case 0:
        return "user" + digits(6) + pick({"@example.com", "@rødgrød.dk", "@mail.example.org"});
      case 1:
        return pick({"+45 ", "+45", "0045 "}) + digits(8);
      case 2:
        return pick({"4111111111111111", "5500 0055 5555 5559", "3782-822463-10005"});
      case 3:
        return pick({"010190-", "311270-", "150688-"}) + "1" + digits(3);
      case 4:
        return pick({"DK50 0040 0440 1162 43", "NO9386011117947", "gb29nwbk60161331926819"});
      default:
        return pick({"Søren Ågård", "JANE DOE", "Müller"});
    }
  }
  // Ends so that no item grows on to it.
  std::string noise() {
    return pick({"hej ", "[EMAIL_", "[NAME_0123456789ab] ", "[CARD_00112233445566778899] ", "] ",
                 "kl. 14:30 ", "æøå ", "\xC3 ", "[PHONE_", "1f3a9c0d5b7e] ", "王小明 ",
                 "4711: ", "@ ", "_] ", "( ", "tlf. ", "[[EMAIL_1f3a9c0d5b7e]] "}) +
           (random_() % 4 == 0 ? " " : "(");
  }

  std::mt19937 random_;
  std::vector<std::string> items_;
};

TEST(PiiMaskerTest, leaves_no_planted_item_and_gives_every_text_back) {
  for (unsigned seed = 0; seed < 2'000; ++seed) {
    PlantedText planted(seed);
    const std::vector<std::string> names = {"søren ågård", "Jane Doe", "müller"};
    PiiMasker ours(key_of('a'), names);
    PiiMasker theirs(key_of('b'), names);
    for (int turn = 0; turn < 3; ++turn) {
      const auto text = planted.make();

      const auto masked = ours.mask(text);

      ASSERT_EQ(ours.unmask(masked), text) << "seed " << seed;
      const auto others = theirs.mask(text);
      for (const auto& item : planted.items()) {
        ASSERT_THAT(masked, Not(HasSubstr(item))) << "seed " << seed << "\n" << text;
        ASSERT_THAT(redact(text, names), Not(HasSubstr(item))) << "seed " << seed;
      }
      if (!planted.items().empty()) {
        ASSERT_NE(others, masked) << "seed " << seed;
      }
      ASSERT_EQ(theirs.unmask(others), text) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace samtale

#include "analyze/extractive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "analyze/passages.h"
#include "base/bytes.h"

namespace samtale {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Turn said(std::string role, std::string text) {
  Turn turn;
  turn.role = std::move(role);
  turn.text = std::move(text);
  return turn;
}

Conversation of(std::vector<Turn> turns, std::string language = "en") {
  Conversation conversation;
  conversation.language = std::move(language);
  conversation.turns = std::move(turns);
  return conversation;
}

std::string text_at(const Analysis& analysis, std::string_view pointer) {
  const auto* value = analysis.result.at_pointer(pointer);
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : std::string();
}

const json::Array& list_at(const Analysis& analysis, std::string_view pointer) {
  static const json::Array kNone;
  const auto* value = analysis.result.at_pointer(pointer);
  return value == nullptr || value->as_array() == nullptr ? kNone : *value->as_array();
}

// Every {"turn", "quote"} below `value` is verbatim in its turn, and of a turn that may be shown.
void expect_verbatim(const Conversation& conversation, const json::Value& value) {
  if (const auto* list = value.as_array()) {
    for (const auto& item : *list) expect_verbatim(conversation, item);
  }
  const auto* object = value.as_object();
  if (object == nullptr) return;
  for (const auto& [key, member] : *object) expect_verbatim(conversation, member);
  const auto* quote = value.find("quote");
  if (quote == nullptr) return;
  const auto at = static_cast<std::size_t>(*value.find("turn")->as_int());
  ASSERT_LT(at, conversation.turns.size());
  const auto& turn = conversation.turns[at];
  EXPECT_NE(turn.text.find(*quote->as_string()), std::string::npos) << *quote->as_string();
  EXPECT_TRUE(is_utf8(*quote->as_string()));
  EXPECT_FALSE(turn.is_private);
}

const Conversation kRefund = of({
    said("customer", "Hello! My invoice for October shows the subscription fee twice."),
    said("agent", "I am sorry to hear that. Which invoice number do you see?"),
    said("customer", "The invoice number is 4711 and the subscription fee was charged twice."),
    said("agent", "Thanks. I will refund the second subscription fee of invoice 4711 today."),
    said("customer", "Great, thank you, that is wonderful!"),
});

TEST(SummaryTest, quotes_the_central_sentences_in_the_order_they_were_said) {
  const auto summary = summarise(kRefund);

  const auto& sentences = list_at(summary, "/sentences");
  ASSERT_THAT(sentences, SizeIs(2));
  EXPECT_LT(*sentences[0].find("turn")->as_int(), *sentences[1].find("turn")->as_int());
  EXPECT_THAT(json::dump(summary.result), testing::HasSubstr("subscription fee"));
  EXPECT_THAT(json::dump(summary.result), Not(testing::HasSubstr("wonderful")));
  EXPECT_NE(text_at(summary, "/title"), "");
  expect_verbatim(kRefund, summary.result);
}

TEST(SummaryTest, does_not_say_the_same_twice) {
  std::vector<Turn> turns(20, said("customer", "The printer in the basement prints empty pages."));
  turns.push_back(said("agent", "A technician replaces the toner cartridge tomorrow morning."));

  const auto summary = summarise(of(turns));

  EXPECT_THAT(list_at(summary, "/sentences"), SizeIs(2));
}

TEST(SummaryTest, of_a_short_conversation_is_one_sentence_and_of_silence_none) {
  const auto one = summarise(of({said("customer", "Ja.")}));
  const auto none = summarise(of({said("customer", ""), said("customer", "  ")}));

  EXPECT_EQ(text_at(one, "/sentences/0/quote"), "Ja.");
  EXPECT_EQ(text_at(one, "/title"), "Ja.");
  EXPECT_THAT(list_at(none, "/sentences"), IsEmpty());
  EXPECT_EQ(text_at(none, "/title"), "");
}

TEST(SummaryTest, leaves_out_private_notes_and_what_systems_say) {
  auto conversation = kRefund;
  conversation.turns.push_back(said("agent", "Invoice and subscription fee: this customer lies."));
  conversation.turns.back().is_private = true;
  conversation.turns.push_back(said("system", "Invoice subscription fee invoice subscription."));

  EXPECT_EQ(summarise(conversation).result, summarise(kRefund).result);
}

TEST(SummaryTest, cuts_a_speech_between_words_and_a_word_between_code_points) {
  std::string speech;
  for (int i = 0; i < 100; ++i) speech += "betaling " + std::to_string(i) + " ";
  std::string word;
  for (int i = 0; i < 400; ++i) word += "ø";
  const auto conversation = of({said("customer", speech), said("agent", word)});

  const auto summary = summarise(conversation);

  expect_verbatim(conversation, summary.result);
  EXPECT_LE(text_at(summary, "/sentences/0/quote").size(), 300U);
  EXPECT_TRUE(is_utf8(text_at(summary, "/title")));
}

TEST(SentimentTest, is_that_of_the_customer) {
  const auto sentiment = measure_sentiment(of({
      said("agent", "Wonderful! Great to see you, happy to help!"),
      said("customer", "This is a terrible service and I am very angry."),
      said("customer", "The delivery was awful."),
  }));

  EXPECT_EQ(text_at(sentiment, "/label"), "negative");
  EXPECT_THAT(sentiment.labels, ElementsAre("negative"));
  ASSERT_TRUE(sentiment.score);
  EXPECT_LT(*sentiment.score, -0.3);
  EXPECT_EQ(text_at(sentiment, "/sides/0/role"), "agent");
  EXPECT_EQ(text_at(sentiment, "/sides/0/label"), "positive");
  EXPECT_EQ(*sentiment.result.at_pointer("/evidence/0/turn")->as_int(), 1);
}

TEST(SentimentTest, hears_a_negation_in_both_languages) {
  const auto label = [](const char* language, const char* text) {
    return text_at(measure_sentiment(of({said("customer", text)}, language)), "/label");
  };

  EXPECT_EQ(label("en", "This is good."), "positive");
  EXPECT_EQ(label("en", "This is not good."), "negative");
  EXPECT_EQ(label("da", "Det er rigtig dejligt."), "positive");
  EXPECT_EQ(label("da", "Det er ikke dejligt."), "negative");
  EXPECT_EQ(label("", "Det er ikke godt, og jeg er meget utilfreds."), "negative");
}

TEST(SentimentTest, has_a_course_over_the_thirds_of_the_conversation) {
  const auto sentiment = measure_sentiment(of({
      said("customer", "This is terrible."),
      said("customer", "The parcel is in Aarhus."),
      said("customer", "Thank you, that is wonderful."),
  }));

  const auto& course = list_at(sentiment, "/course");
  ASSERT_THAT(course, SizeIs(3));
  EXPECT_LT(*course[0].find("score")->as_number(), 0);
  EXPECT_TRUE(course[1].find("score")->is_null());
  EXPECT_GT(*course[2].find("score")->as_number(), 0);
}

TEST(SentimentTest, of_a_conversation_without_known_words_is_neutral) {
  const auto sentiment = measure_sentiment(of({said("customer", "4711")}));

  EXPECT_EQ(text_at(sentiment, "/label"), "neutral");
  EXPECT_EQ(sentiment.score, 0);
}

// Every word is as rare as it is long, but those in the map.
class Rarity final : public WordStatistics {
 public:
  explicit Rarity(std::map<std::string, double> known) : known_(std::move(known)) {}
  [[nodiscard]] double inverse_document_frequency(std::string_view word) const override {
    const auto found = known_.find(std::string(word));
    return found == known_.end() ? 5 : found->second;
  }

 private:
  std::map<std::string, double> known_;
};

TEST(TopicsTest, are_pairs_of_words_and_words_said_often) {
  const auto topics = find_topics(kRefund, nullptr);

  EXPECT_THAT(topics.labels, Contains("subscription fee"));
  EXPECT_THAT(topics.labels, Contains("invoice"));
  EXPECT_THAT(topics.labels, Not(Contains("fee")));
  EXPECT_LE(topics.labels.size(), 5U);
  expect_verbatim(kRefund, topics.result);
}

TEST(TopicsTest, are_not_what_every_conversation_of_the_company_is_about) {
  const Rarity rarity({{"invoic", 0.01}});

  const auto topics = find_topics(kRefund, &rarity);

  EXPECT_THAT(topics.labels, Not(Contains("invoice")));
  EXPECT_THAT(topics.labels, Contains("subscription fee"));
}

TEST(TopicsTest, are_written_as_people_wrote_them_in_lower_case) {
  const auto topics = find_topics(
      of({said("customer", "ÆBLEKAGE! Jeg vil have æblekage."), said("agent", "Æblekage er her.")},
         "da"),
      nullptr);

  EXPECT_THAT(topics.labels, Contains("æblekage"));
}

TEST(ExtractiveTest, reads_no_more_than_its_limit_of_sentences) {
  std::vector<Turn> turns(kSentencesMax + 100, said("customer", "Ost er godt."));

  EXPECT_THAT(read_passages(of(turns)), SizeIs(kSentencesMax));
}

TEST(ExtractiveTest, gives_the_same_for_the_same) {
  EXPECT_EQ(summarise(kRefund).result, summarise(kRefund).result);
  EXPECT_EQ(measure_sentiment(kRefund).result, measure_sentiment(kRefund).result);
  EXPECT_EQ(find_topics(kRefund, nullptr).result, find_topics(kRefund, nullptr).result);
}

}  // namespace
}  // namespace samtale

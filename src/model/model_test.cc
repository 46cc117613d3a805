#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "model/conversation.h"
#include "model/ids.h"

namespace samtale {
namespace {

std::string reformatted(std::string_view text) {
  const auto time = parse_time(text);
  return time ? format_time(*time) : "refused";
}

TEST(TimeTest, reads_rfc_3339_with_any_offset_as_utc) {
  EXPECT_EQ(reformatted("2026-11-23T08:00:00Z"), "2026-11-23T08:00:00Z");
  EXPECT_EQ(reformatted("2026-11-23t08:00:00.250z"), "2026-11-23T08:00:00.25Z");
  EXPECT_EQ(reformatted("2026-11-23 08:00:00+01:30"), "2026-11-23T06:30:00Z");
  EXPECT_EQ(reformatted("2026-11-23T08:00:00-0530"), "2026-11-23T13:30:00Z");
  EXPECT_EQ(reformatted("2026-11-23T08:00:00"), "2026-11-23T08:00:00Z");
  EXPECT_EQ(reformatted("2026-11-23T08:00"), "2026-11-23T08:00:00Z");
  EXPECT_EQ(reformatted("2026-11-23"), "2026-11-23T00:00:00Z");
  EXPECT_EQ(reformatted("2024-02-29"), "2024-02-29T00:00:00Z");
  EXPECT_EQ(reformatted("1969-12-31T23:59:59.999999Z"), "1969-12-31T23:59:59.999999Z");
}

TEST(TimeTest, takes_a_leap_second_as_the_one_before_and_cuts_what_is_finer_than_its_unit) {
  EXPECT_EQ(reformatted("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59Z");
  EXPECT_EQ(reformatted("2026-01-01T00:00:00.1234569Z"), "2026-01-01T00:00:00.123456Z");
}

TEST(TimeTest, refuses_what_is_no_time) {
  for (const std::string_view text : {"",
                                      "now",
                                      "2026",
                                      "2026-11",
                                      "2026-11-31",
                                      "2026-02-29",
                                      "2026-13-01",
                                      "2026-00-01",
                                      "2026-01-00",
                                      "2026-1-1",
                                      "26-01-01",
                                      "2026-01-01T",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T23:60:00Z",
                                      "2026-01-01T23:59:61Z",
                                      "2026-01-01T08:00:00.Z",
                                      "2026-01-01T08:00:00+24:00",
                                      "2026-01-01T08:00:00+01:60",
                                      "2026-01-01T08:00:00ZZ",
                                      "2026-01-01T08:00:00Z ",
                                      " 2026-01-01",
                                      "2026-01-01X",
                                      "-026-01-01",
                                      "1764000000",
                                      "2026-01-01T08:00:00.1234567890123Z",
                                      "2026-01-01T08:0"}) {
    EXPECT_EQ(reformatted(text), "refused") << text;
  }
}

TEST(TimeTest, keeps_to_the_years_1900_to_2199_also_after_the_offset) {
  EXPECT_EQ(reformatted("1900-01-01T00:00:00Z"), "1900-01-01T00:00:00Z");
  EXPECT_EQ(reformatted("2199-12-31T23:59:59.999999Z"), "2199-12-31T23:59:59.999999Z");
  EXPECT_EQ(reformatted("1899-12-31"), "refused");
  EXPECT_EQ(reformatted("2200-01-01"), "refused");
  EXPECT_EQ(reformatted("0000-01-01"), "refused");
  EXPECT_EQ(reformatted("9999-12-31"), "refused");
  EXPECT_EQ(reformatted("2199-12-31T23:00:00-02:00"), "refused");
  EXPECT_EQ(reformatted("1900-01-01T00:00:00+02:00"), "refused");
}

TEST(TimeTest, reads_back_every_time_it_writes) {
  std::mt19937_64 random(7);
  const auto begin = to_us(*parse_time("1900-01-01"));
  const auto end = to_us(*parse_time("2199-12-31"));
  std::uniform_int_distribution<std::int64_t> any(begin, end);
  for (int i = 0; i < 5000; ++i) {
    const auto time = from_us(any(random));
    ASSERT_EQ(parse_time(format_time(time)), time) << format_time(time);
  }
}

TEST(ConversationIdTest, is_the_same_for_the_same_three_and_differs_where_one_does) {
  std::set<ConversationId> ids;
  for (const auto company : {CompanyId{1}, CompanyId{12}}) {
    for (const auto* source : {"", "a", "ab"}) {
      for (const auto* external : {"", "b", "ab", "a"}) {
        const auto id = make_conversation_id(company, source, external);
        EXPECT_EQ(id, make_conversation_id(company, source, external));
        EXPECT_TRUE(ids.insert(id).second) << source << "+" << external;
      }
    }
  }
}

TEST(ConversationIdTest, reads_back_its_text_and_no_other) {
  const auto id = make_conversation_id(CompanyId{1}, "api", "x");
  const auto written = text(id);

  EXPECT_EQ(written.size(), 30U);
  EXPECT_EQ(parse_conversation_id(written), id);
  for (const auto& other : {std::string(), std::string("cnv_"), written.substr(4), written + "a",
                            written.substr(0, 29), "CNV_" + written.substr(4)}) {
    EXPECT_EQ(parse_conversation_id(other), std::nullopt) << other;
  }
}

Conversation full_conversation() {
  Conversation conversation;
  conversation.id = make_conversation_id(CompanyId{1}, "api", "x");
  conversation.source = "api";
  conversation.external_id = "x";
  conversation.channel = "chat";
  conversation.language = "da";
  conversation.title = "Pakke \"<b>\" 😀";
  conversation.status = "ended";
  conversation.end_reason = "closed";
  conversation.started_at = parse_time("2026-11-23T08:00:00.000001Z");
  conversation.ended_at = parse_time("2026-11-23T09:00:00Z");
  conversation.parties = {{"c1", "Mette", "customer", "m@x.dk"}, {"", "Bo", "", ""}};
  conversation.turns = {
      {.id = "1",
       .role = "customer",
       .name = "Mette",
       .text = std::string("a\0b", 3),
       .at = conversation.started_at,
       .is_private = true,
       .extra = {{"mood", "good"}}},
      {.id = "", .role = "", .name = "", .text = "", .at = {}, .is_private = false, .extra = {}}};
  conversation.tags = {"a", "b"};
  conversation.metadata = {{"n", 1}, {"x", 1.0}, {"b", false}};
  conversation.vendor_analysis = {{"summary", json::Object{{"text", "t"}}}};
  conversation.extra = {{"labels", json::Array{1, nullptr}}};
  return conversation;
}

TEST(ConversationJsonTest, reads_back_what_it_wrote_to_the_byte) {
  const auto conversation = full_conversation();
  const auto written = json::dump(to_json(conversation));

  const auto back = conversation_from_json(*json::parse(written));

  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, conversation);
  EXPECT_EQ(json::dump(to_json(*back)), written);
}

TEST(ConversationJsonTest, leaves_out_what_is_empty) {
  Conversation conversation;

  const auto written = to_json(conversation);

  EXPECT_EQ(written.find("title"), nullptr);
  EXPECT_EQ(written.find("parties"), nullptr);
  EXPECT_NE(written.find("turns"), nullptr);
}

TEST(ConversationJsonTest, calls_anything_else_corrupt) {
  const auto good = to_json(full_conversation());
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, json::Value>>{{"id", "cnv_x"},
                                                        {"title", 7},
                                                        {"started_at", "yesterday"},
                                                        {"turns", json::Object{}},
                                                        {"tags", json::Array{1}},
                                                        {"metadata", json::Array{}}}) {
    auto broken = good;
    broken.set(key, value);

    const auto back = conversation_from_json(broken);

    ASSERT_FALSE(back.has_value()) << key;
    EXPECT_EQ(back.error().code, ErrorCode::corrupt);
  }
}

}  // namespace
}  // namespace samtale

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "providers/provider.h"

namespace samtale {
namespace {

using testing::HasSubstr;

constexpr WallTime kReceived = from_us(1'764'000'000'000'000);

Result<ConversationPatch> parse(std::string_view text) {
  const auto document = json::parse(text);
  if (!document) return std::unexpected(document.error());
  return parse_native(*document, kReceived);
}

std::string mistake_of(std::string_view text) {
  const auto patch = parse(text);
  return patch ? "none" : patch.error().message;
}

TEST(NativeTest, reads_every_known_field) {
  const auto patch = parse(R"({"id":"o-1","channel":"chat","language":"da","title":"Parcel",
    "started_at":"2026-11-23T08:00:00Z","ended_at":"2026-11-23T09:00:00+01:00","end_reason":"done",
    "version":7,"updated_at":"2026-11-23T10:00:00Z","company_id":"acme",
    "parties":[{"id":"c1","name":"Mette","role":"user","email":"m@x.dk"}],
    "turns":[{"id":"t1","speaker":"assistant","name":"Bo","text":"Hej","at":"2026-11-23T08:00:01Z",
              "private":true}],
    "tags":["a","b"],"metadata":{"plan":"pro","n":4,"old":null}})");

  ASSERT_TRUE(patch.has_value()) << patch.error().message;
  EXPECT_EQ(patch->external_id, "o-1");
  EXPECT_EQ(patch->version, 7);
  EXPECT_EQ(patch->time, *parse_time("2026-11-23T10:00:00Z"));
  EXPECT_EQ(patch->ended_at, parse_time("2026-11-23T08:00:00Z"));
  EXPECT_EQ(patch->status, "ended");
  EXPECT_EQ(patch->parties, (std::vector<Party>{{"c1", "Mette", "customer", "m@x.dk"}}));
  ASSERT_EQ(patch->turns.size(), 1U);
  EXPECT_EQ(patch->turns[0].turn.role, "bot");
  EXPECT_TRUE(patch->turns[0].turn.is_private);
  EXPECT_TRUE(patch->is_complete);
  EXPECT_EQ(patch->tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(patch->metadata.size(), 3U);
  EXPECT_TRUE(patch->extra.empty());
}

TEST(NativeTest, keeps_unknown_fields_where_they_stood) {
  const auto patch = parse(R"({"id":"o-1","labels":{"x":1},
    "parties":[{"id":"c1","phone":"1","email":"m@x.dk","age":4}],
    "turns":[{"text":"a","mood":"good"}]})");

  ASSERT_TRUE(patch.has_value());
  EXPECT_EQ(json::dump(patch->extra),
            R"({"party_fields":{"c1":{"phone":"1","age":4}},"labels":{"x":1}})");
  EXPECT_EQ(json::dump(patch->turns[0].turn.extra), R"({"mood":"good"})");
}

TEST(NativeTest, takes_a_conversation_of_nothing_empty_texts_and_unknown_roles) {
  EXPECT_TRUE(parse(R"({"id":"x"})").has_value());
  EXPECT_TRUE(parse(R"({"id":"x","turns":[]})")->is_complete);
  const auto patch = parse(R"({"id":"x","turns":[{"text":""},{"speaker":"Wizard","text":"a"}]})");

  ASSERT_TRUE(patch.has_value());
  EXPECT_EQ(patch->turns[0].turn.role, "participant");
  EXPECT_EQ(patch->turns[1].turn.role, "wizard");
}

TEST(NativeTest, appends_and_deletes_turns_when_the_document_says_so) {
  const auto patch =
      parse(R"({"id":"x","append":true,"turns":[{"id":"t9","deleted":true},{"text":"b"}]})");

  ASSERT_TRUE(patch.has_value()) << patch.error().message;
  EXPECT_FALSE(patch->is_complete);
  EXPECT_TRUE(patch->turns[0].is_deleted);
  EXPECT_EQ(patch->turns[1].time, kReceived);
}

TEST(NativeTest, names_pointer_rule_and_value_of_a_mistake) {
  EXPECT_EQ(mistake_of(R"({"id":"x","turns":[{"text":"a"},{"text":17}]})"),
            "/turns/1/text: must be a string; got 17");
  EXPECT_EQ(mistake_of(R"({"id":"x","turns":[{}]})"),
            "/turns/0/text: must be a string; got nothing");
  EXPECT_EQ(mistake_of(R"({"turns":[]})"), "/id: must be a string of 1 to 256 bytes; got nothing");
  EXPECT_THAT(mistake_of(R"({"id":"x","started_at":"yesterday"})"),
              HasSubstr("/started_at: must be an RFC 3339 time"));
  EXPECT_THAT(mistake_of(R"({"id":"x","status":"closed"})"), HasSubstr("\"open\" or \"ended\""));
  EXPECT_THAT(mistake_of(R"({"id":"x","version":-1})"), HasSubstr("/version"));
  EXPECT_THAT(mistake_of(R"({"id":"x","metadata":{"a/b":[]}})"),
              HasSubstr("/metadata/a~1b: must be a string, a number"));
  EXPECT_THAT(mistake_of(R"({"id":"x","turns":[{"id":"a","text":""},{"id":"a","text":""}]})"),
              HasSubstr("/turns/1/id: must not be the id of an earlier turn"));
  EXPECT_THAT(mistake_of("[]"), HasSubstr("must be a JSON object; got an array"));
}

TEST(NativeTest, tells_all_mistakes_at_once_but_not_endlessly) {
  const auto two = mistake_of(R"({"id":1,"title":2})");
  std::string text = R"({"id":"x","turns":[)";
  for (int i = 0; i < 1000; ++i) text += i == 0 ? "1" : ",1";
  const auto many = mistake_of(text + "]}");

  EXPECT_THAT(two, HasSubstr("/id: "));
  EXPECT_THAT(two, HasSubstr("; and /title: "));
  EXPECT_THAT(many, HasSubstr("/turns/19"));
  EXPECT_THAT(many, testing::Not(HasSubstr("/turns/20")));
}

TEST(NativeTest, shortens_values_between_code_points) {
  std::string name = "x";
  for (int i = 0; i < 2000; ++i) name += "ø";
  const auto message = mistake_of(R"({"id":"x","status":")" + name.substr(0, 201) + R"("})");

  EXPECT_LT(message.size(), 160U);
  EXPECT_TRUE(json::parse(message.substr(message.find("got ") + 4)).has_value()) << message;
}

TEST(NativeTest, keeps_its_limits_to_the_byte) {
  const auto with_id = [](std::size_t bytes) {
    return R"({"id":")" + std::string(bytes, 'x') + R"("})";
  };
  const auto with_text = [](std::size_t bytes) {
    return R"({"id":"x","turns":[{"text":")" + std::string(bytes, 'x') + R"("}]})";
  };

  EXPECT_TRUE(parse(with_id(256)).has_value());
  EXPECT_FALSE(parse(with_id(257)).has_value());
  EXPECT_FALSE(parse(with_id(0)).has_value());
  EXPECT_FALSE(parse(R"({"id":"a\nb"})").has_value());
  EXPECT_TRUE(parse(with_text(PatchLimits::text_bytes_max)).has_value());
  EXPECT_THAT(mistake_of(with_text(PatchLimits::text_bytes_max + 1)), HasSubstr("1048576 bytes"));
}

TEST(NativeTest, refuses_unknown_fields_nested_too_deep_to_be_stored) {
  const auto nested = [](int levels) {
    return R"({"id":"x","labels":)" + std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']') + "}";
  };

  EXPECT_TRUE(parse(nested(31)).has_value());
  EXPECT_THAT(mistake_of(nested(32)), HasSubstr("must not be above 32; got 33"));
}

TEST(NativeTest, gives_the_stated_company_to_the_caller) {
  EXPECT_EQ(*stated_company(*json::parse(R"({"company_id":"acme"})")), "acme");
  EXPECT_EQ(*stated_company(*json::parse("{}")), std::nullopt);
  EXPECT_FALSE(stated_company(*json::parse(R"({"company_id":7})")).has_value());
}

}  // namespace
}  // namespace samtale

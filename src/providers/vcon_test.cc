#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "providers/provider.h"
#include "providers/testing/payloads.h"

namespace samtale {
namespace {

using testing::HasSubstr;

constexpr WallTime kReceived = from_us(1'764'000'000'000'000);

Result<ConversationPatch> parse(std::string_view text) {
  const auto document = json::parse(text);
  if (!document) return std::unexpected(document.error());
  return parse_vcon(*document, kReceived);
}

std::vector<std::string> lines_of(const ConversationPatch& patch) {
  std::vector<std::string> lines;
  for (const auto& said : patch.turns) {
    lines.push_back(said.turn.role + "/" + said.turn.name + ": " + said.turn.text);
  }
  return lines;
}

// A vCon of two parties with these members added.
std::string vcon(std::string_view members) {
  return R"({"vcon":"0.3.0","uuid":"u-1","created_at":"2026-01-01T00:00:00Z","parties":[
    {"name":"Ann","role":"agent","mailto":"mailto:ann@x.dk"},{"name":"Bo","role":"customer","tel":"tel:+45"}],)" +
         std::string(members) + "}";
}

TEST(VconTest, reads_a_published_call_with_its_transcript) {
  const auto patch = parse(payload("vcon/call_1.vcon.json"));

  ASSERT_TRUE(patch.has_value()) << patch.error().message;
  EXPECT_EQ(patch->external_id, "175b4393-b18a-4b47-bdce-c5d795be4130");
  EXPECT_EQ(patch->channel, "voice");
  EXPECT_EQ(patch->status, "ended");
  EXPECT_EQ(patch->started_at, parse_time("2024-03-17T04:06:30.153418Z"));
  EXPECT_EQ(*patch->ended_at - *patch->started_at, std::chrono::milliseconds(63312));
  ASSERT_EQ(patch->parties.size(), 2U);
  EXPECT_EQ(patch->parties[1].role, "customer");
  ASSERT_GT(patch->turns.size(), 8U);
  EXPECT_EQ(patch->turns[0].turn.role, "agent");
  EXPECT_EQ(patch->turns[0].turn.name, "Mark Gonzales");
  EXPECT_THAT(patch->turns[0].turn.text, HasSubstr("Sparkling Clean Services"));
}

TEST(VconTest, reads_text_dialogs_in_every_encoding_and_under_old_and_new_names) {
  const auto patch = parse(vcon(R"("dialog":[
    {"type":"text","start":"2026-01-01T00:00:01Z","parties":[1,0],"mimetype":"text/plain",
     "encoding":"none","body":"one"},
    {"type":"text","start":"2026-01-01T00:00:02Z","parties":0,"mediatype":"text/html",
     "body":"<p>two &amp; a half</p>","message_id":"m2"},
    {"type":"text","start":"2026-01-01T00:00:03Z","parties":[0,1],"originator":1,
     "encoding":"base64url","body":"dGhyZWU_"},
    {"type":"text","start":"2026-01-01T00:00:04Z","encoding":"json","body":"{\"text\":\"four\"}"}])"));

  ASSERT_TRUE(patch.has_value()) << patch.error().message;
  EXPECT_THAT(lines_of(*patch), testing::ElementsAre("customer/Bo: one", "agent/Ann: two & a half",
                                                     "customer/Bo: three?", "participant/: four"));
  EXPECT_EQ(patch->turns[1].turn.id, "m2");
  EXPECT_EQ(patch->turns[2].turn.at, parse_time("2026-01-01T00:00:03Z"));
  EXPECT_EQ(patch->parties[0].address, "ann@x.dk");
  EXPECT_EQ(patch->parties[1].address, "+45");
}

TEST(VconTest, reads_transcripts_in_the_shapes_vendors_give_them) {
  const auto transcript = [](std::string_view body) {
    const auto patch = parse(vcon(R"("dialog":[{"type":"recording","start":"2026-01-01T00:00:00Z"}],
      "analysis":[{"type":"transcript","dialog":[0],"vendor":"v","body":)" +
                                  std::string(body) + "}]"));
    return patch ? lines_of(*patch) : std::vector<std::string>{patch.error().message};
  };
  const auto expected = testing::ElementsAre("agent/Ann: hello", "customer/Bo: hi");

  EXPECT_THAT(
      transcript(R"([{"speaker":"Agent","message":"hello"},{"speaker":"Bo","message":"hi"}])"),
      expected);
  EXPECT_THAT(
      transcript(R"({"segments":[{"speaker":0,"text":"hello"},{"speaker":1,"text":"hi"}]})"),
      expected);
  EXPECT_THAT(transcript(R"("Agent: hello\nCustomer: hi\n")"),
              testing::ElementsAre("agent/: hello", "customer/: hi"));
  EXPECT_THAT(transcript(R"("just text\nof two lines")"),
              testing::ElementsAre("participant/: just text\nof two lines"));
  EXPECT_THAT(transcript(R"([{"speaker":"Agent","message":""},7,null])"), testing::IsEmpty());
  EXPECT_THAT(transcript("17"), testing::IsEmpty());
}

TEST(VconTest, takes_the_first_transcript_of_a_dialog_and_keeps_other_analyses) {
  const auto patch = parse(vcon(R"("dialog":[{"type":"recording"}],"analysis":[
    {"type":"transcript","dialog":0,"body":"one"},{"type":"transcript","dialog":0,"body":"two"},
    {"type":"summary","dialog":0,"body":"short"}])"));

  ASSERT_TRUE(patch.has_value());
  EXPECT_THAT(lines_of(*patch), testing::ElementsAre("participant/: one"));
  EXPECT_EQ(patch->vendor_analysis.size(), 1U);
  EXPECT_EQ(patch->vendor_analysis[0].first, "summary");
}

TEST(VconTest, refuses_signed_encrypted_unknown_and_nameless_ones_with_the_reason) {
  const auto reason = [](std::string_view text) {
    const auto patch = parse(text);
    return patch ? std::string("none") : patch.error().message;
  };

  EXPECT_THAT(reason(R"({"payload":"x","signatures":[]})"), HasSubstr("JWS"));
  EXPECT_THAT(reason(R"({"ciphertext":"x","recipients":[]})"), HasSubstr("JWE"));
  EXPECT_THAT(reason(R"({"vcon":"1.0.0","uuid":"u"})"), HasSubstr("got \"1.0.0\""));
  EXPECT_THAT(reason(R"({"vcon":"0.4.0","uuid":"u","critical":["video"]})"),
              HasSubstr("\"video\""));
  EXPECT_THAT(reason(R"({"vcon":"0.4.0"})"), HasSubstr("/uuid"));
  EXPECT_EQ(reason(R"({"vcon":"0.4.0","uuid":"u","critical":["CC"]})"), "none");
}

TEST(VconTest, tolerates_indices_and_bodies_that_lead_nowhere) {
  const auto patch = parse(vcon(R"("dialog":[
    {"type":"text","body":"a","parties":99},{"type":"text","body":"b","parties":[]},
    {"type":"text","body":"c","parties":[[0]]},{"type":"text","encoding":"base64url","body":"!"},
    {"type":"text"},7],"analysis":[{"type":"transcript","dialog":-4}],"group":[],"redacted":{"uuid":"r"})"));

  ASSERT_TRUE(patch.has_value()) << patch.error().message;
  EXPECT_EQ(patch->turns.size(), 3U);
  EXPECT_EQ(json::dump(patch->extra), R"({"redacted":{"uuid":"r"}})");
}

TEST(VconTest, tells_vcons_from_native_documents) {
  EXPECT_TRUE(is_vcon(*json::parse(R"({"vcon":"0.0.1"})")));
  EXPECT_TRUE(is_vcon(*json::parse(R"({"uuid":"u","dialog":[]})")));
  EXPECT_FALSE(is_vcon(*json::parse(R"({"id":"u","turns":[]})")));
}

TEST(VconTest, reads_back_what_it_wrote) {
  Conversation conversation;
  conversation.id = make_conversation_id(CompanyId{1}, "api", "x");
  conversation.title = "Parcel";
  conversation.parties = {{"c1", "Bo", "customer", "bo@x.dk"}};
  conversation.tags = {"billing"};
  conversation.turns = {{.id = "1",
                         .role = "customer",
                         .name = "Bo",
                         .text = "hi",
                         .at = kReceived,
                         .is_private = false,
                         .extra = {}},
                        {.id = "2",
                         .role = "agent",
                         .name = "",
                         .text = "<b>hello</b>",
                         .at = {},
                         .is_private = true,
                         .extra = {}}};

  const auto document = to_vcon(conversation, kReceived, kReceived);
  const auto patch = parse(json::dump(document));

  ASSERT_TRUE(patch.has_value()) << patch.error().message;
  EXPECT_EQ(text_of_member(document, "vcon"), "0.4.0");
  EXPECT_THAT(
      text_of_member(document, "uuid"),
      testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(patch->title, "Parcel");
  EXPECT_EQ(patch->tags, conversation.tags);
  EXPECT_THAT(lines_of(*patch), testing::ElementsAre("customer/Bo: hi", "agent/: <b>hello</b>"));
  EXPECT_EQ(patch->turns[1].turn.id, "2");
  EXPECT_TRUE(patch->turns[1].turn.is_private);
}

}  // namespace
}  // namespace samtale

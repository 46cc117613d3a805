// Goal:   what each provider's events say comes out as one patch, with nothing that must not be
// kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "providers/markup.h"
#include "providers/provider.h"
#include "providers/testing/payloads.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr WallTime kReceived = from_us(1'770'000'000'000'000);

Result<ProviderEvent> parse(std::string_view provider, std::string_view body) {
  return find_provider(provider)->parse({.headers = {}, .body = body}, kReceived);
}

// The only patch of an event that must have one.
ConversationPatch patch_of(std::string_view provider, std::string_view body) {
  auto event = parse(provider, body);
  if (!event || event->patches.size() != 1) {
    ADD_FAILURE() << (event ? "not one patch" : event.error().message);
    return {};
  }
  return std::move(event->patches[0]);
}

std::vector<std::string> lines_of(const ConversationPatch& patch) {
  std::vector<std::string> lines;
  for (const auto& said : patch.turns) lines.push_back(said.turn.role + ": " + said.turn.text);
  return lines;
}

std::string metadata_of(const ConversationPatch& patch) { return json::dump(patch.metadata); }

TEST(WebhooksTest, every_provider_is_found_by_its_name_and_no_other) {
  for (const auto& provider : providers()) EXPECT_EQ(find_provider(provider.name), &provider);
  EXPECT_EQ(find_provider("Retell"), nullptr);
  EXPECT_EQ(find_provider(""), nullptr);
}

TEST(WebhooksTest, no_provider_takes_what_is_not_json) {
  for (const auto& provider : providers()) {
    for (const auto* body : {"", "{", "a=b&c=d", "{}x", "\xEF\xBB\xBF{}"}) {
      const auto event = parse(provider.name, body);
      ASSERT_FALSE(event.has_value()) << provider.name;
      EXPECT_EQ(event.error().code, ErrorCode::invalid_argument);
    }
  }
}

TEST(StandardWebhooksTest, takes_a_bare_document_and_one_in_an_envelope) {
  const auto bare = patch_of("standard-webhooks", R"({"id":"x","turns":[{"text":"hi"}]})");
  const auto wrapped = patch_of("standard-webhooks", R"({"type":"conversation.updated",
    "timestamp":"2026-01-01T00:00:00Z","data":{"id":"x","turns":[{"text":"hi"}]}})");

  EXPECT_EQ(bare.time, kReceived);
  EXPECT_EQ(wrapped.time, parse_time("2026-01-01T00:00:00Z"));
  EXPECT_EQ(lines_of(bare), lines_of(wrapped));
}

TEST(StandardWebhooksTest, takes_the_event_id_from_the_header_only) {
  const std::vector<std::pair<std::string, std::string>> headers{{"webhook-id", "msg_1"}};
  const auto event = find_provider("standard-webhooks")
                         ->parse({.headers = headers, .body = R"({"id":"x"})"}, kReceived);

  EXPECT_EQ(event->id, "msg_1");
}

TEST(StandardWebhooksTest, erases_on_a_deleted_event_and_ignores_a_ping) {
  const auto erased =
      patch_of("standard-webhooks", R"({"type":"conversation.deleted","data":{"id":"x"}})");
  const auto ping = parse("standard-webhooks", R"({"type":"ping","data":{}})");

  EXPECT_TRUE(erased.is_erased);
  EXPECT_EQ(erased.external_id, "x");
  EXPECT_THAT(ping->patches, IsEmpty());
  EXPECT_FALSE(
      parse("standard-webhooks", R"({"type":"conversation.deleted","data":{}})").has_value());
}

TEST(StandardWebhooksTest, says_where_in_the_envelope_a_mistake_is) {
  const auto event = parse("standard-webhooks", R"({"type":"t","data":{"id":5}})");

  ASSERT_FALSE(event.has_value());
  EXPECT_THAT(event.error().message, HasSubstr("/data: /id: must be a string"));
}

TEST(StandardWebhooksTest, the_vcon_preset_reads_vcons) {
  const auto patch = patch_of("vcon", payload("vcon/call_2.vcon.json"));

  EXPECT_EQ(patch.external_id, "fbb909fa-36fc-467e-8e64-2e9a665ed1ce");
  EXPECT_GT(patch.turns.size(), 8U);
}

TEST(RetellTest, the_analysed_call_outranks_the_ended_one) {
  const auto ended = patch_of("retell", payload("retell_call_ended.json"));
  const auto analysed = patch_of("retell", payload("retell_call_analyzed.json"));

  EXPECT_EQ(ended.time, analysed.time);
  EXPECT_LT(ended.version, analysed.version);
  EXPECT_TRUE(ended.is_complete);
  EXPECT_THAT(ended.vendor_analysis, IsEmpty());
  EXPECT_EQ(analysed.vendor_analysis.size(), 4U);
}

TEST(RetellTest, reads_turns_with_their_times_and_the_parties) {
  const auto patch = patch_of("retell", payload("retell_call_ended.json"));

  EXPECT_THAT(lines_of(patch),
              ElementsAre("bot: Booking line, good morning.",
                          "customer: I need to move my appointment.", "bot: One moment."));
  EXPECT_EQ(*patch.turns[1].turn.at - *patch.started_at, std::chrono::milliseconds(3250));
  EXPECT_EQ(patch.turns[2].turn.at, std::nullopt);
  EXPECT_EQ(patch.end_reason, "user_hangup");
  EXPECT_EQ(patch.parties[1].address, "+4520000001");
  EXPECT_THAT(metadata_of(patch), HasSubstr(R"("order":"A-77")"));
  EXPECT_THAT(metadata_of(patch), HasSubstr(R"("customer_name":"Mette Holm")"));
}

TEST(RetellTest, never_keeps_the_access_token) {
  const auto patch = patch_of("retell", payload("retell_call_ended.json"));

  EXPECT_THAT(json::dump(patch.extra) + metadata_of(patch),
              testing::Not(HasSubstr("not-to-be-kept")));
}

TEST(RetellTest, falls_back_to_the_flat_transcript) {
  const auto patch = patch_of("retell", R"({"event":"call_ended","call":{"call_id":"c",
    "transcript":"Agent: Hello\nUser: Hi","transcript_object":[]}})");

  EXPECT_THAT(lines_of(patch), ElementsAre("bot: Hello", "customer: Hi"));
  EXPECT_EQ(patch.time, kReceived);
}

TEST(RetellTest, ignores_events_that_come_before_the_end) {
  for (const auto* type : {"call_started", "transcript_updated", "something_new"}) {
    const auto event =
        parse("retell", R"({"event":")" + std::string(type) + R"(","call":{"call_id":"c"}})");
    EXPECT_THAT(event->patches, IsEmpty()) << type;
  }
  EXPECT_FALSE(parse("retell", R"({"event":"call_ended"})").has_value());
}

TEST(ElevenLabsTest, reads_the_transcript_and_leaves_silent_steps_out) {
  const auto patch = patch_of("elevenlabs", payload("elevenlabs_post_call_transcription.json"));

  EXPECT_THAT(lines_of(patch),
              ElementsAre("bot: Hello, how can I help?", "customer: Where is my parcel?",
                          "bot: It arrives tomorrow."));
  EXPECT_EQ(patch.turns[2].turn.at, parse_time("2025-11-24T16:00:09Z"));
  EXPECT_EQ(patch.channel, "voice");
  EXPECT_EQ(patch.language, "en");
  EXPECT_EQ(patch.title, "Parcel status");
  EXPECT_EQ(*patch.ended_at - *patch.started_at, std::chrono::seconds(22));
  EXPECT_EQ(metadata_of(patch), R"({"customer_id":"c-17","vip":true,"agent_id":"agent_x"})");
}

TEST(ElevenLabsTest, ignores_audio_and_failures) {
  EXPECT_THAT(parse("elevenlabs", R"({"type":"post_call_audio","data":{}})")->patches, IsEmpty());
  EXPECT_THAT(parse("elevenlabs", R"({"type":"call_initiation_failure","data":{}})")->patches,
              IsEmpty());
}

std::string slack(std::string_view event) {
  return R"({"type":"event_callback","team_id":"T1","event_id":"Ev1","event_time":1764000000,"event":)" +
         std::string(event) + "}";
}

TEST(SlackTest, answers_the_handshake_with_the_challenge) {
  const auto event = parse("slack", R"({"type":"url_verification","token":"t","challenge":"abc"})");

  ASSERT_TRUE(event->answer.has_value());
  EXPECT_EQ(json::dump(*event->answer), R"({"challenge":"abc"})");
  EXPECT_THAT(event->patches, IsEmpty());
}

TEST(SlackTest, a_thread_is_one_conversation) {
  const auto first = patch_of("slack", slack(R"({"type":"message","channel":"C1","user":"U1",
    "text":"Hi <@U2|ann>, see <https:\/\/a.b\/?x=1&amp;y=2|the page> &lt;3","ts":"1764000000.000100"})"));
  const auto reply = patch_of("slack", slack(R"({"type":"message","channel":"C1","bot_id":"B1",
    "subtype":"bot_message","username":"Helper","text":"Yes","ts":"1764000005.000200",
    "thread_ts":"1764000000.000100"})"));

  EXPECT_EQ(first.external_id, "C1/1764000000.000100");
  EXPECT_EQ(reply.external_id, first.external_id);
  EXPECT_THAT(lines_of(first), ElementsAre("participant: Hi ann, see the page <3"));
  EXPECT_THAT(lines_of(reply), ElementsAre("bot: Yes"));
  EXPECT_EQ(reply.turns[0].turn.name, "Helper");
  EXPECT_EQ(to_us(*reply.turns[0].turn.at), 1764000005000200);
  EXPECT_FALSE(reply.is_complete);
}

TEST(SlackTest, an_edit_and_a_deletion_name_the_turn_they_change) {
  const auto edit = patch_of("slack", slack(R"({"type":"message","subtype":"message_changed",
    "channel":"C1","event_ts":"1764000009.000000","message":{"type":"message","user":"U1",
    "text":"new","ts":"1764000005.000200","thread_ts":"1764000000.000100"}})"));
  const auto deletion = patch_of("slack", slack(R"({"type":"message","subtype":"message_deleted",
    "channel":"C1","event_ts":"1764000010.000000","deleted_ts":"1764000005.000200",
    "previous_message":{"thread_ts":"1764000000.000100"}})"));

  EXPECT_EQ(edit.external_id, deletion.external_id);
  EXPECT_EQ(edit.turns[0].turn.id, deletion.turns[0].turn.id);
  EXPECT_EQ(edit.turns[0].turn.text, "new");
  EXPECT_TRUE(deletion.turns[0].is_deleted);
  EXPECT_LT(edit.turns[0].time, deletion.turns[0].time);
}

TEST(SlackTest, what_nobody_wrote_is_ignored) {
  for (const auto* event :
       {R"({"type":"reaction_added"})", R"({"type":"message","subtype":"channel_join",
      "channel":"C1","ts":"1764000000.000100"})"}) {
    EXPECT_THAT(parse("slack", slack(event))->patches, IsEmpty());
  }
  EXPECT_FALSE(parse("slack", slack(R"({"type":"message","text":"x"})")).has_value());
}

TEST(SlackTest, ends_a_thread_by_silence) {
  EXPECT_EQ(find_provider("slack")->idle_timeout, std::chrono::hours(1));
}

TEST(IntercomTest, reads_the_source_then_the_parts_with_a_body) {
  const auto event = parse("intercom", payload("intercom_user_replied.json"));
  const auto& patch = event->patches[0];

  EXPECT_EQ(event->id, "notif_4e3504a3-ba3f-46dc-ab48-8e4d5bdfdf4e");
  EXPECT_EQ(patch.external_id, "503");
  EXPECT_THAT(lines_of(patch), ElementsAre("agent: this is the message body", "agent: Okay!"));
  EXPECT_EQ(patch.turns[1].turn.id, "1");
  EXPECT_EQ(patch.status, "ended");
  EXPECT_EQ(patch.tags, std::vector<std::string>{"Test tag"});
  EXPECT_FALSE(patch.is_complete);
}

std::string intercom(std::string_view topic, std::string_view members) {
  return R"({"type":"notification_event","id":"notif_1","topic":")" + std::string(topic) +
         R"(","created_at":1764000100,"data":{"item":{"type":"conversation","id":"77","created_at":1764000000,)" +
         std::string(members) + "}}}";
}

TEST(IntercomTest, keeps_notes_private_and_redacted_parts_away) {
  const auto patch = patch_of("intercom", intercom("conversation.admin.noted", R"("state":"open",
    "conversation_parts":{"conversation_parts":[
     {"id":"5","part_type":"note","body":"<p>VIP<br>be nice</p>","created_at":1764000050,
      "author":{"type":"admin","id":"1","name":"Ann"}},
     {"id":"6","part_type":"comment","body":null,"redacted":true,"created_at":1764000060,
      "author":{"type":"user","id":"2"}}]})"));

  ASSERT_EQ(patch.turns.size(), 2U);
  EXPECT_TRUE(patch.turns[0].turn.is_private);
  EXPECT_EQ(patch.turns[0].turn.text, "VIP\nbe nice");
  EXPECT_TRUE(patch.turns[1].is_deleted);
  EXPECT_EQ(patch.status, "open");
}

TEST(IntercomTest, ends_when_an_admin_closes_and_is_erased_when_deleted) {
  const auto closed =
      patch_of("intercom", intercom("conversation.admin.closed", R"("state":"closed")"));
  const auto deleted =
      patch_of("intercom", intercom("conversation.deleted", R"("state":"closed")"));

  EXPECT_EQ(closed.status, "ended");
  EXPECT_EQ(closed.ended_at, from_us(1'764'000'100'000'000));
  EXPECT_TRUE(deleted.is_erased);
  EXPECT_THAT(parse("intercom", R"({"topic":"ping","data":{"item":{"type":"ping"}}})")->patches,
              IsEmpty());
}

TEST(MarkupTest, makes_text_of_html) {
  EXPECT_EQ(text_of_html("<p>a</p><p>b &lt;c&gt; &#x41;&#66;</p>"), "a\nb <c> AB");
  EXPECT_EQ(text_of_html("a<br/>b<BR>c<img src=\"x\">d"), "a\nb\ncd");
  EXPECT_EQ(text_of_html("1 < 2 & 3 &nosuch; &#xD800; &#0;"), "1 < 2 & 3 &nosuch; &#xD800; &#0;");
  EXPECT_EQ(text_of_html("  <div>\n\n\n\nx</div>  "), "x");
}

TEST(MarkupTest, takes_a_megabyte_of_open_brackets_without_searching_it_over_and_over) {
  const std::string open(std::size_t{1} << 20, '<');

  EXPECT_EQ(text_of_html(open), open);
  EXPECT_EQ(text_of_mrkdwn(open), open);
}

}  // namespace
}  // namespace samtale

// Source: api.slack.com, "Verifying requests from Slack", "Events API" and "message event".
#include <algorithm>
#include <array>
#include <charconv>

#include "providers/fields.h"
#include "providers/markup.h"
#include "providers/presets.h"

namespace samtale {
namespace {

constexpr SignatureScheme kScheme{
    .headers = {.signature = "x-slack-signature",
                .timestamp = "x-slack-request-timestamp",
                .id = ""},
    .other_headers = {},
    .algorithm = SignatureAlgorithm::hmac_sha256,
    .encoding = SignatureEncoding::hex,
    .secret_form = SecretForm::as_is,
    .signed_text = "v0:{ts}:{body}",
    .item_separator = ',',
    .key_separator = '=',
    .signature_key = "v0",
    .ed25519_key = "",
    .timestamp_key = "",
    .timestamp_unit = TimestampUnit::seconds,
    .tolerance = std::chrono::minutes(5),
};

// Messages that somebody wrote. The other subtypes tell of joins, topics and pins.
constexpr std::array<std::string_view, 5> kWrittenSubtypes{"", "bot_message", "me_message",
                                                           "file_share", "thread_broadcast"};

// "1596183880.004200": seconds and microseconds. Exact, which a double would not be.
std::optional<WallTime> time_of(std::string_view ts) {
  const auto dot = ts.find('.');
  if (dot == std::string_view::npos || ts.size() != dot + 7 || dot > 10) return std::nullopt;
  std::int64_t seconds = 0;
  std::int64_t us = 0;
  const auto whole = std::from_chars(ts.data(), ts.data() + dot, seconds);
  const auto part = std::from_chars(ts.data() + dot + 1, ts.data() + ts.size(), us);
  const bool is_number = whole.ec == std::errc() && whole.ptr == ts.data() + dot &&
                         part.ec == std::errc() && part.ptr == ts.data() + ts.size();
  if (!is_number || seconds < 0 || us < 0 || seconds > 7'258'118'399) return std::nullopt;
  return from_us(seconds * 1'000'000 + us);
}

std::string text_of(const json::Value& message) {
  auto text = text_of_mrkdwn(text_at(message, "/text"));
  if (!text.empty()) return text;
  for (const auto& attachment : items_at(message, "/attachments")) {
    auto part = text_at(attachment, "/text");
    if (part.empty()) part = text_at(attachment, "/fallback");
    if (!text.empty() && !part.empty()) text.push_back('\n');
    text.append(text_of_mrkdwn(part));
  }
  return text;
}

Party author_of(const json::Value& message) {
  const bool is_bot = message.find("bot_id") != nullptr;
  Party party{.id = text_at(message, "/user"),
              .name = text_at(message, "/username"),
              .role = is_bot ? "bot" : normal_role(""),
              .address = ""};
  if (party.id.empty()) party.id = text_at(message, "/bot_id");
  for (const auto* pointer : {"/user_profile/real_name", "/bot_profile/name"}) {
    if (party.name.empty()) party.name = text_at(message, pointer);
  }
  return party;
}

// A message that is there, under the time from which what it says holds.
void put_message(const json::Value& message, WallTime time, ConversationPatch& patch) {
  const auto author = author_of(message);
  TurnPatch turn;
  turn.turn.id = text_at(message, "/ts");
  turn.turn.role = author.role;
  turn.turn.name = author.name.empty() ? author.id : author.name;
  turn.turn.text = text_of(message);
  turn.turn.at = time_of(turn.turn.id);
  turn.time = time;
  // What Slack leaves of a deleted message that has answers.
  turn.is_deleted = text_at(message, "/subtype") == "tombstone";
  if (!turn.is_deleted) add_party(patch.parties, author);
  patch.turns.push_back(std::move(turn));
}

std::string first_of(const std::string& one, const std::string& other) {
  return one.empty() ? other : one;
}

// The thread that the event belongs to: the time of its first message; empty if it is no message.
std::string read_message_event(const json::Value& event, WallTime time, ConversationPatch& patch) {
  const auto subtype = text_at(event, "/subtype");
  if (subtype == "message_changed") {
    const json::Value message = object_at(event, "/message");
    put_message(message, time, patch);
    return first_of(text_at(message, "/thread_ts"), text_at(message, "/ts"));
  }
  if (subtype == "message_deleted") {
    TurnPatch turn;
    turn.turn.id = text_at(event, "/deleted_ts");
    turn.is_deleted = true;
    turn.time = time;
    auto thread = first_of(text_at(event, "/previous_message/thread_ts"), turn.turn.id);
    patch.turns.push_back(std::move(turn));
    return thread;
  }
  if (std::ranges::find(kWrittenSubtypes, subtype) == kWrittenSubtypes.end()) return {};
  put_message(event, time, patch);
  return first_of(text_at(event, "/thread_ts"), text_at(event, "/ts"));
}

Result<ProviderEvent> parse(const Delivery& delivery, WallTime received_at) {
  SAMTALE_TRY(const auto body, json::parse(delivery.body));
  ProviderEvent event;
  event.type = text_at(body, "/type");
  if (event.type == "url_verification") {
    event.answer = json::Object{{"challenge", text_at(body, "/challenge")}};
    return event;
  }
  event.id = text_at(body, "/event_id");
  const json::Value message = object_at(body, "/event");
  if (text_at(message, "/type") != "message") return event;
  event.type = "message";

  ConversationPatch patch;
  const auto ts = first_of(text_at(message, "/event_ts"), text_at(message, "/ts"));
  patch.time = time_of(ts).value_or(received_at);
  const auto thread = read_message_event(message, patch.time, patch);
  if (patch.turns.empty()) return event;
  const auto channel = text_at(message, "/channel");
  if (channel.empty() || patch.turns.front().turn.id.empty()) {
    return fail(ErrorCode::invalid_argument,
                "/event: must have \"channel\" and the message's \"ts\" as strings");
  }
  patch.external_id = channel + "/" + thread;
  patch.channel = "chat";
  patch.metadata.emplace_back("slack_channel", channel);
  add_known(patch.metadata, "slack_team", body.find("team_id"));
  SAMTALE_TRY(patch, within_limits(std::move(patch)));
  event.patches.push_back(std::move(patch));
  return event;
}

}  // namespace

Provider slack_provider() {
  return {.name = "slack",
          .summary = "Slack messages, edits and deletions; one thread is one conversation",
          .signature = kScheme,
          .idle_timeout = std::chrono::hours(1),
          .parse = parse};
}

}  // namespace samtale

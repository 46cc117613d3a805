// Source: developers.intercom.com, "Webhook notifications" and "Signed notifications";
// intercom/Intercom-OpenAPI (the conversation object). A notification holds only the newest part,
// so parts are gathered one by one.
#include <algorithm>
#include <array>

#include "providers/fields.h"
#include "providers/markup.h"
#include "providers/presets.h"

namespace samtale {
namespace {

constexpr SignatureScheme kScheme{
    .headers = {.signature = "x-hub-signature", .timestamp = "", .id = ""},
    .other_headers = {},
    .algorithm = SignatureAlgorithm::hmac_sha1,
    .encoding = SignatureEncoding::hex,
    .secret_form = SecretForm::as_is,
    .signed_text = "{body}",
    .item_separator = ',',
    .key_separator = '=',
    .signature_key = "sha1",
    .ed25519_key = "",
    .timestamp_key = "",
    .timestamp_unit = TimestampUnit::seconds,
    .tolerance = {},
};

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kChannels{
    {{"email", "email"},
     {"sms", "sms"},
     {"phone_call", "voice"},
     {"phone_switch", "voice"},
     {"whatsapp", "social"},
     {"facebook", "social"},
     {"instagram", "social"},
     {"twitter", "social"},
     {"conversation", "chat"},
     {"push", "chat"}}};

std::string channel_of(std::string_view source_type) {
  const auto known =
      std::ranges::find(kChannels, source_type, [](const auto& c) { return c.first; });
  return std::string(known == kChannels.end() ? "chat" : known->second);
}

Party author_of(const json::Value& part) {
  const auto type = text_at(part, "/author/type");
  const bool is_bot = type == "bot" || is_true_at(part, "/author/from_ai_agent");
  return {.id = id_at(part, "/author/id"),
          .name = text_at(part, "/author/name"),
          .role = is_bot ? "bot" : normal_role(type),
          .address = text_at(part, "/author/email")};
}

// A part or the source. Parts without a body are moves on the board (assigned, closed), not speech.
void put_part(const json::Value& part, std::optional<WallTime> at, WallTime time,
              ConversationPatch& patch) {
  TurnPatch turn;
  turn.turn.id = id_at(part, "/id");
  turn.is_deleted = is_true_at(part, "/redacted");
  const auto body = text_at(part, "/body");
  if (turn.turn.id.empty() || (body.empty() && !turn.is_deleted)) return;
  auto author = author_of(part);
  turn.turn.role = author.role;
  turn.turn.name = author.name;
  turn.turn.text = text_of_html(body);
  turn.turn.at = at;
  turn.turn.is_private = text_at(part, "/part_type").starts_with("note");
  turn.time = time;
  add_party(patch.parties, std::move(author));
  patch.turns.push_back(std::move(turn));
}

void read_turns(const json::Value& item, ConversationPatch& patch) {
  const auto created = unix_time_at(item, "/created_at", TimestampUnit::seconds);
  const json::Value source = object_at(item, "/source");
  // The source never changes but by redaction, so what it says is as old as the conversation.
  const auto source_time =
      is_true_at(source, "/redacted") ? patch.time : created.value_or(patch.time);
  put_part(source, created, source_time, patch);
  for (const auto& part : items_at(item, "/conversation_parts/conversation_parts")) {
    const auto at = unix_time_at(part, "/created_at", TimestampUnit::seconds);
    const auto changed = unix_time_at(part, "/updated_at", TimestampUnit::seconds);
    put_part(part, at, changed ? *changed : at.value_or(patch.time), patch);
    if (patch.turns.size() > PatchLimits::turns_max) return;
  }
}

void read_state(const json::Value& item, std::string_view topic, ConversationPatch& patch) {
  const bool is_closed =
      topic == "conversation.admin.closed" || text_at(item, "/state") == "closed";
  patch.status = is_closed ? "ended" : "open";
  if (!is_closed) return;
  patch.end_reason = "closed";
  if (topic == "conversation.admin.closed") patch.ended_at = patch.time;
}

void read_facts(const json::Value& item, ConversationPatch& patch) {
  patch.started_at = unix_time_at(item, "/created_at", TimestampUnit::seconds);
  patch.channel = channel_of(text_at(item, "/source/type"));
  auto title = text_of_html(text_at(item, "/title"));
  if (title.empty()) title = text_of_html(text_at(item, "/source/subject"));
  if (!title.empty()) patch.title = std::move(title);
  for (const auto& contact : items_at(item, "/contacts/contacts")) {
    add_party(patch.parties,
              {.id = id_at(contact, "/id"), .name = "", .role = "customer", .address = ""});
  }
  if (item.at_pointer("/tags/tags") != nullptr) {
    patch.tags.emplace();
    for (const auto& tag : items_at(item, "/tags/tags")) {
      if (auto name = fact_at(tag, "/name")) patch.tags->push_back(std::move(*name));
    }
  }
  add_flat(patch.metadata, object_at(item, "/custom_attributes"));
  add_known(patch.metadata, "priority", item.find("priority"));
  add_known(patch.vendor_analysis, "conversation_rating", item.find("conversation_rating"));
  add_known(patch.vendor_analysis, "ai_agent", item.find("ai_agent"));
  add_known(patch.vendor_analysis, "statistics", item.find("statistics"));
  for (const auto* key : {"admin_assignee_id", "team_assignee_id", "linked_objects", "ticket"}) {
    add_known(patch.extra, key, item.find(key));
  }
}

Result<ProviderEvent> parse(const Delivery& delivery, WallTime received_at) {
  SAMTALE_TRY(const auto body, json::parse(delivery.body));
  ProviderEvent event;
  event.id = text_at(body, "/id");
  event.type = text_at(body, "/topic");
  if (!event.type.starts_with("conversation.")) return event;
  const json::Value item = object_at(body, "/data/item");
  ConversationPatch patch;
  patch.external_id = id_at(item, "/id");
  patch.time = unix_time_at(body, "/created_at", TimestampUnit::seconds).value_or(received_at);
  if (event.type == "conversation.deleted") {
    patch.is_erased = true;
  } else {
    read_facts(item, patch);
    read_state(item, event.type, patch);
    read_turns(item, patch);
  }
  SAMTALE_TRY(patch, within_limits(std::move(patch)));
  event.patches.push_back(std::move(patch));
  return event;
}

}  // namespace

Provider intercom_provider() {
  return {.name = "intercom",
          .summary = "Intercom conversations, gathered part by part until they are closed",
          .signature = kScheme,
          .idle_timeout = {},
          .parse = parse};
}

}  // namespace samtale

// Source: elevenlabs/elevenlabs-python src/elevenlabs/webhooks_custom.py (signature); ElevenLabs
// documentation, "Post-call webhooks" (payload).
#include "providers/fields.h"
#include "providers/presets.h"

namespace samtale {
namespace {

constexpr SignatureScheme kScheme{
    .headers = {.signature = "elevenlabs-signature", .timestamp = "", .id = ""},
    .other_headers = {},
    .algorithm = SignatureAlgorithm::hmac_sha256,
    .encoding = SignatureEncoding::hex,
    .secret_form = SecretForm::as_is,
    .signed_text = "{ts}.{body}",
    .item_separator = ',',
    .key_separator = '=',
    .signature_key = "v0",
    .ed25519_key = "",
    .timestamp_key = "t",
    .timestamp_unit = TimestampUnit::seconds,
    .tolerance = std::chrono::minutes(30),
};

std::string channel_of(const json::Value& metadata) {
  if (!object_at(metadata, "/whatsapp").empty()) return "social";
  if (!object_at(metadata, "/sms").empty()) return "sms";
  return is_true_at(metadata, "/text_only") ? "chat" : "voice";
}

std::vector<TurnPatch> read_turns(const json::Value& data, std::optional<WallTime> start) {
  std::vector<TurnPatch> turns;
  for (const auto& item : items_at(data, "/transcript")) {
    const auto* message = item.find("message");
    if (message == nullptr || message->is_null()) continue;  // A step of the agent, not speech.
    TurnPatch patch;
    const auto role = text_at(item, "/role");
    patch.turn.role = role == "agent" ? "bot" : normal_role(role);
    patch.turn.text = text_at(item, "/message");
    const auto* offset = item.find("time_in_call_secs");
    patch.turn.at = later(start, offset == nullptr ? std::nullopt : offset->as_number());
    for (const auto* key : {"tool_calls", "tool_results", "original_message"}) {
      add_known(patch.turn.extra, key, item.find(key));
    }
    if (is_true_at(item, "/interrupted")) patch.turn.extra.emplace_back("interrupted", true);
    turns.push_back(std::move(patch));
  }
  return turns;
}

ConversationPatch read_conversation(const json::Value& data) {
  const json::Value metadata = object_at(data, "/metadata");
  ConversationPatch patch;
  patch.external_id = text_at(data, "/conversation_id");
  patch.channel = channel_of(metadata);
  patch.status = "ended";
  patch.end_reason = fact_at(metadata, "/termination_reason");
  patch.title = fact_at(data, "/analysis/call_summary_title");
  patch.language = fact_at(metadata, "/main_language");
  if (!patch.language) {
    patch.language = fact_at(
        data, "/conversation_initiation_client_data/conversation_config_override/agent/language");
  }
  patch.started_at = unix_time_at(metadata, "/start_time_unix_secs", TimestampUnit::seconds);
  const auto* length = metadata.find("call_duration_secs");
  patch.ended_at = later(patch.started_at, length == nullptr ? std::nullopt : length->as_number());
  patch.turns = read_turns(data, patch.started_at);
  patch.is_complete = true;
  add_party(patch.parties, {.id = text_at(data, "/agent_id"),
                            .name = text_at(data, "/agent_name"),
                            .role = "bot",
                            .address = text_at(metadata, "/phone_call/agent_number")});
  add_party(patch.parties, {.id = text_at(data, "/user_id"),
                            .name = "",
                            .role = "customer",
                            .address = text_at(metadata, "/phone_call/external_number")});
  add_flat(patch.metadata,
           object_at(data, "/conversation_initiation_client_data/dynamic_variables"));
  add_known(patch.metadata, "agent_id", data.find("agent_id"));
  patch.vendor_analysis = object_at(data, "/analysis");
  for (const auto* key : {"cost", "charging", "feedback", "timezone"}) {
    add_known(patch.extra, key, metadata.find(key));
  }
  return patch;
}

Result<ProviderEvent> parse(const Delivery& delivery, WallTime received_at) {
  SAMTALE_TRY(const auto body, json::parse(delivery.body));
  ProviderEvent event;
  event.type = text_at(body, "/type");
  if (event.type != "post_call_transcription") return event;  // Audio and failed calls say nothing.
  auto patch = read_conversation(object_at(body, "/data"));
  patch.time = unix_time_at(body, "/event_timestamp", TimestampUnit::seconds).value_or(received_at);
  SAMTALE_TRY(patch, within_limits(std::move(patch)));
  event.patches.push_back(std::move(patch));
  return event;
}

}  // namespace

Provider elevenlabs_provider() {
  return {.name = "elevenlabs",
          .summary = "ElevenLabs agents: post_call_transcription",
          .signature = kScheme,
          .idle_timeout = {},
          .parse = parse};
}

}  // namespace samtale

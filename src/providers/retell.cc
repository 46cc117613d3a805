// Source: RetellAI/retell-typescript-sdk src/lib/webhook_auth.ts (signature); docs.retellai.com,
// "Webhook" and "Get Call" (payload).
#include <array>

#include "providers/fields.h"
#include "providers/presets.h"

namespace samtale {
namespace {

constexpr SignatureScheme kScheme{
    .headers = {.signature = "x-retell-signature", .timestamp = "", .id = ""},
    .other_headers = {},
    .algorithm = SignatureAlgorithm::hmac_sha256,
    .encoding = SignatureEncoding::hex,
    .secret_form = SecretForm::as_is,
    .signed_text = "{body}{ts}",
    .item_separator = ',',
    .key_separator = '=',
    .signature_key = "d",
    .ed25519_key = "",
    .timestamp_key = "v",
    .timestamp_unit = TimestampUnit::milliseconds,
    .tolerance = std::chrono::minutes(5),
};

// Retell dates the call, not the event, so the kind of event says which of two is the later one.
constexpr std::array<std::pair<std::string_view, std::int64_t>, 2> kRanks{
    {{"call_ended", 1}, {"call_analyzed", 2}}};

std::optional<std::int64_t> rank_of(std::string_view type) {
  for (const auto& [known, rank] : kRanks) {
    if (known == type) return rank;
  }
  return std::nullopt;
}

// Retell's "agent" is a language model; a person only comes in as the target of a transfer.
std::string role_of(std::string_view role) {
  if (role == "agent") return "bot";
  if (role == "transfer_target") return "agent";
  return normal_role(role);
}

std::vector<TurnPatch> read_turns(const json::Value& call, std::optional<WallTime> start) {
  std::vector<TurnPatch> turns;
  for (const auto* list : {"/transcript_object", "/transcript_with_tool_calls",
                           "/scrubbed_transcript_with_tool_calls"}) {
    for (const auto& item : items_at(call, list)) {
      if (item.find("content") == nullptr || item.find("words") == nullptr) continue;
      TurnPatch patch;
      patch.turn.role = role_of(text_at(item, "/role"));
      patch.turn.text = text_at(item, "/content");
      const auto* first_word = item.at_pointer("/words/0/start");
      patch.turn.at = later(start, first_word == nullptr ? std::nullopt : first_word->as_number());
      turns.push_back(std::move(patch));
    }
    if (!turns.empty()) return turns;
  }
  turns = split_transcript(text_at(call, "/transcript"));
  for (auto& patch : turns) patch.turn.role = role_of(patch.turn.role);
  return turns;
}

std::vector<Party> read_parties(const json::Value& call) {
  const bool is_outbound = text_at(call, "/direction") == "outbound";
  std::vector<Party> parties;
  add_party(parties, {.id = text_at(call, "/agent_id"),
                      .name = text_at(call, "/agent_name"),
                      .role = "bot",
                      .address = text_at(call, is_outbound ? "/from_number" : "/to_number")});
  add_party(parties, {.id = "",
                      .name = "",
                      .role = "customer",
                      .address = text_at(call, is_outbound ? "/to_number" : "/from_number")});
  return parties;
}

Result<ProviderEvent> parse(const Delivery& delivery, WallTime received_at) {
  SAMTALE_TRY(const auto body, json::parse(delivery.body));
  ProviderEvent event;
  event.type = text_at(body, "/event");
  const auto rank = rank_of(event.type);
  if (!rank) return event;
  const json::Value call = object_at(body, "/call");
  ConversationPatch patch;
  patch.external_id = text_at(call, "/call_id");
  patch.version = *rank;
  patch.started_at = unix_time_at(call, "/start_timestamp", TimestampUnit::milliseconds);
  patch.ended_at = unix_time_at(call, "/end_timestamp", TimestampUnit::milliseconds);
  patch.time = patch.ended_at ? *patch.ended_at : patch.started_at.value_or(received_at);
  patch.channel = "voice";
  patch.status = "ended";
  patch.end_reason = fact_at(call, "/disconnection_reason");
  patch.parties = read_parties(call);
  patch.turns = read_turns(call, patch.started_at);
  patch.is_complete = true;
  add_flat(patch.metadata, object_at(call, "/metadata"));
  add_flat(patch.metadata, object_at(call, "/retell_llm_dynamic_variables"));
  for (const auto* key : {"agent_id", "call_type", "direction"}) {
    add_known(patch.metadata, key, call.find(key));
  }
  patch.vendor_analysis = object_at(call, "/call_analysis");
  // By name: a call object also carries "access_token", which must not be kept.
  for (const auto* key : {"agent_version", "duration_ms", "recording_url", "data_storage_setting",
                          "collected_dynamic_variables"}) {
    add_known(patch.extra, key, call.find(key));
  }
  SAMTALE_TRY(patch, within_limits(std::move(patch)));
  event.patches.push_back(std::move(patch));
  return event;
}

}  // namespace

Provider retell_provider() {
  return {.name = "retell",
          .summary = "Retell AI calls: call_ended, then call_analyzed",
          .signature = kScheme,
          .idle_timeout = {},
          .parse = parse};
}

}  // namespace samtale

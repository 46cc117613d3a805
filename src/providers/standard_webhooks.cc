// Source: the Standard Webhooks specification, https://www.standardwebhooks.com. Svix signs the
// same way under its own header names.
#include <algorithm>

#include "providers/fields.h"
#include "providers/presets.h"

namespace samtale {
namespace {

constexpr SignatureScheme kScheme{
    .headers = {.signature = "webhook-signature",
                .timestamp = "webhook-timestamp",
                .id = "webhook-id"},
    .other_headers = {.signature = "svix-signature",
                      .timestamp = "svix-timestamp",
                      .id = "svix-id"},
    .algorithm = SignatureAlgorithm::hmac_sha256,
    .encoding = SignatureEncoding::base64,
    .secret_form = SecretForm::standard_webhooks,
    .signed_text = "{id}.{ts}.{body}",
    .item_separator = ' ',
    .key_separator = ',',
    .signature_key = "v1",
    .ed25519_key = "v1a",
    .timestamp_key = "",
    .timestamp_unit = TimestampUnit::seconds,
    .tolerance = std::chrono::minutes(5),
};

std::string message_id(const Delivery& delivery) {
  for (const auto& [name, value] : delivery.headers) {
    if (name == "webhook-id" || name == "svix-id") return value;
  }
  return {};
}

// The recommended envelope {"type","timestamp","data"}, which may also be left off.
bool is_envelope(const json::Value& body) {
  return body.find("data") != nullptr && body.find("data")->as_object() != nullptr &&
         body.find("id") == nullptr && body.find("uuid") == nullptr;
}

Result<ConversationPatch> parse_document(const json::Value& document, WallTime at) {
  return is_vcon(document) ? parse_vcon(document, at) : parse_native(document, at);
}

Result<ProviderEvent> parse(const Delivery& delivery, WallTime received_at) {
  SAMTALE_TRY(const auto body, json::parse(delivery.body));
  ProviderEvent event;
  event.id = message_id(delivery);
  if (!is_envelope(body)) {
    SAMTALE_TRY(auto patch, parse_document(body, received_at));
    event.patches.push_back(std::move(patch));
    return event;
  }
  event.type = text_at(body, "/type");
  if (event.type == "ping") return event;
  const auto happened_at = parse_time(text_at(body, "/timestamp")).value_or(received_at);
  const auto& data = *body.find("data");
  auto patch = event.type.ends_with(".deleted") ? Result<ConversationPatch>()
                                                : parse_document(data, happened_at);
  if (!patch) return std::unexpected(std::move(patch).error().during("/data"));
  if (event.type.ends_with(".deleted")) {
    patch->external_id = id_at(data, data.find("id") != nullptr ? "/id" : "/uuid");
    patch->time = happened_at;
    patch->is_erased = true;
    SAMTALE_TRY(*patch, within_limits(std::move(*patch)));
  }
  event.patches.push_back(std::move(*patch));
  return event;
}

}  // namespace

Provider standard_webhooks_provider() {
  return {.name = "standard-webhooks",
          .summary = "Samtale's own JSON or a vCon, signed by Standard Webhooks or Svix",
          .signature = kScheme,
          .idle_timeout = {},
          .parse = parse};
}

Provider vcon_provider() {
  return {.name = "vcon",
          .summary = "IETF vCon 0.0.1 to 0.4.0 as plain JSON, signed by Standard Webhooks",
          .signature = kScheme,
          .idle_timeout = {},
          .parse = parse};
}

}  // namespace samtale

// Provider: everything Samtale knows about other systems' webhooks and document formats, as one
// table. A provider is one file: how it signs, what its events say, how its conversations end.
//
// Source: each provider's file names the documentation its format was taken from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/conversation.h"
#include "sys/clock.h"

namespace samtale {

// Of one conversation patch; native documents, vCons and every provider's events alike.
struct PatchLimits {
  static constexpr std::size_t id_bytes_max = 256;  // Of conversations, turns and parties.
  static constexpr std::size_t turns_max = 100'000;
  static constexpr std::size_t text_bytes_max = std::size_t{1} << 20;  // Of one turn.
  static constexpr std::size_t field_bytes_max =
      4096;  // Title, names, end reason, metadata values.
  static constexpr std::size_t parties_max = 1000;
  static constexpr std::size_t tags_max = 256;
  static constexpr std::size_t metadata_max = 256;  // Keys.
  // Of unknown fields: below what a stored conversation may nest (json::ReadLimits).
  static constexpr std::size_t extra_depth_max = 32;
};

// A webhook as it arrived. Lent.
struct Delivery {
  std::span<const std::pair<std::string, std::string>> headers;  // Names in lower case.
  std::string_view body;
};

struct SigningSecret {
  std::string secret;  // As the provider shows it: "whsec_…", an API key, …
  std::optional<WallTime> expires_at;
};

struct TurnPatch {
  Turn turn;  // Without an id if the provider gives none; the merge then derives one.
  bool is_deleted = false;
  WallTime time{};  // Of the edit or deletion, else of the message.
};

// What one event says about one conversation. What it does not say stays as it is.
// Order: of two patches that say the same thing differently the greater (version, time) wins,
//        whichever arrives first (ingest/merge.h).
struct ConversationPatch {
  std::string external_id;
  // As sent; or the rank of the event's kind where the provider dates its events too coarsely.
  std::int64_t version = 0;
  WallTime time{};  // When it happened, by the event itself; received_at if it does not say.
  std::optional<std::string> channel;
  std::optional<std::string> language;
  std::optional<std::string> title;
  std::optional<std::string> status;  // "open" or "ended".
  std::optional<std::string> end_reason;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  std::vector<Party> parties;    // Added to those known.
  std::vector<TurnPatch> turns;  // In the order they were said.
  bool is_complete = false;      // `turns` is the whole transcript and replaces older turns.
  bool is_erased = false;        // The source erased it: the caller erases it here, for good.
  std::optional<std::vector<std::string>> tags;  // The whole list.
  json::Object metadata;                         // By key; null removes one.
  json::Object vendor_analysis;
  json::Object extra;
};

struct ProviderEvent {
  std::string id;    // The provider's id of the event; empty: the caller hashes the body.
  std::string type;  // As sent: "call_analyzed".
  std::vector<ConversationPatch> patches;  // Empty: nothing to index (a ping, a call that starts).
  std::optional<json::Value> answer;       // A handshake to answer at once; nothing is stored.
};

enum class SignatureAlgorithm : std::uint8_t { hmac_sha256, hmac_sha1 };
enum class SignatureEncoding : std::uint8_t { hex, base64 };
enum class SecretForm : std::uint8_t {
  as_is,
  standard_webhooks,  // "whsec_" and base64 for HMAC, "whpk_" and base64 for an ed25519 key.
};
enum class TimestampUnit : std::uint8_t { seconds, milliseconds };

struct SignatureHeaders {
  std::string_view signature;
  std::string_view timestamp;  // Empty: it stands in the signature header, or there is none.
  std::string_view id;         // Empty: there is none.
};

// How a provider signs. The signature header is a list of items, each a key, a separator and a
// value: "t=1700000000,v0=6f…" or "v1,g0h… v1a,hnO…".
struct SignatureScheme {
  SignatureHeaders headers;
  SignatureHeaders other_headers;  // The same under other names; empty: none.
  SignatureAlgorithm algorithm = SignatureAlgorithm::hmac_sha256;
  SignatureEncoding encoding = SignatureEncoding::hex;
  SecretForm secret_form = SecretForm::as_is;
  std::string_view signed_text;  // Over {id}, {ts} and {body}: "{id}.{ts}.{body}".
  char item_separator = ',';
  char key_separator = '=';
  std::string_view signature_key;  // "v1"
  std::string_view ed25519_key;    // "v1a"; empty: no such signatures.
  std::string_view timestamp_key;  // "t"; empty: the timestamp has a header of its own, or none.
  TimestampUnit timestamp_unit = TimestampUnit::seconds;
  Duration tolerance{};  // Both ways; 0: deliveries carry no time.
};

struct Provider {
  std::string_view name;     // As endpoints name it: "retell".
  std::string_view summary;  // One line for people.
  SignatureScheme signature;
  // A conversation without an end event ends this long after its last event; 0: it has one.
  Duration idle_timeout{};
  // Gives the same patches with and without headers; only the id may come from them.
  // Errors: invalid_argument, for what no retry of the same bytes can mend.
  Result<ProviderEvent> (*parse)(const Delivery& delivery, WallTime received_at) = nullptr;
};

// Every provider, by name.
[[nodiscard]] std::span<const Provider> providers();
[[nodiscard]] const Provider* find_provider(std::string_view name);

// Whether the delivery was signed, within the scheme's tolerance of `now`, with any of the secrets
// that have not expired. Every such secret is tried on each of the first five signatures, in a time
// that does not tell which matched.
// Errors: unauthenticated, always with the same message.
[[nodiscard]] Result<> verify(const Provider& provider, std::span<const SigningSecret> secrets,
                              const Delivery& delivery, WallTime now);

// The headers under which the provider's scheme signs `body` as the delivery `id` at `now`: what
// verify() passes. One signature for each HMAC secret that has not expired. `id` is one that the
// scheme allows (for Standard Webhooks: letters, digits, "-" and "_").
// Errors: invalid_argument if none of the secrets can sign.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> sign(
    const Provider& provider, std::span<const SigningSecret> secrets, std::string_view id,
    std::string_view body, WallTime now);

// Whether `secret` has the form this provider's secrets have, so that a slip is found when an
// endpoint is made and not when its first event is refused.
// Errors: invalid_argument.
[[nodiscard]] Result<> check_secret(const Provider& provider, std::string_view secret);

// Samtale's own JSON, as POST /v1/conversations takes it. A document with "turns" is the whole
// transcript unless it says "append": true. "company_id" is left to stated_company.
// Errors: invalid_argument, naming up to 20 mistakes by JSON pointer, rule and value.
[[nodiscard]] Result<ConversationPatch> parse_native(const json::Value& document,
                                                     WallTime received_at);

// The company a native document says it belongs to, for the caller to compare with the credential.
// Errors: invalid_argument if it is there and no string.
[[nodiscard]] Result<std::optional<std::string>> stated_company(const json::Value& document);

// True for a vCon in any of its forms, so that the caller can tell it from a native document.
[[nodiscard]] bool is_vcon(const json::Value& document);

// An IETF vCon, syntax 0.0.1 to 0.4.0, unsigned.
// Errors: invalid_argument; signed and encrypted forms are refused by name.
[[nodiscard]] Result<ConversationPatch> parse_vcon(const json::Value& document,
                                                   WallTime received_at);

// A conversation as a vCon 0.4.0, which parse_vcon reads back to the same turns.
[[nodiscard]] json::Value to_vcon(const Conversation& conversation, WallTime created_at,
                                  WallTime updated_at);

}  // namespace samtale

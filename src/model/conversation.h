// A conversation, whatever system it came from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

// One utterance. All text is valid UTF-8.
struct Turn {
  std::string id;    // The provider's message id, else one derived from place, role and text.
  std::string role;  // "customer", "agent", "bot", "system", "tool", "participant", or as sent.
  std::string name;  // Who said it, as people know them; may be empty.
  std::string text;  // May be empty.
  std::optional<WallTime> at;
  bool is_private = false;  // An internal note: shown to the company, never to the customer.
  json::Object extra;       // Unknown fields, as sent.

  friend bool operator==(const Turn&, const Turn&) = default;
};

struct Party {
  std::string id;
  std::string name;
  std::string role;
  std::string address;  // E-mail or telephone number.

  friend bool operator==(const Party&, const Party&) = default;
};

struct Conversation {
  ConversationId id;
  std::string source;       // The endpoint or import it came through: "api", "retell", …
  std::string external_id;  // The id in that system; unique within (company, source).
  std::string channel;      // "chat", "voice", "email", "sms", "social", "meeting", or as sent.
  std::string language;     // BCP 47 as sent, or empty.
  std::string title;
  std::string status = "open";  // "open" or "ended".
  std::string end_reason;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  std::vector<Party> parties;
  std::vector<Turn> turns;        // In the order they were said.
  std::vector<std::string> tags;  // Sorted, no doubles.
  json::Object metadata;          // Flat: string, number and boolean values; the filterable part.
  json::Object vendor_analysis;   // What the provider concluded; kept, not indexed.
  json::Object extra;             // Unknown fields, as sent; kept, not indexed.

  friend bool operator==(const Conversation&, const Conversation&) = default;
};

// The one JSON form: members in a fixed order, empty ones left out, times as RFC 3339 in UTC. Equal
// conversations give equal bytes.
[[nodiscard]] json::Value to_json(const Conversation& conversation);
// Reads back what to_json wrote. Errors: corrupt.
[[nodiscard]] Result<Conversation> conversation_from_json(const json::Value& value);

// RFC 3339 in UTC with as many decimals as needed: "2026-11-23T08:00:00Z".
[[nodiscard]] std::string format_time(WallTime time);
// RFC 3339, any offset; "2026-11-23T08:00:00" without one is UTC, and so is a date alone. Years
// 1900 to 2199; leap second 60 is taken as 59; hour 24 is refused.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text);

}  // namespace samtale

// A received event: what the accept log keeps of one delivery, raw.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

struct ReceivedEvent {
  CompanyId company{};
  std::string source;    // What its conversations carry as source.
  std::string provider;  // Which parser reads the body: "native", "vcon", or a webhook preset.
  std::string key;       // Unique within the company: source and event id. See make_event_key.
  WallTime received_at{};
  Duration idle_timeout{};  // The endpoint's own; 0: the provider's.
  std::string body;         // As received.

  friend bool operator==(const ReceivedEvent&, const ReceivedEvent&) = default;
};

// The payload of a log record. docs/formats/received-event-v1.md.
[[nodiscard]] std::string encode(const ReceivedEvent& event);
// Errors: invalid_argument for a version this binary does not know (a newer node wrote it: park
// it), corrupt for anything else.
[[nodiscard]] Result<ReceivedEvent> decode_received_event(std::string_view payload);
// Whose and from when, without reading the rest.
struct EventHead {
  CompanyId company{};
  WallTime received_at{};
};
[[nodiscard]] Result<EventHead> peek_event(std::string_view payload);

// Source and event id, unambiguous.
[[nodiscard]] std::string make_event_key(std::string_view source, std::string_view event_id);
// The id a sender sees: "evt_" and 20 characters made from company and key.
[[nodiscard]] std::string public_event_id(CompanyId company, std::string_view key);

}  // namespace samtale

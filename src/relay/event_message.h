// What a broker keeps of an accepted event: its record, and where that lies.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"

namespace samtale {

struct EventMessage {
  EventPlace place;
  std::string_view payload;  // Of the record: ingest/received_event.h.
};

// docs/formats/broker-v1.md.
[[nodiscard]] std::string encode(const EventMessage& message);
// `bytes` must outlive what is returned. Errors: invalid_argument for a version that this binary
// does not know, corrupt for anything else. The payload is not looked at.
[[nodiscard]] Result<EventMessage> decode_event_message(std::string_view bytes);

}  // namespace samtale

// Gives raw events their effect on conversations: what whoever has their bytes calls.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ingest/received_event.h"
#include "model/ids.h"
#include "providers/provider.h"
#include "store/store.h"

namespace samtale {

// An event that was read, and everything that can be wrong with it found.
struct ReadEvent {
  EventPlace place;
  CompanyId company{};
  ReceivedEvent event;
  ProviderEvent parsed;
  std::vector<ConversationId> conversations;  // Of parsed.patches, in their order.
  std::optional<Error> error;                 // Why it cannot take effect.
};

// `payload`: of a record of the log (received_event.h). Errors: as decode_received_event's corrupt.
[[nodiscard]] Result<ReadEvent> read_event(const EventPlace& place, std::string_view payload);

// All of the writer's partition. However often, and by whom, one is applied, it takes effect once.
// An event that cannot (bad for its parser, an id used again with another body) becomes a dead
// letter with its cause, once. Where the very same event had its effect from another place, the
// bytes at this one are erased. `again`: also those that had their effect. Errors: those of the
// writer.
Result<> apply_events(StoreWriter& writer, std::span<const ReadEvent> events, bool again);

}  // namespace samtale

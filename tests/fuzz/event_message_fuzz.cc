// Rooms: relay ingest
//
// Whatever lies in a queue of the broker: a message says where a record lies and what is in it, or
// it is none, and an event that is read from it is one that a company can have.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "ingest/apply_events.h"
#include "relay/event_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace samtale;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto message = decode_event_message(bytes);
  if (!message) return 0;
  SAMTALE_CHECK(encode(*message) == bytes, "the same message again");
  const auto read = read_event(message->place, message->payload);
  if (!read) return 0;
  SAMTALE_CHECK(read->error || read->conversations.size() == read->parsed.patches.size(),
                "a conversation for each patch");
  return 0;
}

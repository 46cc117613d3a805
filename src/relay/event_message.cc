#include "relay/event_message.h"

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::string_view kMagic = "SEM";
constexpr char kVersion = 1;
constexpr std::size_t kHeadBytes = kMagic.size() + 1 + 8 + 8;

}  // namespace

std::string encode(const EventMessage& message) {
  std::string out;
  out.reserve(kHeadBytes + message.payload.size());
  out.append(kMagic);
  out.push_back(kVersion);
  append_u64(out, static_cast<std::uint64_t>(number(message.place.log)));
  append_u64(out, number(message.place.position));
  out.append(message.payload);
  return out;
}

Result<EventMessage> decode_event_message(std::string_view bytes) {
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMagic)) {
    return fail(ErrorCode::corrupt, "no message about an accepted event");
  }
  if (bytes[kMagic.size()] != kVersion) {
    return fail(ErrorCode::invalid_argument,
                "a message of version " + std::to_string(static_cast<int>(bytes[kMagic.size()])) +
                    "; this binary reads 1: upgrade it");
  }
  bytes.remove_prefix(kMagic.size() + 1);
  const auto log = static_cast<LogId>(read_u64(bytes));
  const auto position = LogPosition{read_u64(bytes.substr(8))};
  return EventMessage{.place = {.log = log, .position = position}, .payload = bytes.substr(16)};
}

}  // namespace samtale

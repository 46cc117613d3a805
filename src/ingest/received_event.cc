#include "ingest/received_event.h"

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::string_view kMagic = "SRE";
constexpr char kVersion = 1;
// Magic and version, company, received_at, idle_timeout.
constexpr std::size_t kFixedBytes = 4 + 8 + 8 + 8;

void put_text(std::string& out, std::string_view text) {
  append_u64(out, text.size());
  out.append(text);
}

// Takes a length and that many bytes off the front; false if they are not all there.
bool take_text(std::string_view& bytes, std::string& text) {
  if (bytes.size() < 8) return false;
  const auto length = read_u64(bytes);
  bytes.remove_prefix(8);
  if (bytes.size() < length) return false;
  text = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return true;
}

Result<> check_head(std::string_view payload) {
  if (payload.size() < kFixedBytes || !payload.starts_with(kMagic)) {
    return fail(ErrorCode::corrupt, "accept log record is no received event");
  }
  if (payload[kMagic.size()] != kVersion) {
    return fail(ErrorCode::invalid_argument,
                "received event of format version " +
                    std::to_string(static_cast<int>(payload[kMagic.size()])) +
                    "; this binary reads version 1: upgrade it");
  }
  return {};
}

}  // namespace

std::string encode(const ReceivedEvent& event) {
  std::string out;
  out.reserve(kFixedBytes + 4 * 8 + event.source.size() + event.provider.size() + event.key.size() +
              event.body.size());
  out.append(kMagic);
  out.push_back(kVersion);
  append_u64(out, static_cast<std::uint64_t>(number(event.company)));
  append_u64(out, static_cast<std::uint64_t>(to_us(event.received_at)));
  append_u64(out, static_cast<std::uint64_t>(event.idle_timeout.count()));
  put_text(out, event.source);
  put_text(out, event.provider);
  put_text(out, event.key);
  put_text(out, event.body);
  return out;
}

Result<ReceivedEvent> decode_received_event(std::string_view payload) {
  ReceivedEvent event;
  SAMTALE_TRY(const auto head, peek_event(payload));
  event.company = head.company;
  event.received_at = head.received_at;
  event.idle_timeout = Duration(static_cast<std::int64_t>(read_u64(payload.substr(20))));
  auto rest = payload.substr(kFixedBytes);
  const bool whole = take_text(rest, event.source) && take_text(rest, event.provider) &&
                     take_text(rest, event.key) && take_text(rest, event.body) && rest.empty();
  if (!whole) return fail(ErrorCode::corrupt, "accept log record is cut short");
  return event;
}

Result<EventHead> peek_event(std::string_view payload) {
  SAMTALE_TRY_VOID(check_head(payload));
  return EventHead{.company = CompanyId{static_cast<std::int64_t>(read_u64(payload.substr(4)))},
                   .received_at = from_us(static_cast<std::int64_t>(read_u64(payload.substr(12))))};
}

std::string make_event_key(std::string_view source, std::string_view event_id) {
  // No source holds a newline (receiver.cc and the endpoint rules see to it).
  return std::string(source) + "\n" + std::string(event_id);
}

std::string public_event_id(CompanyId company, std::string_view key) {
  const auto digest = sha256(std::to_string(number(company)) + "\n" + std::string(key));
  return "evt_" + base32(view(digest).substr(0, 13)).substr(0, 20);
}

}  // namespace samtale

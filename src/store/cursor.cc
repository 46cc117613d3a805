#include "store/cursor.h"

#include <cstring>

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::size_t kPlaceBytes = 8 + 16;
constexpr std::size_t kSignatureBytes = 16;

std::string sign(std::string_view key, CompanyId company, std::string_view place) {
  return hmac_sha256(key, "list-v1 " + std::to_string(number(company)) + " " + std::string(place))
      .substr(0, kSignatureBytes);
}

}  // namespace

std::string write_cursor(std::string_view key, CompanyId company, const ListPlace& place) {
  std::string bytes(reinterpret_cast<const char*>(&place.sort_us), sizeof place.sort_us);
  bytes += place.id.view();
  return base32(bytes + sign(key, company, bytes));
}

Result<ListPlace> read_cursor(std::string_view key, CompanyId company, std::string_view cursor) {
  const auto bytes = unbase32(cursor);
  if (bytes && bytes->size() == kPlaceBytes + kSignatureBytes) {
    const auto place = std::string_view(*bytes).substr(0, kPlaceBytes);
    const auto signature = std::string_view(*bytes).substr(kPlaceBytes);
    if (equal_in_constant_time(signature, sign(key, company, place))) {
      ListPlace read;
      std::memcpy(&read.sort_us, place.data(), sizeof read.sort_us);
      read.id = *conversation_id_from_bytes(place.substr(sizeof read.sort_us));
      return read;
    }
  }
  return fail(ErrorCode::invalid_argument,
              "the cursor is not one that this list gave out; start again without it");
}

Result<PageStart> page_start(std::string_view key, CompanyId company, std::string_view cursor,
                             std::optional<WallTime> to) {
  PageStart start{.before_us = to ? to_us(*to) : INT64_MAX, .before_id = {}};
  if (cursor.empty()) return start;
  SAMTALE_TRY(const auto place, read_cursor(key, company, cursor));
  if (place.sort_us >= start.before_us) return start;
  return PageStart{.before_us = place.sort_us, .before_id = std::string(place.id.view())};
}

}  // namespace samtale

#include "cache/sealed_value.h"

#include <cstdint>

#include "base/bytes.h"

namespace samtale {
namespace {

// The version is part of the mark: another form has another mark, and is not taken for this one.
constexpr std::string_view kMark = "SCV1";
constexpr std::size_t kChecksumBytes = sizeof(std::uint32_t);

template <class Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    bytes += static_cast<char>(number >> (8 * i) & 0xFF);
  }
  return bytes;
}

std::string head_of(const CacheKey& key) {
  auto head = std::string(kMark);
  head += little_endian(static_cast<std::uint64_t>(number(key.company())));
  head += view(key.digest());
  return head;
}

}  // namespace

std::string seal(const CacheKey& key, std::string_view value) {
  auto bytes = head_of(key);
  bytes += little_endian(crc32c(value, crc32c(bytes)));
  return bytes.append(value);
}

std::optional<std::string_view> unseal(const CacheKey& key, std::string_view bytes) {
  const auto head = head_of(key);
  if (!bytes.starts_with(head) || bytes.size() < head.size() + kChecksumBytes) return std::nullopt;
  const auto checksum = bytes.substr(head.size(), kChecksumBytes);
  const auto value = bytes.substr(head.size() + kChecksumBytes);
  if (checksum != little_endian(crc32c(value, crc32c(head)))) return std::nullopt;
  return value;
}

}  // namespace samtale

// Byte strings in their printable forms, and digests of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace samtale {

// Lower-case hexadecimal.
[[nodiscard]] std::string hex(std::string_view bytes);
[[nodiscard]] std::optional<std::string> unhex(std::string_view text);  // Either case.

// RFC 4648 section 4, with padding. Decoding takes the padded and unpadded form and nothing else:
// no white space, no other alphabet, no non-zero trailing bits.
[[nodiscard]] std::string base64(std::string_view bytes);
[[nodiscard]] std::optional<std::string> unbase64(std::string_view text);

// RFC 4648 section 6 alphabet in lower case, without padding: names that survive every file system,
// URL and double click.
[[nodiscard]] std::string base32(std::string_view bytes);
[[nodiscard]] std::optional<std::string> unbase32(std::string_view text);

// FIPS 180-4.
using Sha256 = std::array<char, 32>;
[[nodiscard]] Sha256 sha256(std::string_view bytes);
[[nodiscard]] inline std::string_view view(const Sha256& digest) {
  return {digest.data(), digest.size()};
}

// RFC 2104 with SHA-256 or SHA-1 (the latter only because Intercom and Twilio sign with it).
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view message);
[[nodiscard]] std::string hmac_sha1(std::string_view key, std::string_view message);

// Equal, in a time that depends only on the lengths.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

// Eight bytes, the least significant first.
void append_u64(std::string& out, std::uint64_t value);
// Of at least eight bytes.
[[nodiscard]] std::uint64_t read_u64(std::string_view bytes);

// CRC-32C (Castagnoli, RFC 3720 appendix B.4), continued from `crc`.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

// True for well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates.
[[nodiscard]] bool is_utf8(std::string_view bytes);

}  // namespace samtale

#include "base/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstring>
#include <memory>

#include "base/check.h"

namespace samtale {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kBase32[] = "abcdefghijklmnopqrstuvwxyz234567";

constexpr std::int8_t kNoDigit = -1;
using DigitValues = std::array<std::int8_t, 256>;

constexpr DigitValues values_of(std::string_view alphabet) {
  DigitValues values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}

// Turns `width`-bit digits back into bytes; refuses a digit outside the alphabet, a length no
// encoder writes, and trailing bits that are not zero.
std::optional<std::string> undigit(std::string_view text, const DigitValues& values, int width) {
  std::string bytes;
  bytes.reserve(text.size() * static_cast<std::size_t>(width) / 8);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const auto digit = values[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return std::nullopt;
    buffer = (buffer << width) | static_cast<std::uint32_t>(digit);
    bits += width;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<char>((buffer >> bits) & 0xFFU));
    }
  }
  if (bits >= width || (buffer & ((1U << bits) - 1U)) != 0) return std::nullopt;
  return bytes;
}

std::string digits(std::string_view bytes, const char* alphabet, int width) {
  std::string text;
  std::uint32_t buffer = 0;
  int bits = 0;
  const std::uint32_t mask = (1U << width) - 1U;
  for (const char byte : bytes) {
    buffer = (buffer << 8) | static_cast<unsigned char>(byte);
    bits += 8;
    while (bits >= width) {
      bits -= width;
      text.push_back(alphabet[(buffer >> bits) & mask]);
    }
  }
  if (bits > 0) text.push_back(alphabet[(buffer << (width - bits)) & mask]);
  return text;
}

// OpenSSL looks an algorithm up by name, under locks, each time one is not handed in ready; for a
// webhook of 2 KB that takes twice as long as the hashing. So each thread keeps its own ready.
struct Free {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, Free>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free>;

MacContext make_hmac(std::string digest) {
  EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  MacContext context(EVP_MAC_CTX_new(algorithm));
  EVP_MAC_free(algorithm);
  const std::array<OSSL_PARAM, 2> parameters{
      OSSL_PARAM_construct_utf8_string("digest", digest.data(), digest.size()),
      OSSL_PARAM_construct_end()};
  SAMTALE_CHECK(context && EVP_MAC_CTX_set_params(context.get(), parameters.data()) == 1,
                "OpenSSL has HMAC");
  return context;
}

const unsigned char* start_of(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string hmac(EVP_MAC_CTX* context, std::string_view key, std::string_view message) {
  // Without a place for it OpenSSL takes the key for none given, also if it is empty.
  const auto* const key_start = key.empty() ? start_of("") : start_of(key);
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  std::size_t size = 0;
  const bool made = EVP_MAC_init(context, key_start, key.size(), nullptr) == 1 &&
                    EVP_MAC_update(context, start_of(message), message.size()) == 1 &&
                    EVP_MAC_final(context, out.data(), &size, out.size()) == 1;
  SAMTALE_CHECK(made, "HMAC of bytes in memory cannot fail");
  return {reinterpret_cast<const char*>(out.data()), size};
}

}  // namespace

std::string hex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    text.push_back(kHex[static_cast<unsigned char>(byte) >> 4]);
    text.push_back(kHex[static_cast<unsigned char>(byte) & 15]);
  }
  return text;
}

std::optional<std::string> unhex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  int high = -1;
  for (const char c : text) {
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = c - 'A' + 10;
    } else {
      return std::nullopt;
    }
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high * 16 + digit));
      high = -1;
    }
  }
  return bytes;
}

std::string base64(std::string_view bytes) {
  auto text = digits(bytes, kBase64, 6);
  while (text.size() % 4 != 0) text.push_back('=');
  return text;
}

std::optional<std::string> unbase64(std::string_view text) {
  static constexpr auto kValues = values_of({kBase64, 64});
  if (text.ends_with('=')) {
    if (text.size() % 4 != 0) return std::nullopt;
    text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  return undigit(text, kValues, 6);
}

std::string base32(std::string_view bytes) { return digits(bytes, kBase32, 5); }

std::optional<std::string> unbase32(std::string_view text) {
  static constexpr auto kValues = values_of({kBase32, 32});
  return undigit(text, kValues, 5);
}

Sha256 sha256(std::string_view bytes) {
  static EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const DigestContext context(EVP_MD_CTX_new());
  Sha256 digest;
  unsigned int size = 0;
  const bool made = EVP_DigestInit_ex2(context.get(), kAlgorithm, nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(),
                                       reinterpret_cast<unsigned char*>(digest.data()), &size) == 1;
  SAMTALE_CHECK(made && size == digest.size(), "SHA-256 of bytes in memory cannot fail");
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  thread_local const MacContext context = make_hmac("SHA256");
  return hmac(context.get(), key, message);
}

std::string hmac_sha1(std::string_view key, std::string_view message) {
  thread_local const MacContext context = make_hmac("SHA1");
  return hmac(context.get(), key, message);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

namespace {

std::uint32_t crc32c_table(std::string_view bytes, std::uint32_t crc) {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      auto value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
      }
      table[i] = value;
    }
    return table;
  }();
  for (const char byte : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFFU] ^ (crc >> 8);
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::string_view bytes,
                                                             std::uint32_t crc) {
  std::uint64_t wide = crc;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (; left > 0; --left, ++at) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*at));
  }
  return narrow;
}
#endif

}  // namespace

void append_u64(std::string& out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint64_t read_u64(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~crc32c_sse42(bytes, ~crc);
#endif
  return ~crc32c_table(bytes, ~crc);
}

bool is_utf8(std::string_view bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto* const end = at + bytes.size();
  while (at < end) {
    const unsigned char lead = *at;
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const int more = lead >= 0xC2 && lead <= 0xDF ? 1 : (lead & 0xF0U) == 0xE0 ? 2 : 3;
    if (lead < 0xC2 || lead > 0xF4 || end - at <= more) return false;
    const unsigned char second = at[1];
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) return false;
    for (int i = 2; i <= more; ++i) {
      if ((at[i] & 0xC0U) != 0x80) return false;
    }
    at += more + 1;
  }
  return true;
}

}  // namespace samtale

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"
#include "providers/provider.h"

namespace samtale {
namespace {

// More are never sent in earnest: two secrets in rotation, each in both algorithms, make four.
constexpr std::size_t kSignaturesMax = 5;
constexpr std::size_t kHeaderBytesMax = 8192;
constexpr std::size_t kIdBytesMax = 256;
// Standard Webhooks, "Signature scheme": 24 to 64 bytes. Shorter ones are in use and still secret.
constexpr std::size_t kStandardSecretBytesMin = 16;
constexpr std::size_t kEd25519KeyBytes = 32;
constexpr std::string_view kHmacPrefix = "whsec_";
constexpr std::string_view kPublicKeyPrefix = "whpk_";

// The one refusal: it must not tell an attacker which part was wrong.
std::unexpected<Error> refused() {
  return fail(ErrorCode::unauthenticated,
              "the delivery is not signed as this endpoint expects; check the endpoint's secret, "
              "the signature headers and the sender's clock");
}

// What a delivery says about its signature. Views of its headers.
struct Claim {
  std::string_view id;
  std::string_view timestamp;
  std::vector<std::string_view> hmacs;  // Still encoded.
  std::vector<std::string_view> ed25519;
};

// The header, or nothing if it is absent, sent twice or too long to be meant.
std::optional<std::string_view> header(const Delivery& delivery, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& [key, value] : delivery.headers) {
    if (key != name) continue;
    if (found || value.size() > kHeaderBytesMax) return std::nullopt;
    found = value;
  }
  return found;
}

// "." would move the borders of "{id}.{ts}.{body}" (Standard Webhooks, "Signature scheme").
bool is_safe_id(std::string_view id) {
  return !id.empty() && id.size() <= kIdBytesMax && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
  });
}

void read_items(const SignatureScheme& scheme, std::string_view list, Claim& claim) {
  std::size_t signatures = 0;
  while (!list.empty() && signatures < kSignaturesMax) {
    const auto end = std::min(list.find(scheme.item_separator), list.size());
    auto item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    const auto split = item.find(scheme.key_separator);
    if (split == std::string_view::npos) continue;
    const auto key = item.substr(0, split);
    const auto value = item.substr(split + 1);
    if (key == scheme.signature_key) {
      claim.hmacs.push_back(value);
      ++signatures;
    } else if (!scheme.ed25519_key.empty() && key == scheme.ed25519_key) {
      claim.ed25519.push_back(value);
      ++signatures;
    } else if (!scheme.timestamp_key.empty() && key == scheme.timestamp_key) {
      claim.timestamp = value;
    }
  }
}

std::optional<Claim> read_claim(const SignatureScheme& scheme, const Delivery& delivery) {
  const bool is_other = !header(delivery, scheme.headers.signature).has_value() &&
                        !scheme.other_headers.signature.empty();
  const auto& names = is_other ? scheme.other_headers : scheme.headers;
  const auto list = header(delivery, names.signature);
  if (!list) return std::nullopt;
  Claim claim;
  read_items(scheme, *list, claim);
  if (!names.timestamp.empty()) {
    const auto timestamp = header(delivery, names.timestamp);
    if (!timestamp) return std::nullopt;
    claim.timestamp = *timestamp;
  }
  if (!names.id.empty()) {
    const auto id = header(delivery, names.id);
    if (!id || !is_safe_id(*id)) return std::nullopt;
    claim.id = *id;
  }
  return claim;
}

bool is_recent(const SignatureScheme& scheme, std::string_view timestamp, WallTime now) {
  if (scheme.tolerance == Duration{}) return true;
  // 13 digits of milliseconds, or 11 of seconds, reach past the year 2286 and within 64 bits of us.
  const bool is_seconds = scheme.timestamp_unit == TimestampUnit::seconds;
  if (timestamp.empty() || timestamp.size() > (is_seconds ? 11U : 13U)) return false;
  std::int64_t value = 0;
  const auto* const end = timestamp.data() + timestamp.size();
  const auto [stop, error] = std::from_chars(timestamp.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) return false;
  const auto age_us = to_us(now) - value * (is_seconds ? 1'000'000 : 1'000);
  // Not the other way: a far age does not fit Duration's nanoseconds.
  const auto tolerance_us =
      std::chrono::duration_cast<std::chrono::microseconds>(scheme.tolerance).count();
  return age_us <= tolerance_us && -age_us <= tolerance_us;
}

std::string signed_bytes(const SignatureScheme& scheme, const Claim& claim, std::string_view body) {
  std::string bytes;
  bytes.reserve(body.size() + claim.id.size() + claim.timestamp.size() + 8);
  for (auto rest = scheme.signed_text; !rest.empty();) {
    if (rest.starts_with("{id}")) {
      bytes.append(claim.id);
      rest.remove_prefix(4);
    } else if (rest.starts_with("{ts}")) {
      bytes.append(claim.timestamp);
      rest.remove_prefix(4);
    } else if (rest.starts_with("{body}")) {
      bytes.append(body);
      rest.remove_prefix(6);
    } else {
      bytes.push_back(rest.front());
      rest.remove_prefix(1);
    }
  }
  return bytes;
}

std::optional<std::string> hmac_key(const SignatureScheme& scheme, std::string_view secret) {
  if (scheme.secret_form == SecretForm::as_is) return std::string(secret);
  if (secret.starts_with(kPublicKeyPrefix)) return std::nullopt;
  if (secret.starts_with(kHmacPrefix)) secret.remove_prefix(kHmacPrefix.size());
  return unbase64(secret);
}

std::optional<std::string> ed25519_key(std::string_view secret) {
  if (!secret.starts_with(kPublicKeyPrefix)) return std::nullopt;
  auto key = unbase64(secret.substr(kPublicKeyPrefix.size()));
  if (!key || key->size() != kEd25519KeyBytes) return std::nullopt;
  return key;
}

bool ed25519_matches(std::string_view key, std::string_view message, std::string_view signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> handle(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                  reinterpret_cast<const unsigned char*>(key.data()), key.size()),
      &EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  if (!handle || !context) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) != 1) {
    return false;
  }
  return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                          message.size()) == 1;
}

std::optional<std::string> decoded(const SignatureScheme& scheme, std::string_view signature) {
  return scheme.encoding == SignatureEncoding::hex ? unhex(signature) : unbase64(signature);
}

std::string mac(const SignatureScheme& scheme, std::string_view key, std::string_view message) {
  return scheme.algorithm == SignatureAlgorithm::hmac_sha256 ? hmac_sha256(key, message)
                                                             : hmac_sha1(key, message);
}

bool any_matches(const SignatureScheme& scheme, std::string_view secret, const Claim& claim,
                 std::string_view message) {
  bool matched = false;
  if (const auto key = hmac_key(scheme, secret); key && !key->empty()) {
    const auto expected = mac(scheme, *key, message);
    for (const auto signature : claim.hmacs) {
      const auto bytes = decoded(scheme, signature);
      matched |= bytes && equal_in_constant_time(*bytes, expected);
    }
  }
  if (const auto key = ed25519_key(secret); key && !scheme.ed25519_key.empty()) {
    for (const auto signature : claim.ed25519) {
      const auto bytes = decoded(scheme, signature);
      matched |= bytes && ed25519_matches(*key, message, *bytes);
    }
  }
  return matched;
}

}  // namespace

Result<> verify(const Provider& provider, std::span<const SigningSecret> secrets,
                const Delivery& delivery, WallTime now) {
  const auto& scheme = provider.signature;
  const auto claim = read_claim(scheme, delivery);
  if (!claim || !is_recent(scheme, claim->timestamp, now)) return refused();
  const auto message = signed_bytes(scheme, *claim, delivery.body);
  bool matched = false;
  for (const auto& secret : secrets) {
    if (secret.expires_at && *secret.expires_at <= now) continue;
    // Not "||": every secret costs the same whether or not an earlier one matched.
    matched |= any_matches(scheme, secret.secret, *claim, message);
  }
  if (!matched) return refused();
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> sign(
    const Provider& provider, std::span<const SigningSecret> secrets, std::string_view id,
    std::string_view body, WallTime now) {
  const auto& scheme = provider.signature;
  SAMTALE_CHECK(scheme.headers.id.empty() || is_safe_id(id), "ids are made by us");
  const std::int64_t unit_us = scheme.timestamp_unit == TimestampUnit::seconds ? 1'000'000 : 1'000;
  const auto timestamp = std::to_string(to_us(now) / unit_us);
  const auto message = signed_bytes(scheme, {.id = id, .timestamp = timestamp}, body);
  std::string list;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!list.empty()) list += scheme.item_separator;
    list.append(key).append(1, scheme.key_separator).append(value);
  };
  if (!scheme.timestamp_key.empty()) add(scheme.timestamp_key, timestamp);
  bool is_signed = false;
  for (const auto& secret : secrets) {
    if (secret.expires_at && *secret.expires_at <= now) continue;
    const auto key = hmac_key(scheme, secret.secret);
    if (!key || key->empty()) continue;
    const auto code = mac(scheme, *key, message);
    add(scheme.signature_key, scheme.encoding == SignatureEncoding::hex ? hex(code) : base64(code));
    is_signed = true;
  }
  if (!is_signed) {
    return fail(ErrorCode::invalid_argument, "there is no secret to sign with; rotate it");
  }
  std::vector<std::pair<std::string, std::string>> headers;
  const auto& names = scheme.headers;
  if (!names.id.empty()) headers.emplace_back(names.id, id);
  if (!names.timestamp.empty()) headers.emplace_back(names.timestamp, timestamp);
  headers.emplace_back(names.signature, list);
  return headers;
}

Result<> check_secret(const Provider& provider, std::string_view secret) {
  if (secret.empty() || secret.size() > kHeaderBytesMax) {
    return fail(ErrorCode::invalid_argument,
                "a signing secret must have 1 to " + std::to_string(kHeaderBytesMax) + " bytes");
  }
  const auto& scheme = provider.signature;
  if (scheme.secret_form == SecretForm::as_is || ed25519_key(secret)) return {};
  const auto key = hmac_key(scheme, secret);
  if (key && key->size() >= kStandardSecretBytesMin) return {};
  return fail(ErrorCode::invalid_argument,
              "a signing secret of " + std::string(provider.name) +
                  " must be \"whsec_\" and the base64 of at least " +
                  std::to_string(kStandardSecretBytesMin) +
                  " bytes, or \"whpk_\" and the base64 of a 32-byte ed25519 public key");
}

}  // namespace samtale

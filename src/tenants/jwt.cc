#include "tenants/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "json/json.h"

namespace samtale {
namespace {

constexpr std::size_t kTokenMax = 16 << 10;
constexpr std::size_t kSecretMin = 32;
constexpr int kRsaBitsMin = 2048;
constexpr std::size_t kCoordinate = 32;  // Of P-256.

using PublicKey = std::shared_ptr<EVP_PKEY>;

std::unexpected<Error> refused(std::string why) {
  return fail(ErrorCode::unauthenticated, "JWT: " + std::move(why));
}

// RFC 4648, section 5, without padding.
std::optional<std::string> unbase64url(std::string_view text) {
  std::string plain(text);
  for (auto& c : plain) {
    if (c == '+' || c == '/' || c == '=') return std::nullopt;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  return unbase64(plain);
}

std::string text_of(const json::Value& object, std::string_view name) {
  const auto* value = object.find(name);
  const auto* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? std::string() : *text;
}

std::optional<std::string> bytes_of(const json::Value& object, std::string_view name) {
  const auto text = text_of(object, name);
  return text.empty() ? std::nullopt : unbase64url(text);
}

PublicKey from_parameters(const char* kind, OSSL_PARAM_BLD* builder) {
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(
      OSSL_PARAM_BLD_to_param(builder), OSSL_PARAM_free);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* made = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  PublicKey key(made, EVP_PKEY_free);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> check(
      EVP_PKEY_CTX_new_from_pkey(nullptr, made, nullptr), EVP_PKEY_CTX_free);
  return check && EVP_PKEY_public_check(check.get()) == 1 ? key : nullptr;
}

using Builder = std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)>;
using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

Number number_of(const std::string& bytes) {
  return {BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                    static_cast<int>(bytes.size()), nullptr),
          BN_free};
}

PublicKey rsa_key(const json::Value& jwk) {
  const auto modulus = bytes_of(jwk, "n");
  const auto exponent = bytes_of(jwk, "e");
  if (!modulus || !exponent) return nullptr;
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  const auto n = number_of(*modulus);
  const auto e = number_of(*exponent);
  if (!builder || !n || !e ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  auto key = from_parameters("RSA", builder.get());
  return key && EVP_PKEY_get_bits(key.get()) >= kRsaBitsMin ? key : nullptr;
}

PublicKey p256_key(const json::Value& jwk) {
  const auto x = bytes_of(jwk, "x");
  const auto y = bytes_of(jwk, "y");
  if (!x || !y || x->size() != kCoordinate || y->size() != kCoordinate) return nullptr;
  const auto point = "\x04" + *x + *y;  // Uncompressed: SEC 1, section 2.3.3.
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return from_parameters("EC", builder.get());
}

PublicKey ed25519_key(const json::Value& jwk) {
  const auto x = bytes_of(jwk, "x");
  if (!x) return nullptr;
  return {EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                      reinterpret_cast<const unsigned char*>(x->data()), x->size()),
          EVP_PKEY_free};
}

// JWS has the two numbers side by side (RFC 7518, section 3.4), OpenSSL wants them in DER.
std::optional<std::string> der_of(std::string_view signature) {
  if (signature.size() != 2 * kCoordinate) return std::nullopt;
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), ECDSA_SIG_free);
  auto r = number_of(std::string(signature.substr(0, kCoordinate)));
  auto s = number_of(std::string(signature.substr(kCoordinate)));
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return std::nullopt;
  static_cast<void>(r.release());  // The pair's now.
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return std::nullopt;
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

bool is_signed_by(EVP_PKEY* key, const EVP_MD* digest, std::string_view signed_text,
                  std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(),
                          reinterpret_cast<const unsigned char*>(signed_text.data()),
                          signed_text.size()) == 1;
}

std::optional<double> seconds_of(const json::Value& claims, std::string_view name) {
  const auto* value = claims.find(name);
  if (value == nullptr) return std::nullopt;
  const auto number = value->as_number();
  return number && std::isfinite(*number) ? number : std::optional<double>();
}

bool has_audience(const json::Value& claims, const std::string& wanted) {
  const auto* audience = claims.find("aud");
  if (audience == nullptr) return false;
  if (const auto* one = audience->as_string()) return *one == wanted;
  const auto* some = audience->as_array();
  return some != nullptr && std::ranges::any_of(*some, [&](const json::Value& one) {
           const auto* text = one.as_string();
           return text != nullptr && *text == wanted;
         });
}

// "app_metadata.company": a member of a member.
std::string text_at(const json::Value& claims, std::string_view path) {
  const auto* at = &claims;
  while (true) {
    const auto dot = path.find('.');
    if (dot == std::string_view::npos) return text_of(*at, path);
    at = at->find(path.substr(0, dot));
    if (at == nullptr) return {};
    path.remove_prefix(dot + 1);
  }
}

}  // namespace

// Reads one token against the keys.
class JwtReader {
 public:
  JwtReader(const JwtKeys& keys, const JwtRules& rules, WallTime now)
      : keys_(keys), rules_(rules), now_(now) {}

  [[nodiscard]] Result<JwtClaims> read(std::string_view token) const {
    if (token.size() > kTokenMax) return refused("longer than 16 KiB");
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
      return refused("not three parts");
    }
    SAMTALE_TRY(const auto header, part(token.substr(0, first)));
    // Extensions that must be understood: there are none that we do (RFC 7515, section 4.1.11).
    if (header.find("crit") != nullptr) return refused("\"crit\" names what is not known here");
    const auto signature = unbase64url(token.substr(second + 1));
    if (!signature) return refused("a signature that is no base64url");
    SAMTALE_TRY_VOID(check_signature(header, token.substr(0, second), *signature));
    SAMTALE_TRY(const auto claims, part(token.substr(first + 1, second - first - 1)));
    return check_claims(claims);
  }

 private:
  static Result<json::Value> part(std::string_view encoded) {
    const auto text = unbase64url(encoded);
    if (!text) return refused("a part that is no base64url");
    auto value = json::parse(*text);
    if (!value || value->as_object() == nullptr) return refused("a part that is no JSON object");
    return *std::move(value);
  }

  [[nodiscard]] Result<> check_signature(const json::Value& header, std::string_view signed_text,
                                         std::string_view signature) const {
    const auto id = text_of(header, "kid");
    const auto algorithm = text_of(header, "alg");
    bool is_known = id.empty();
    for (const auto& key : keys_.keys_) {
      if (!id.empty() && !key.id.empty() && key.id != id) continue;
      is_known = true;
      if (key.algorithm == algorithm && fits(key, signed_text, signature)) return {};
    }
    if (!is_known) return fail(ErrorCode::not_found, "JWT: no key has the id that it names");
    return refused("no key has signed it");
  }

  static bool fits(const JwtKeys::Key& key, std::string_view signed_text,
                   std::string_view signature) {
    if (key.algorithm == "HS256") {
      return equal_in_constant_time(hmac_sha256(key.secret, signed_text), signature);
    }
    if (key.algorithm == "EdDSA") {
      return is_signed_by(key.public_.get(), nullptr, signed_text, signature);
    }
    if (key.algorithm == "RS256") {
      return is_signed_by(key.public_.get(), EVP_sha256(), signed_text, signature);
    }
    const auto der = der_of(signature);
    return der && is_signed_by(key.public_.get(), EVP_sha256(), signed_text, *der);
  }

  [[nodiscard]] Result<JwtClaims> check_claims(const json::Value& claims) const {
    const auto now = std::chrono::duration<double>(now_.time_since_epoch()).count();
    const auto leeway = std::chrono::duration<double>(rules_.leeway).count();
    const auto ends = seconds_of(claims, "exp");
    if (!ends) return refused("no \"exp\": it would never end");
    if (*ends + leeway <= now) return refused("it has ended");
    const auto begins = seconds_of(claims, "nbf");
    if (claims.find("nbf") != nullptr && (!begins || *begins - leeway > now)) {
      return refused("it has not begun");
    }
    if (!rules_.issuer.empty() && text_of(claims, "iss") != rules_.issuer) {
      return refused("of another issuer");
    }
    if (!rules_.audience.empty() && !has_audience(claims, rules_.audience)) {
      return refused("for another audience");
    }
    JwtClaims read{.company = text_at(claims, rules_.company_claim),
                   .subject = text_of(claims, "sub")};
    if (read.company.empty()) return refused("no \"" + rules_.company_claim + "\"");
    return read;
  }

  const JwtKeys& keys_;
  const JwtRules& rules_;
  const WallTime now_;
};

Result<JwtKeys> JwtKeys::parse(std::string_view set) {
  SAMTALE_TRY(const auto document, json::parse(set));
  const auto* list = document.find("keys");
  if (list == nullptr || list->as_array() == nullptr) {
    return fail(ErrorCode::invalid_argument, "no JWK Set: it has no array \"keys\"");
  }
  JwtKeys keys;
  for (const auto& jwk : *list->as_array()) {
    const auto kind = text_of(jwk, "kty");
    const auto use = text_of(jwk, "use");
    if (!use.empty() && use != "sig") continue;
    Key key{.id = text_of(jwk, "kid"), .algorithm = {}, .secret = {}, .public_ = nullptr};
    if (kind == "RSA") {
      key.algorithm = "RS256";
      key.public_ = rsa_key(jwk);
    } else if (kind == "EC" && text_of(jwk, "crv") == "P-256") {
      key.algorithm = "ES256";
      key.public_ = p256_key(jwk);
    } else if (kind == "OKP" && text_of(jwk, "crv") == "Ed25519") {
      key.algorithm = "EdDSA";
      key.public_ = ed25519_key(jwk);
    } else {
      continue;
    }
    const auto said = text_of(jwk, "alg");
    if (!said.empty() && said != key.algorithm) continue;  // RS512, say: not taken here.
    if (key.public_ == nullptr) {
      return fail(ErrorCode::invalid_argument,
                  "key \"" + key.id + "\" of the JWK Set is broken or too short");
    }
    keys.keys_.push_back(std::move(key));
  }
  if (keys.keys_.empty()) {
    return fail(ErrorCode::invalid_argument,
                "the JWK Set has no key for signatures by RS256, ES256 or EdDSA");
  }
  return keys;
}

Result<JwtKeys> JwtKeys::of_secret(std::string secret) {
  if (secret.size() < kSecretMin) {
    return fail(ErrorCode::invalid_argument, "a secret for JWTs has 32 bytes or more");
  }
  JwtKeys keys;
  keys.keys_.push_back(
      {.id = {}, .algorithm = "HS256", .secret = std::move(secret), .public_ = nullptr});
  return keys;
}

Result<JwtClaims> read_jwt(std::string_view token, const JwtKeys& keys, const JwtRules& rules,
                           WallTime now) {
  return JwtReader(keys, rules, now).read(token);
}

bool is_jwt(std::string_view token) { return token.starts_with("eyJ"); }

}  // namespace samtale

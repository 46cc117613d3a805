// Goal:   only a token that one of the keys has signed, by that key's own algorithm, for now and
// for
//         us, says for which company it is.
// Method: keys are made here and sign by OpenSSL; one signature is RFC 8037's.
#include "tenants/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/bytes.h"

namespace samtale {
namespace {

using ::testing::HasSubstr;

using PrivateKey = std::shared_ptr<EVP_PKEY>;

std::string base64url(std::string_view bytes) {
  auto text = base64(bytes);
  text.erase(text.find_last_not_of('=') + 1);
  for (auto& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

std::string number_of(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &number), 1);
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(number);
  return bytes;
}

std::string padded(std::string bytes) { return std::string(32 - bytes.size(), '\0') + bytes; }

std::string sign(EVP_PKEY* key, const EVP_MD* digest, const std::string& text) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EXPECT_EQ(EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key), 1);
  std::size_t size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  EXPECT_EQ(EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()), 1);
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  EXPECT_EQ(EVP_DigestSign(context.get(), out, &size, bytes, text.size()), 1);
  signature.resize(size);
  return signature;
}

// Of ECDSA, as JWS has it.
std::string side_by_side(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(
      d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size())), ECDSA_SIG_free);
  std::string both(64, '\0');
  auto* out = reinterpret_cast<unsigned char*>(both.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out, 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out + 32, 32);
  return both;
}

class JwtTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    rsa = {EVP_RSA_gen(2048), EVP_PKEY_free};
    ec = {EVP_EC_gen("P-256"), EVP_PKEY_free};
    ed = {EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free};
  }
  static void TearDownTestSuite() { rsa = ec = ed = nullptr; }

  static std::string rsa_jwk(const std::string& id = "r") {
    return R"({"kty":"RSA","use":"sig","alg":"RS256","kid":")" + id + R"(","n":")" +
           base64url(number_of(rsa.get(), OSSL_PKEY_PARAM_RSA_N)) + R"(","e":")" +
           base64url(number_of(rsa.get(), OSSL_PKEY_PARAM_RSA_E)) + R"("})";
  }
  static std::string ec_jwk() {
    return R"({"kty":"EC","crv":"P-256","kid":"e","x":")" +
           base64url(padded(number_of(ec.get(), OSSL_PKEY_PARAM_EC_PUB_X))) + R"(","y":")" +
           base64url(padded(number_of(ec.get(), OSSL_PKEY_PARAM_EC_PUB_Y))) + R"("})";
  }
  static std::string ed_jwk() {
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(ed.get(), reinterpret_cast<unsigned char*>(x.data()), &size);
    return R"({"kty":"OKP","crv":"Ed25519","kid":"d","x":")" + base64url(x) + R"("})";
  }
  static JwtKeys set_of(const std::string& jwks) {
    auto keys = JwtKeys::parse(R"({"keys":[)" + jwks + "]}");
    EXPECT_TRUE(keys) << keys.error().message;
    return keys ? *std::move(keys) : JwtKeys();
  }
  static JwtKeys all() {
    auto keys = set_of(rsa_jwk() + "," + ec_jwk() + "," + ed_jwk());
    keys.add(JwtKeys::of_secret(kSecret).value());
    return keys;
  }

  static std::string token(const std::string& algorithm, const std::string& claims,
                           const std::string& id = {}, const std::string& more = {}) {
    const auto kid = id.empty() ? "" : R"(,"kid":")" + id + '"';
    const auto text =
        base64url(R"({"alg":")" + algorithm + '"' + kid + more + "}") + "." + base64url(claims);
    std::string signature;
    if (algorithm == "RS256") signature = sign(rsa.get(), EVP_sha256(), text);
    if (algorithm == "ES256") signature = side_by_side(sign(ec.get(), EVP_sha256(), text));
    if (algorithm == "EdDSA") signature = sign(ed.get(), nullptr, text);
    if (algorithm == "HS256") signature = hmac_sha256(kSecret, text);
    return text + "." + base64url(signature);
  }
  std::string why(const std::string& claims) {
    const auto read = read_jwt(token("HS256", claims), all(), rules, now);
    return read ? "" : read.error().message;
  }

  static inline const std::string kSecret = "a secret of more than 32 characters";
  static inline const std::string kClaims = R"({"sub":"ann","company_id":"acme","exp":1000})";
  static inline PrivateKey rsa, ec, ed;
  JwtRules rules;
  WallTime now = from_us(900'000'000);
};

TEST_F(JwtTest, reads_what_each_kind_of_key_has_signed) {
  for (const auto& [algorithm, id] :
       {std::pair("RS256", "r"), {"ES256", "e"}, {"EdDSA", "d"}, {"HS256", ""}, {"ES256", ""}}) {
    const auto claims = read_jwt(token(algorithm, kClaims, id), all(), rules, now);
    ASSERT_TRUE(claims) << algorithm << ": " << claims.error().message;
    EXPECT_EQ(claims->company, "acme");
    EXPECT_EQ(claims->subject, "ann");
  }
}

TEST_F(JwtTest, a_changed_character_is_refused) {
  for (const auto* algorithm : {"RS256", "ES256", "EdDSA", "HS256"}) {
    const auto good = token(algorithm, kClaims);
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] = good[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(read_jwt(bad, all(), rules, now)) << algorithm << " " << i;
    }
  }
}

TEST_F(JwtTest, the_token_does_not_choose_the_algorithm) {
  // What is public of a key as if it were a secret; and none at all.
  const auto text = base64url(R"({"alg":"HS256","kid":"r"})") + "." + base64url(kClaims);
  const auto modulus = number_of(rsa.get(), OSSL_PKEY_PARAM_RSA_N);
  EXPECT_FALSE(read_jwt(text + "." + base64url(hmac_sha256(modulus, text)), all(), rules, now));
  for (const auto* algorithm : {"none", "None", "RS512", ""}) {
    const auto unsigned_token = token(algorithm, kClaims);
    EXPECT_FALSE(read_jwt(unsigned_token, all(), rules, now)) << algorithm;
  }
  EXPECT_FALSE(read_jwt(token("HS256", kClaims, "r"), set_of(rsa_jwk()), rules, now));
}

TEST_F(JwtTest, a_key_that_is_not_known_is_told_apart_for_it_may_be_new) {
  EXPECT_EQ(read_jwt(token("RS256", kClaims, "new"), set_of(rsa_jwk()), rules, now).error().code,
            ErrorCode::not_found);
  EXPECT_TRUE(read_jwt(token("RS256", kClaims, "new"), set_of(rsa_jwk("new")), rules, now));
  EXPECT_EQ(read_jwt(token("ES256", kClaims, "r"), set_of(rsa_jwk()), rules, now).error().code,
            ErrorCode::unauthenticated);
}

TEST_F(JwtTest, is_for_now_and_for_us) {
  rules = {.issuer = "https://id.test", .audience = "samtale"};
  const auto with = [](const std::string& more) {
    return R"({"company_id":"acme","iss":"https://id.test","aud":["x","samtale"])" + more + "}";
  };
  EXPECT_EQ(why(with(R"(,"exp":901)")), "");
  EXPECT_EQ(why(with(R"(,"exp":871)")), "") << "within the leeway";
  EXPECT_THAT(why(with(R"(,"exp":869)")), HasSubstr("ended"));
  EXPECT_THAT(why(with("")), HasSubstr("never end"));
  EXPECT_THAT(why(with(R"(,"exp":"soon")")), HasSubstr("never end"));
  EXPECT_THAT(why(with(R"(,"exp":1000,"nbf":931)")), HasSubstr("not begun"));
  EXPECT_EQ(why(with(R"(,"exp":1000,"nbf":929)")), "");
  rules.issuer = "https://other.test";
  EXPECT_THAT(why(with(R"(,"exp":1000)")), HasSubstr("issuer"));
  rules = {.audience = "other"};
  EXPECT_THAT(why(with(R"(,"exp":1000)")), HasSubstr("audience"));
}

TEST_F(JwtTest, says_the_company_where_it_is_told_to_look) {
  rules.company_claim = "app_metadata.company";
  EXPECT_EQ(why(R"({"exp":1000,"app_metadata":{"company":"acme"}})"), "");
  EXPECT_THAT(why(kClaims), HasSubstr("app_metadata.company"));
  EXPECT_THAT(why(R"({"exp":1000,"app_metadata":"company"})"), HasSubstr("app_metadata.company"));
  rules.company_claim = "company_id";
  EXPECT_THAT(why(R"({"exp":1000,"company_id":7})"), HasSubstr("company_id"));
}

TEST_F(JwtTest, refuses_what_it_does_not_understand) {
  EXPECT_FALSE(read_jwt(token("HS256", kClaims, "", R"(,"crit":["b64"])"), all(), rules, now));
  for (const std::string bad : {"", "eyJ", "a.b", "a.b.c.d", "..", "e30.e30."}) {
    EXPECT_FALSE(read_jwt(bad, all(), rules, now)) << bad;
  }
  EXPECT_FALSE(read_jwt(std::string(1 << 20, 'a'), all(), rules, now));
  EXPECT_TRUE(is_jwt(token("HS256", kClaims)));
  EXPECT_FALSE(is_jwt("smt_abc_def"));
}

TEST_F(JwtTest, verifies_the_signature_of_rfc_8037) {
  const auto keys =
      set_of(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
  const std::string signed_text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  const std::string signature =
      ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

  // Its payload is no JSON, which is looked at only once the signature is right.
  EXPECT_THAT(read_jwt(signed_text + signature, keys, rules, now).error().message,
              HasSubstr("no JSON object"));
  EXPECT_THAT(read_jwt(signed_text + "." + base64url(std::string(64, 'x')), keys, rules, now)
                  .error()
                  .message,
              HasSubstr("no key has signed it"));
}

TEST_F(JwtTest, a_set_leaves_out_what_is_for_others_and_refuses_what_is_broken) {
  const std::string others = R"({"kty":"oct","k":"c2VjcmV0"},{"kty":"EC","crv":"P-521"},)"
                             R"({"kty":"RSA","use":"enc"},{"kty":"RSA","alg":"RS512"},7)";
  EXPECT_EQ(set_of(others + "," + ed_jwk()).size(), 1U);
  for (const auto& bad :
       {std::string("no json"), std::string("[]"), R"({"keys":[)" + others + "]}",
        std::string(R"({"keys":[{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}]})"),
        std::string(R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]})"),
        R"({"keys":[{"kty":"EC","crv":"P-256","x":")" + base64url(std::string(32, 'x')) +
            R"(","y":")" + base64url(std::string(32, 'y')) + R"("}]})"}) {
    EXPECT_EQ(JwtKeys::parse(bad).error().code, ErrorCode::invalid_argument) << bad;
  }
  EXPECT_FALSE(JwtKeys::of_secret("too short"));
}

}  // namespace
}  // namespace samtale

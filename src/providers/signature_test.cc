// Goal:   a delivery passes only if its sender holds the secret, recently; nothing else about it
//         can be learned from the answer.
// Method: published vectors where a vendor has them, then every way to spoil one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <memory>

#include "base/bytes.h"
#include "providers/provider.h"

namespace samtale {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Vector {
  std::string_view provider;
  std::string secret;
  Headers headers;
  std::string body;
  std::int64_t signed_at_s;
  std::string_view timestamp_header;
};

std::vector<Vector> vectors() {
  return {
      {"standard-webhooks",
       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
       {{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
        {"webhook-timestamp", "1614265330"},
        {"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}},
       "{\"test\": 2432232314}",
       1614265330,
       "webhook-timestamp"},
      {"retell",
       "test-api-key",
       {{"x-retell-signature",
         "v=1700000000000,d=07024cabe7dd8f6d1c6e4a8324ca92c812e6ad4a7ee506c04f7e462e3321823e"}},
       "{\"event\":\"call_ended\"}",
       1700000000,
       ""},
      {"slack",
       "8f742231b10e8888abcd99yyyzzz85a5",
       {{"x-slack-request-timestamp", "1531420618"},
        {"x-slack-signature",
         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}},
       "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
       "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
       "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"
       "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
       "803a0bc887a14d10d2c447fce8b6703c",
       1531420618,
       "x-slack-request-timestamp"},
      {"elevenlabs",
       "test-secret",
       {{"elevenlabs-signature",
         "t=1700000000,v0=1faca3b925b1dc83b69fa3ce84f5308bca2f54267d7ec8fb30c9547f04cb36a4"}},
       "{\"hello\":\"wørld\"}",
       1700000000,
       ""},
      {"intercom",
       "test-secret",
       {{"x-hub-signature", "sha1=4e0ed766a89256d5d93f88f8cb3725d5f78e8a11"}},
       "{\"hello\":\"wørld\"}",
       1700000000,
       ""},
  };
}

WallTime at(std::int64_t seconds) { return from_us(seconds * 1'000'000); }

Result<> check(const Vector& vector, WallTime now) {
  const std::vector<SigningSecret> secrets{{vector.secret, std::nullopt}};
  return verify(*find_provider(vector.provider), secrets, {vector.headers, vector.body}, now);
}

Result<> check(const Vector& vector) { return check(vector, at(vector.signed_at_s)); }

constexpr std::int64_t kNow = 1'700'000'000;
const std::string kKeyA(32, 'a');
const std::string kKeyB(32, 'b');

std::string whsec(const std::string& key) { return "whsec_" + base64(key); }

// A Standard Webhooks delivery of "{}", signed as said.
Headers standard_headers(const std::string& id, const std::string& timestamp,
                         const std::string& signature) {
  return {{"webhook-id", id}, {"webhook-timestamp", timestamp}, {"webhook-signature", signature}};
}

std::string signed_by(const std::string& key, const std::string& id = "msg_1",
                      const std::string& timestamp = std::to_string(kNow),
                      const std::string& body = "{}") {
  return "v1," + base64(hmac_sha256(key, id + "." + timestamp + "." + body));
}

Result<> check_standard(const Headers& headers, const std::vector<SigningSecret>& secrets,
                        std::string_view body = "{}") {
  return verify(*find_provider("standard-webhooks"), secrets, {headers, body}, at(kNow));
}

TEST(SignatureTest, accepts_the_published_vector_of_each_provider) {
  for (const auto& vector : vectors()) {
    EXPECT_TRUE(check(vector).has_value()) << vector.provider;
  }
}

TEST(SignatureTest, refuses_a_body_that_differs_in_one_byte) {
  for (auto vector : vectors()) {
    vector.body[vector.body.size() / 2] ^= 1;
    EXPECT_FALSE(check(vector).has_value()) << vector.provider;
    vector.body[vector.body.size() / 2] ^= 1;
    vector.body.append(" ");
    EXPECT_FALSE(check(vector).has_value()) << vector.provider;
  }
}

TEST(SignatureTest, refuses_the_secret_of_another) {
  for (auto vector : vectors()) {
    vector.secret = vector.provider == "standard-webhooks" ? whsec(kKeyA) : "other-secret";
    EXPECT_FALSE(check(vector).has_value()) << vector.provider;
  }
}

TEST(SignatureTest, refuses_missing_empty_cut_and_malformed_signatures_with_one_message) {
  for (const auto& vector : vectors()) {
    std::vector<Headers> spoiled(4, vector.headers);
    spoiled[0].pop_back();
    spoiled[1].back().second.clear();
    spoiled[2].back().second.resize(spoiled[2].back().second.size() - 3);
    spoiled[3].back().second.back() = '!';
    for (const auto& headers : spoiled) {
      auto copy = vector;
      copy.headers = headers;

      const auto answer = check(copy);

      ASSERT_FALSE(answer.has_value()) << vector.provider;
      EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated);
      EXPECT_EQ(answer.error().message,
                verify(*find_provider("slack"), {}, {}, at(0)).error().message);
    }
  }
}

TEST(SignatureTest, refuses_a_delivery_older_or_newer_than_the_tolerance) {
  for (const auto& vector : vectors()) {
    const auto tolerance = find_provider(vector.provider)->signature.tolerance;
    if (tolerance == Duration{}) continue;
    const auto window_s = std::chrono::duration_cast<std::chrono::seconds>(tolerance).count();
    EXPECT_TRUE(check(vector, at(vector.signed_at_s + window_s)).has_value()) << vector.provider;
    EXPECT_TRUE(check(vector, at(vector.signed_at_s - window_s)).has_value()) << vector.provider;
    EXPECT_FALSE(check(vector, at(vector.signed_at_s + window_s + 1)).has_value());
    EXPECT_FALSE(check(vector, at(vector.signed_at_s - window_s - 1)).has_value());
  }
}

TEST(SignatureTest, refuses_timestamps_that_are_no_plain_number_even_if_signed) {
  for (const std::string timestamp :
       {"", "-1700000000", "+1700000000", " 1700000000", "1700000000.0", "1e9", "now",
        "1000000000000000000000000000000", "99999999999", "9999999999999", "0x6553f100"}) {
    const auto headers = standard_headers("msg_1", timestamp, signed_by(kKeyA, "msg_1", timestamp));

    EXPECT_FALSE(check_standard(headers, {{whsec(kKeyA), std::nullopt}}).has_value()) << timestamp;
  }
}

TEST(SignatureTest, refuses_ids_that_could_move_the_borders_of_what_is_signed) {
  for (const std::string id : {"", "msg.1", "msg 1", "msg\n1", "msg_ø"}) {
    const auto headers = standard_headers(id, std::to_string(kNow), signed_by(kKeyA, id));

    EXPECT_FALSE(check_standard(headers, {{whsec(kKeyA), std::nullopt}}).has_value()) << id;
  }
}

TEST(SignatureTest, refuses_a_header_sent_twice) {
  auto headers = standard_headers("msg_1", std::to_string(kNow), signed_by(kKeyA));
  headers.emplace_back("webhook-id", "msg_2");

  EXPECT_FALSE(check_standard(headers, {{whsec(kKeyA), std::nullopt}}).has_value());
}

TEST(SignatureTest, accepts_any_secret_in_rotation_until_it_expires) {
  const auto by_old = standard_headers("msg_1", std::to_string(kNow), signed_by(kKeyA));
  const auto by_new = standard_headers("msg_1", std::to_string(kNow), signed_by(kKeyB));
  const auto by_both =
      standard_headers("msg_1", std::to_string(kNow), signed_by(kKeyA) + " " + signed_by(kKeyB));
  const std::vector<SigningSecret> rotating{{whsec(kKeyB), std::nullopt},
                                            {whsec(kKeyA), at(kNow + 1)}};
  const std::vector<SigningSecret> rotated{{whsec(kKeyB), std::nullopt}, {whsec(kKeyA), at(kNow)}};

  EXPECT_TRUE(check_standard(by_old, rotating).has_value());
  EXPECT_TRUE(check_standard(by_new, rotating).has_value());
  EXPECT_TRUE(check_standard(by_both, rotating).has_value());
  EXPECT_FALSE(check_standard(by_old, rotated).has_value());
  EXPECT_TRUE(check_standard(by_both, rotated).has_value());
}

TEST(SignatureTest, tries_five_signatures_and_no_more) {
  const std::vector<SigningSecret> secrets{{whsec(kKeyA), std::nullopt}};
  std::string four;
  for (int i = 0; i < 4; ++i) four += signed_by(kKeyB) + " ";
  std::string thousand;
  for (int i = 0; i < 1000; ++i) thousand += "v1,x ";

  const auto fifth = standard_headers("msg_1", std::to_string(kNow), four + signed_by(kKeyA));
  const auto sixth =
      standard_headers("msg_1", std::to_string(kNow), four + "v1,x " + signed_by(kKeyA));
  const auto last = standard_headers("msg_1", std::to_string(kNow), thousand + signed_by(kKeyA));

  EXPECT_TRUE(check_standard(fifth, secrets).has_value());
  EXPECT_FALSE(check_standard(sixth, secrets).has_value());
  EXPECT_FALSE(check_standard(last, secrets).has_value());
}

TEST(SignatureTest, reads_the_svix_names_of_the_same_headers) {
  const Headers headers{{"svix-id", "msg_1"},
                        {"svix-timestamp", std::to_string(kNow)},
                        {"svix-signature", signed_by(kKeyA)}};

  EXPECT_TRUE(check_standard(headers, {{whsec(kKeyA), std::nullopt}}).has_value());
}

// An ed25519 key pair, as a Standard Webhooks sender has one.
class KeyPair {
 public:
  KeyPair() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), &EVP_PKEY_free) {}

  [[nodiscard]] std::string whpk() const {
    std::string bytes(32, '\0');
    std::size_t size = bytes.size();
    EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(bytes.data()), &size);
    return "whpk_" + base64(bytes);
  }

  [[nodiscard]] std::string sign(const std::string& message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    std::string bytes(64, '\0');
    std::size_t size = bytes.size();
    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get());
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(bytes.data()), &size,
                   reinterpret_cast<const unsigned char*>(message.data()), message.size());
    return base64(bytes);
  }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

TEST(SignatureTest, accepts_ed25519_and_keeps_it_apart_from_hmac) {
  const KeyPair pair;
  const auto timestamp = std::to_string(kNow);
  const auto signature = pair.sign("msg_1." + timestamp + ".{}");
  const std::vector<SigningSecret> public_key{{pair.whpk(), std::nullopt}};
  const auto good = standard_headers("msg_1", timestamp, "v1a," + signature);
  const auto wrong_version = standard_headers("msg_1", timestamp, "v1," + signature);
  const auto unknown_version = standard_headers("msg_1", timestamp, "v2," + signature);
  // The public key is public: whoever knows it must not be able to sign with it.
  const auto forged =
      standard_headers("msg_1", timestamp, signed_by(*unbase64(pair.whpk().substr(5))));

  EXPECT_TRUE(check_standard(good, public_key).has_value());
  EXPECT_FALSE(check_standard(good, public_key, "{ }").has_value());
  EXPECT_FALSE(check_standard(wrong_version, public_key).has_value());
  EXPECT_FALSE(check_standard(unknown_version, public_key).has_value());
  EXPECT_FALSE(check_standard(forged, public_key).has_value());
  EXPECT_FALSE(check_standard(good, {{whsec(kKeyA), std::nullopt}}).has_value());
}

TEST(SignatureTest, says_at_once_when_a_secret_cannot_be_one) {
  const auto& standard = *find_provider("standard-webhooks");

  EXPECT_TRUE(check_secret(standard, whsec(kKeyA)).has_value());
  EXPECT_TRUE(check_secret(standard, KeyPair().whpk()).has_value());
  EXPECT_TRUE(check_secret(*find_provider("slack"), "any text").has_value());
  EXPECT_FALSE(check_secret(standard, "").has_value());
  EXPECT_FALSE(check_secret(standard, "whsec_").has_value());
  EXPECT_FALSE(check_secret(standard, "whsec_not base64!").has_value());
  EXPECT_FALSE(check_secret(standard, "whpk_" + base64("short")).has_value());
}

TEST(SignatureTest, never_passes_without_a_secret) {
  const auto headers = standard_headers("msg_1", std::to_string(kNow), signed_by(""));

  EXPECT_FALSE(check_standard(headers, {}).has_value());
  EXPECT_FALSE(check_standard(headers, {{"whsec_", std::nullopt}}).has_value());
  EXPECT_FALSE(check_standard(headers, {{"", std::nullopt}}).has_value());
}

TEST(SignatureTest, signs_what_published_vectors_hold) {
  for (const auto& vector : vectors()) {
    const std::vector<SigningSecret> secrets{{vector.secret, std::nullopt}};
    const auto& provider = *find_provider(vector.provider);
    const auto id = provider.signature.headers.id.empty() ? "" : vector.headers[0].second;

    const auto headers = sign(provider, secrets, id, vector.body, at(vector.signed_at_s));

    EXPECT_EQ(headers.value(), vector.headers) << vector.provider;
  }
}

TEST(SignatureTest, signs_with_each_secret_that_goes_on) {
  const auto& provider = *find_provider("standard-webhooks");
  const auto now = at(1'700'000'000);
  const SigningSecret fresh{"whsec_" + base64(std::string(24, 'f')), std::nullopt};
  const SigningSecret old{"whsec_" + base64(std::string(24, 'o')), now + std::chrono::seconds(1)};
  const SigningSecret over{"whsec_" + base64(std::string(24, 'x')), now};

  const auto headers = sign(provider, std::vector{over, old, fresh}, "msg_1", "{}", now).value();

  for (const auto& secret : {fresh, old}) {
    EXPECT_TRUE(verify(provider, std::vector{secret}, {headers, "{}"}, now));
  }
  EXPECT_FALSE(verify(provider, std::vector{SigningSecret{over.secret, {}}}, {headers, "{}"}, now));
  EXPECT_FALSE(sign(provider, std::vector{over}, "msg_1", "{}", now));
}

}  // namespace
}  // namespace samtale

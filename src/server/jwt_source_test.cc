// Goal:   an identity provider may change its keys while the server runs: what the new one has
//         signed is taken, and what the old one has, no longer.
// Method: keys are made here; the provider is scripted, its clock ours.
#include "server/jwt_source.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;

std::string base64url(std::string_view bytes) {
  auto text = base64(bytes);
  text.erase(text.find_last_not_of('=') + 1);
  for (auto& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

class SigningKey {
 public:
  explicit SigningKey(std::string id)
      : id_(std::move(id)), key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free) {}

  [[nodiscard]] std::string jwk() const {
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(x.data()), &size);
    return R"({"kty":"OKP","crv":"Ed25519","kid":")" + id_ + R"(","x":")" + base64url(x) + R"("})";
  }
  [[nodiscard]] std::string token_for(const std::string& company, WallTime until) const {
    const auto text = base64url(R"({"alg":"EdDSA","kid":")" + id_ + R"("})") + "." +
                      base64url(R"({"company_id":")" + company + R"(","sub":"ann","exp":)" +
                                std::to_string(to_us(until) / 1'000'000) + "}");
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    std::string signature(64, '\0');
    std::size_t size = signature.size();
    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get());
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                   reinterpret_cast<const unsigned char*>(text.data()), text.size());
    return text + "." + base64url(signature);
  }

 private:
  const std::string id_;
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

class JwtSourceTest : public testing::Test {
 protected:
  JwtSourceTest() {
    std::string folder = testing::TempDir() + "/jwt-source-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    registry_ = *SqliteRegistry::open({.folder = folder_, .vfs = {}});
    EXPECT_TRUE(registry_->add_company({.name = "acme"}));
    tenants_ = std::make_unique<Tenants>(
        *registry_, clock, random_, TenantOptions{.failures_max = 1'000'000, .jwt = JwtRules{}});
    EXPECT_TRUE(tenants_->load());
    config_.jwks_url = "https://login.test/jwks.json";
    source = std::make_unique<JwtSource>(config_, provider, clock, *tenants_);
  }
  ~JwtSourceTest() override { std::filesystem::remove_all(folder_); }

  void answers_with(const std::string& jwks) {
    provider.then_answer(200, R"({"keys":[)" + jwks + "]}");
  }
  bool lets_in(const SigningKey& key) {
    return tenants_->authenticate(key.token_for("acme", clock.wall_now() + 1min), "a").has_value();
  }

  SimClock clock;
  FakeHttpClient provider;
  const SigningKey old_key{"of last year"};
  const SigningKey new_key{"of this year"};
  std::unique_ptr<JwtSource> source;

 private:
  std::string folder_;
  SimRandom random_{1};
  AuthConfig config_;
  std::unique_ptr<SqliteRegistry> registry_;
  std::unique_ptr<Tenants> tenants_;
};

TEST_F(JwtSourceTest, a_key_that_is_new_is_asked_for_and_one_that_is_gone_lets_nobody_in) {
  answers_with(old_key.jwk());
  ASSERT_TRUE(source->step());
  EXPECT_TRUE(lets_in(old_key));

  // Both for a while, as providers do.
  EXPECT_FALSE(lets_in(new_key));
  answers_with(old_key.jwk() + "," + new_key.jwk());
  clock.advance(30s);
  ASSERT_TRUE(source->step());
  EXPECT_TRUE(lets_in(old_key));
  EXPECT_TRUE(lets_in(new_key));

  answers_with(new_key.jwk());
  clock.advance(10min);
  ASSERT_TRUE(source->step());
  EXPECT_FALSE(lets_in(old_key));
  EXPECT_TRUE(lets_in(new_key));
}

TEST_F(JwtSourceTest, unknown_keys_make_it_ask_no_more_than_every_30_seconds) {
  answers_with(old_key.jwk());
  ASSERT_TRUE(source->step());

  for (int i = 0; i < 29; ++i) {
    EXPECT_FALSE(lets_in(new_key));
    ASSERT_TRUE(source->step());
    clock.advance(1s);
  }

  EXPECT_EQ(provider.calls().size(), 1U);
}

TEST_F(JwtSourceTest, what_was_known_stays_while_the_provider_is_away_or_talks_nonsense) {
  answers_with(old_key.jwk());
  ASSERT_TRUE(source->step());

  provider.then_fail(ErrorCode::unavailable, "refused");
  provider.then_answer(500, "");
  provider.then_answer(200, "<html>");
  provider.then_answer(200, R"({"keys":[]})");
  for (int i = 0; i < 4; ++i) {
    clock.advance(10min);
    EXPECT_FALSE(source->step());
    EXPECT_TRUE(lets_in(old_key)) << i;
  }
}

}  // namespace
}  // namespace samtale

#include "tenants/tenants.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/bytes.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;

// Another registry's, but that it can be away.
class AwayRegistry final : public Registry {
 public:
  explicit AwayRegistry(Registry& there) : there_(there) {}

  std::atomic<bool> fails = false;
  mutable std::mutex hangs;  // While it is locked.

  Result<CompanyId> add_company(const CompanyRecord& record) override {
    return there_.add_company(record);
  }
  Result<> update_company(const CompanyRecord& record) override {
    return there_.update_company(record);
  }
  Result<> set_split(CompanyId company, bool is_split) override {
    return there_.set_split(company, is_split);
  }
  Result<std::vector<CompanyRecord>> companies() const override { return there_.companies(); }
  Result<> put_key(const KeyRecord& record) override { return there_.put_key(record); }
  Result<std::vector<KeyRecord>> keys() const override { return there_.keys(); }
  Result<> put_endpoint(const EndpointRecord& record) override {
    return there_.put_endpoint(record);
  }
  Result<std::vector<EndpointRecord>> endpoints() const override { return there_.endpoints(); }
  Result<> put_analyzer(const AnalyzerRecord& record) override {
    return there_.put_analyzer(record);
  }
  Result<std::vector<AnalyzerRecord>> analyzers() const override { return there_.analyzers(); }
  Result<> put_subscription(const SubscriptionRecord& record) override {
    return there_.put_subscription(record);
  }
  Result<std::vector<SubscriptionRecord>> subscriptions() const override {
    return there_.subscriptions();
  }
  Result<> put_lm_settings(const LmSettingsRecord& record) override {
    return there_.put_lm_settings(record);
  }
  Result<std::vector<LmSettingsRecord>> lm_settings() const override {
    return there_.lm_settings();
  }
  Result<std::uint64_t> version(RegistryPart part) const override {
    const std::lock_guard lock(hangs);
    if (fails) return fail(ErrorCode::unavailable, "away");
    return there_.version(part);
  }

 private:
  Registry& there_;
};

class TenantsTest : public testing::Test {
 protected:
  TenantsTest() {
    std::string folder = testing::TempDir() + "/tenants-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    registry = *SqliteRegistry::open({.folder = folder_, .vfs = {}});
    tenants.emplace(
        *registry, clock, random,
        TenantOptions{
            .events_per_second = 10, .burst_seconds = 1, .failures_max = 3, .keys_max = 2});
    acme = tenants->create_company({.name = "acme"})->id;
  }
  ~TenantsTest() override { std::filesystem::remove_all(folder_); }

  std::string make_key(std::vector<Scope> scopes = {Scope::read}) {
    return tenants->create_key(acme, {.label = "test", .scopes = std::move(scopes)})->key;
  }

  SimClock clock;
  SimRandom random{1};
  std::unique_ptr<Registry> registry;
  std::optional<Tenants> tenants;
  CompanyId acme{};

 private:
  std::string folder_;
};

TEST_F(TenantsTest, knows_company_and_scopes_from_a_key) {
  const auto key = make_key({Scope::search, Scope::ingest});

  const auto caller = tenants->authenticate(key, "10.0.0.1");

  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->company(), acme);
  EXPECT_TRUE(caller->allows(Scope::search));
  EXPECT_FALSE(caller->allows(Scope::admin));
}

TEST_F(TenantsTest, says_the_same_of_every_bad_key) {
  const auto key = make_key();
  auto other_secret = key;
  other_secret.back() = other_secret.back() == 'a' ? 'b' : 'a';

  for (const std::string& bad : {std::string(), std::string("smt_"), std::string("nonsense"),
                                 std::string("smt_x_y"), other_secret, key + "a"}) {
    const auto caller = tenants->authenticate(bad, bad);
    ASSERT_FALSE(caller) << bad;
    EXPECT_EQ(caller.error().code, ErrorCode::unauthenticated);
    EXPECT_EQ(caller.error().message, tenants->authenticate("", "x" + bad).error().message);
  }
}

TEST_F(TenantsTest, keeps_no_secret_of_a_key) {
  const auto key = make_key();
  const auto secret = key.substr(key.rfind('_') + 1);

  const auto stored = *registry->keys();

  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored.front().secret_hash.find(secret), std::string::npos);
  EXPECT_EQ(stored.front().id.find(secret), std::string::npos);
}

TEST_F(TenantsTest, refuses_a_revoked_key_at_once) {
  const auto key = make_key();
  ASSERT_TRUE(tenants->revoke_key(acme, tenants->keys(acme).front().id));

  EXPECT_FALSE(tenants->authenticate(key, "10.0.0.1"));
}

TEST_F(TenantsTest, refuses_an_expired_key) {
  const auto created = tenants->create_key(
      acme, {.label = "", .scopes = {Scope::read}, .expires_at = clock.wall_now() + 10s});
  EXPECT_TRUE(tenants->authenticate(created->key, "10.0.0.1"));

  clock.advance(10s);

  EXPECT_FALSE(tenants->authenticate(created->key, "10.0.0.1"));
}

TEST_F(TenantsTest, lets_two_keys_be_active_for_rotation_and_no_third) {
  const auto old_key = make_key();
  const auto new_key = make_key();

  EXPECT_TRUE(tenants->authenticate(old_key, "a"));
  EXPECT_TRUE(tenants->authenticate(new_key, "a"));
  const auto third = tenants->create_key(acme, {.label = "", .scopes = {Scope::read}});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::resource_exhausted);
}

TEST_F(TenantsTest, revokes_only_the_own_companys_keys) {
  const auto globex = tenants->create_company({.name = "globex"})->id;
  const auto key = make_key();

  const auto revoked = tenants->revoke_key(globex, tenants->keys(acme).front().id);

  EXPECT_EQ(revoked.error().code, ErrorCode::not_found);
  EXPECT_TRUE(tenants->authenticate(key, "a"));
}

TEST_F(TenantsTest, throttles_an_address_that_guesses_and_no_other) {
  const auto key = make_key();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(tenants->authenticate("smt_a_b", "10.0.0.1"));

  EXPECT_EQ(tenants->authenticate(key, "10.0.0.1").error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(tenants->authenticate(key, "10.0.0.2"));

  clock.advance(60s);
  EXPECT_TRUE(tenants->authenticate(key, "10.0.0.1"));
}

TEST_F(TenantsTest, holds_a_company_to_its_rate_and_lets_it_go_on_after) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(tenants->admit(acme, 1)) << i;

  EXPECT_EQ(tenants->admit(acme, 1).error().code, ErrorCode::resource_exhausted);
  clock.advance(1s);
  EXPECT_TRUE(tenants->admit(acme, 1));
}

TEST_F(TenantsTest, does_not_let_one_company_use_up_anothers_rate) {
  const auto globex = tenants->create_company({.name = "globex"})->id;
  EXPECT_TRUE(tenants->admit(acme, 1000));

  EXPECT_FALSE(tenants->admit(acme, 1));
  EXPECT_TRUE(tenants->admit(globex, 1));
}

TEST_F(TenantsTest, refuses_company_names_that_could_be_taken_for_another) {
  for (const std::string& name :
       {std::string(), std::string("Acme"), std::string("acme"), std::string("../etc"),
        std::string("ac me"), std::string("\xC3\xA6rlig"), std::string("-a"), std::string("a-"),
        std::string(64, 'a'), std::string(10'000, 'a'), std::string("acme\0x", 6)}) {
    EXPECT_FALSE(tenants->create_company({.name = name})) << name;
  }
}

TEST_F(TenantsTest, goes_on_with_the_old_secret_of_an_endpoint_until_it_ends) {
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "standard-webhooks"});

  const auto rotated = *tenants->rotate_endpoint(acme, endpoint.id, "", 100s);

  ASSERT_EQ(rotated.secrets.size(), 2U);
  EXPECT_EQ(rotated.secrets.front().expires_at, clock.wall_now() + 100s);
  EXPECT_FALSE(rotated.secrets.back().expires_at);
  EXPECT_EQ(tenants->find_endpoint(endpoint.id).value()->secrets.size(), 2U);
}

TEST_F(TenantsTest, does_not_find_a_revoked_endpoint) {
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});

  ASSERT_TRUE(tenants->revoke_endpoint(acme, endpoint.id));

  EXPECT_EQ(tenants->find_endpoint(endpoint.id).value(), nullptr);
}

TEST_F(TenantsTest, knows_everything_again_after_a_restart) {
  const auto key = make_key({Scope::search});
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});

  Tenants again(*registry, clock, random);
  ASSERT_TRUE(again.load());

  EXPECT_EQ(again.authenticate(key, "a")->company_name(), "acme");
  EXPECT_EQ(again.find_endpoint(endpoint.id).value()->preset, "retell");
  EXPECT_FALSE(again.create_company({.name = "acme"}));
}

TEST_F(TenantsTest, sees_what_another_process_has_changed) {
  Tenants other(*registry, clock, random);
  ASSERT_TRUE(other.load());
  ASSERT_FALSE(other.refresh().value());
  const auto key = make_key();
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});
  ASSERT_TRUE(tenants->create_company({.name = "globex"}));

  EXPECT_TRUE(other.refresh().value());

  EXPECT_TRUE(other.authenticate(key, "a"));
  EXPECT_TRUE(other.find_company("globex"));
  ASSERT_TRUE(tenants->revoke_endpoint(acme, endpoint.id));
  EXPECT_NE(other.find_endpoint(endpoint.id).value(), nullptr) << "as of its last refresh";
  EXPECT_TRUE(other.refresh().value());
  EXPECT_EQ(other.find_endpoint(endpoint.id).value(), nullptr);
}

TEST_F(TenantsTest, looks_for_what_is_unknown_where_others_may_have_put_it) {
  Tenants other(*registry, clock, random);
  ASSERT_TRUE(other.load());

  EXPECT_TRUE(other.authenticate(make_key(), "a"));
  EXPECT_TRUE(other.authenticate(make_key(), "a"));
  EXPECT_NE(other.find_endpoint(tenants->create_endpoint(acme, {.preset = "retell"})->id).value(),
            nullptr);
}

TEST_F(TenantsTest, each_of_many_who_ask_at_once_finds_what_was_put_there_before) {
  Tenants other(*registry, clock, random);
  ASSERT_TRUE(other.load());
  for (int round = 0; round < 20; ++round) {
    const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});
    std::atomic<int> found = 0;
    {
      std::vector<std::jthread> askers;
      for (int i = 0; i < 4; ++i) {
        askers.emplace_back(
            [&] { found += other.find_endpoint(endpoint.id).value() != nullptr ? 1 : 0; });
      }
    }
    ASSERT_EQ(found, 4);
  }
}

TEST_F(TenantsTest, does_not_call_unknown_what_the_registry_could_not_be_asked_about) {
  AwayRegistry away(*registry);
  Tenants other(away, clock, random);
  const auto known = make_key();
  ASSERT_TRUE(other.load());
  const auto key = make_key();
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});

  away.fails = true;
  EXPECT_EQ(other.authenticate(key, "a").error().code, ErrorCode::unavailable);
  EXPECT_EQ(other.find_endpoint(endpoint.id).error().code, ErrorCode::unavailable);
  EXPECT_EQ(other.authenticate("", "a").error().code, ErrorCode::unauthenticated);
  EXPECT_TRUE(other.authenticate(known, "a"));

  away.fails = false;
  clock.advance(1s);
  EXPECT_TRUE(other.authenticate(key, "a"));
  EXPECT_NE(other.find_endpoint(endpoint.id).value(), nullptr);
}

TEST_F(TenantsTest, nobody_who_is_unknown_waits_for_a_registry_that_hangs) {
  AwayRegistry hanging(*registry);
  Tenants other(hanging, clock, random);
  ASSERT_TRUE(other.load());
  hanging.hangs.lock();

  EXPECT_EQ(other.find_endpoint("nobody").error().code, ErrorCode::unavailable);
  clock.advance(1s);
  EXPECT_EQ(other.find_endpoint("nobody").error().code, ErrorCode::unavailable) << "at once";

  hanging.hangs.unlock();
}

TEST_F(TenantsTest, changes_what_is_there_and_not_what_it_remembers) {
  Tenants other(*registry, clock, random);
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "retell"});
  ASSERT_TRUE(other.load());
  ASSERT_TRUE(tenants->revoke_endpoint(acme, endpoint.id));

  EXPECT_EQ(other.rotate_endpoint(acme, endpoint.id, "", 1s).error().code, ErrorCode::not_found);
}

TEST_F(TenantsTest, another_node_takes_a_pass_for_the_one_company_and_a_minute) {
  const TenantOptions options{.pass_key = "of all nodes"};
  Tenants one(*registry, clock, random, options);
  Tenants two(*registry, clock, random, options);
  Tenants stranger(*registry, clock, random, {.pass_key = "another"});
  Tenants alone(*registry, clock, random);
  const auto key = make_key({Scope::search, Scope::admin});
  for (auto* node : {&one, &two, &stranger, &alone}) ASSERT_TRUE(node->load());

  const auto pass = one.pass_for(one.authenticate(key, "a").value());

  const auto caller = two.authenticate(pass, "b");
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->company(), acme);
  EXPECT_TRUE(caller->is_sent_on());
  EXPECT_TRUE(caller->allows(Scope::search));
  EXPECT_FALSE(caller->allows(Scope::read) || caller->allows(Scope::admin));
  EXPECT_FALSE(one.authenticate(key, "a")->is_sent_on());
  EXPECT_EQ(stranger.authenticate(pass, "b").error().code, ErrorCode::unavailable)
      << "the customer's key is not what is wrong";
  EXPECT_FALSE(alone.authenticate(pass, "b"));
  clock.advance(61s);
  EXPECT_FALSE(two.authenticate(pass, "b"));
}

TEST_F(TenantsTest, a_pass_with_another_byte_is_none) {
  Tenants node(*registry, clock, random, {.failures_max = 1'000'000, .pass_key = "of all nodes"});
  ASSERT_TRUE(node.load());
  const auto pass = node.pass_for(node.authenticate(make_key(), "a").value());

  for (std::size_t i = 0; i < pass.size(); ++i) {
    for (const char other : {'a', '2', 'b', '_'}) {
      auto changed = pass;
      changed[i] = other;
      if (changed == pass) continue;
      EXPECT_FALSE(node.authenticate(changed, "a")) << changed;
    }
  }
}

TEST_F(TenantsTest, takes_a_token_of_the_identity_provider_to_search_and_read) {
  const std::string secret = "a secret of more than 32 characters";
  Tenants node(*registry, clock, random, {.jwt = JwtRules{}});
  ASSERT_TRUE(node.load());
  const auto token = [&](const std::string& company) {
    const auto encoded = [](std::string_view bytes) {
      auto text = base64(bytes);
      text.erase(text.find_last_not_of('=') + 1);
      for (auto& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
      return text;
    };
    const auto ends = to_us(clock.wall_now()) / 1'000'000 + 60;
    const auto text = encoded(R"({"alg":"HS256"})") + "." +
                      encoded(R"({"company_id":")" + company + R"(","sub":"ann","exp":)" +
                              std::to_string(ends) + "}");
    return text + "." + encoded(hmac_sha256(secret, text));
  };
  EXPECT_FALSE(node.authenticate(token("acme"), "a")) << "there are no keys yet";
  node.set_jwt_keys(JwtKeys::of_secret(secret).value());

  const auto caller = node.authenticate(token("acme"), "a");

  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->company(), acme);
  EXPECT_EQ(caller->label(), "ann");
  EXPECT_TRUE(caller->allows(Scope::search) && caller->allows(Scope::read));
  EXPECT_FALSE(caller->allows(Scope::ingest) || caller->allows(Scope::admin));
  EXPECT_FALSE(node.authenticate(token("nobody"), "a"));
  EXPECT_FALSE(tenants->authenticate(token("acme"), "a")) << "this one takes no tokens";
}

}  // namespace
}  // namespace samtale

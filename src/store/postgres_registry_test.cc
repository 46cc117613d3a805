#include "store/postgres_registry.h"

#include "store/registry_conformance.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

class PostgresRegistryHarness {
 public:
  std::unique_ptr<PostgresRegistry> open() {
    return std::make_unique<PostgresRegistry>(store_.store().database());
  }

 private:
  PostgresHarness<1> store_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(PostgresRegistryTest, RegistryConformance, PostgresRegistryHarness);

TEST(PostgresRegistryTest, shows_what_another_process_has_put_there) {
  const auto schema = postgres::PostgresProcess::shared().fresh_schema();
  PostgresHarness<1> one(postgres_options(schema, 1));
  PostgresHarness<1> other(postgres_options(schema, 1));

  const auto id =
      PostgresRegistry(one.store().database()).add_company({.name = "acme", .weight = 2});

  const auto companies = PostgresRegistry(other.store().database()).companies().value();
  ASSERT_EQ(companies.size(), 1u);
  EXPECT_EQ(companies[0].id, id.value());
  EXPECT_EQ(companies[0].weight, 2);
}

TEST(PostgresRegistryTest, counts_over_all_companies_when_one_is_split_or_joined) {
  PostgresHarness<1> harness;
  PostgresRegistry registry(harness.store().database());
  const auto acme = registry.add_company({.name = "acme"}).value();
  const auto globex = registry.add_company({.name = "globex"}).value();
  const auto version = registry.version(RegistryPart::tenants).value();

  ASSERT_TRUE(registry.set_split(acme, true));
  ASSERT_TRUE(registry.set_split(acme, true)) << "it is already";
  ASSERT_TRUE(registry.set_split(globex, true));
  ASSERT_TRUE(registry.set_split(acme, false));

  const auto companies = registry.companies().value();
  EXPECT_FALSE(companies[0].is_split);
  EXPECT_EQ(companies[0].layout, 3U);
  EXPECT_TRUE(companies[1].is_split);
  EXPECT_EQ(companies[1].layout, 2U);
  EXPECT_GE(registry.version(RegistryPart::tenants).value(), version + 3);
}

TEST(PostgresRegistryTest, lets_no_company_take_over_anothers_key) {
  PostgresHarness<1> harness;
  PostgresRegistry registry(harness.store().database());
  ASSERT_TRUE(
      registry.put_key({.id = "k", .company = CompanyId{1}, .secret_hash = "one", .label = "l"}));

  const auto refused =
      registry.put_key({.id = "k", .company = CompanyId{2}, .secret_hash = "two", .label = "l"});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(registry.keys()->at(0).secret_hash, "one");
}

TEST(PostgresRegistryTest, lets_nobody_undo_a_revocation) {
  PostgresHarness<1> harness;
  PostgresRegistry registry(harness.store().database());
  KeyRecord key{.id = "k", .company = CompanyId{1}, .secret_hash = "s", .label = "l"};
  EndpointRecord endpoint{.id = "e", .company = CompanyId{1}};
  SubscriptionRecord subscription{.id = "u", .company = CompanyId{1}};
  for (const auto at : {std::optional(from_us(7)), std::optional<WallTime>()}) {
    key.revoked_at = endpoint.revoked_at = subscription.revoked_at = at;
    ASSERT_TRUE(registry.put_key(key));
    ASSERT_TRUE(registry.put_endpoint(endpoint));
    ASSERT_TRUE(registry.put_subscription(subscription));
  }

  EXPECT_EQ(registry.keys()->at(0).revoked_at, from_us(7));
  EXPECT_EQ(registry.endpoints()->at(0).revoked_at, from_us(7));
  EXPECT_EQ(registry.subscriptions()->at(0).revoked_at, from_us(7));
}

}  // namespace
}  // namespace samtale

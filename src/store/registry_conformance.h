// Goal:   every Registry behaves as registry.h says.
// Method: a typed suite that each implementation instantiates with a Harness:
//           open()  the implementation, as it was left; new and empty at first
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "store/registry.h"

namespace samtale {

template <class Harness>
class RegistryConformance : public ::testing::Test {
 protected:
  auto open() { return harness_.open(); }
  static CompanyRecord company(std::string name) {
    return {.name = std::move(name), .created_at = from_us(3)};
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(RegistryConformance);

TYPED_TEST_P(RegistryConformance, keeps_companies_keys_and_endpoints_over_a_restart) {
  CompanyId id{};
  {
    const auto registry = this->open();
    id = registry->add_company(this->company("acme")).value();
    auto changed = this->company("acme");
    changed.id = id;
    changed.weight = 2.5;
    ASSERT_TRUE(registry->update_company(changed));
    ASSERT_TRUE(registry->put_key({.id = "k",
                                   .company = id,
                                   .secret_hash = std::string("h\0h", 3),
                                   .label = "l",
                                   .may_search = true,
                                   .may_admin = true,
                                   .created_at = from_us(1),
                                   .expires_at = from_us(2),
                                   .revoked_at = {}}));
    ASSERT_TRUE(registry->put_endpoint({.id = "e",
                                        .company = id,
                                        .preset = "retell",
                                        .source = "s",
                                        .secrets = {{.secret = "new", .expires_at = {}},
                                                    {.secret = "old", .expires_at = from_us(9)}},
                                        .idle_timeout = std::chrono::seconds(5),
                                        .created_at = from_us(1),
                                        .revoked_at = {}}));
  }

  const auto registry = this->open();

  const auto companies = registry->companies().value();
  ASSERT_EQ(companies.size(), 1u);
  EXPECT_EQ(companies[0].id, id);
  EXPECT_EQ(companies[0].weight, 2.5);
  const auto keys = registry->keys().value();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].secret_hash, std::string("h\0h", 3));
  EXPECT_TRUE(keys[0].may_search && keys[0].may_admin && !keys[0].may_ingest && !keys[0].may_read);
  EXPECT_EQ(keys[0].expires_at, from_us(2));
  EXPECT_FALSE(keys[0].revoked_at);
  const auto endpoints = registry->endpoints().value();
  ASSERT_EQ(endpoints.size(), 1u);
  ASSERT_EQ(endpoints[0].secrets.size(), 2u);
  EXPECT_EQ(endpoints[0].secrets[1].secret, "old");
  EXPECT_EQ(endpoints[0].idle_timeout, std::chrono::seconds(5));
}

TYPED_TEST_P(RegistryConformance, counts_the_changes_of_each_part_one_by_one) {
  const auto registry = this->open();
  const auto version = [&](RegistryPart part) { return registry->version(part).value(); };
  const auto before = version(RegistryPart::tenants);
  const auto others = version(RegistryPart::analyzers);
  const auto id = registry->add_company(this->company("acme")).value();
  EXPECT_EQ(version(RegistryPart::tenants), before + 1);

  ASSERT_FALSE(registry->add_company(this->company("acme")));
  EXPECT_LE(version(RegistryPart::tenants), before + 2) << "what changes nothing may count or not";
  const auto counted = version(RegistryPart::tenants);
  ASSERT_TRUE(registry->put_endpoint(
      {.id = "e", .company = id, .secrets = {{.secret = "a", .expires_at = {}}, {.secret = "b"}}}));
  EXPECT_EQ(version(RegistryPart::tenants), counted + 1) << "one change, whatever it touches";
  EXPECT_EQ(version(RegistryPart::analyzers), others);

  const auto subscriptions = version(RegistryPart::subscriptions);
  ASSERT_TRUE(registry->put_subscription({.id = "s", .company = id, .url = "u"}));
  ASSERT_TRUE(registry->put_lm_settings({.company = id, .settings = "{}"}));
  EXPECT_EQ(version(RegistryPart::subscriptions), subscriptions + 1);
  EXPECT_EQ(version(RegistryPart::analyzers), others + 1);
}

TYPED_TEST_P(RegistryConformance, gives_a_name_once) {
  const auto registry = this->open();
  ASSERT_TRUE(registry->add_company(this->company("acme")));

  EXPECT_EQ(registry->add_company(this->company("acme")).error().code, ErrorCode::conflict);
}

TYPED_TEST_P(RegistryConformance, refuses_names_that_could_be_mistaken) {
  const auto registry = this->open();

  for (const auto* name : {"", "Acme", "-a", "a b", "../x", "\xC3\xA6", "a\n"}) {
    EXPECT_EQ(registry->add_company(this->company(name)).error().code, ErrorCode::invalid_argument)
        << name;
  }
  EXPECT_FALSE(registry->add_company(this->company(std::string(64, 'a'))));
  EXPECT_TRUE(registry->add_company(this->company(std::string(63, 'a'))));
}

TYPED_TEST_P(RegistryConformance, updates_only_a_company_there_is) {
  EXPECT_EQ(this->open()->update_company({.id = CompanyId{7}, .name = ""}).error().code,
            ErrorCode::not_found);
}

TYPED_TEST_P(RegistryConformance, keeps_every_version_of_an_analyzer_over_a_restart) {
  const AnalyzerRecord first{.company = CompanyId{1},
                             .name = "churn",
                             .version = 1,
                             .definition = R"({"trigger":"ended"})",
                             .created_at = from_us(4)};
  auto second = first;
  second.version = 2;
  {
    const auto registry = this->open();
    ASSERT_TRUE(registry->put_analyzer(first));
    ASSERT_TRUE(registry->put_analyzer(second));
    second.definition = "{}";
    second.is_deleted = true;
    ASSERT_TRUE(registry->put_analyzer(second));
    EXPECT_EQ(registry->analyzers()->size(), 2u);
  }

  const auto analyzers = this->open()->analyzers().value();

  ASSERT_EQ(analyzers.size(), 2u);
  EXPECT_EQ(analyzers[0].company, CompanyId{1});
  EXPECT_EQ(analyzers[0].name, "churn");
  EXPECT_EQ(analyzers[0].version, 1);
  EXPECT_EQ(analyzers[0].definition, R"({"trigger":"ended"})");
  EXPECT_EQ(analyzers[0].created_at, from_us(4));
  EXPECT_FALSE(analyzers[0].is_deleted);
  EXPECT_EQ(analyzers[1].version, 2);
  EXPECT_EQ(analyzers[1].definition, "{}");
  EXPECT_TRUE(analyzers[1].is_deleted);
}

TYPED_TEST_P(RegistryConformance, keeps_subscriptions_with_their_secrets_over_a_restart) {
  SubscriptionRecord record{.id = "wh_1",
                            .company = CompanyId{1},
                            .url = "https://example.com/hook",
                            .events = {"analysis.completed", "say \"hi\""},
                            .secrets = {{.secret = "whsec_old", .expires_at = {}}},
                            .created_at = from_us(1),
                            .revoked_at = {},
                            .paused_why = ""};
  {
    const auto registry = this->open();
    ASSERT_TRUE(registry->put_subscription(record));
    record.secrets = {{.secret = "whsec_new", .expires_at = {}},
                      {.secret = "whsec_old", .expires_at = from_us(9)}};
    record.revoked_at = from_us(8);
    record.paused_why = "answered 500 for three days";
    ASSERT_TRUE(registry->put_subscription(record));
  }

  const auto subscriptions = this->open()->subscriptions().value();

  ASSERT_EQ(subscriptions.size(), 1u);
  const auto& kept = subscriptions[0];
  EXPECT_EQ(kept.id, "wh_1");
  EXPECT_EQ(kept.company, CompanyId{1});
  EXPECT_EQ(kept.url, "https://example.com/hook");
  EXPECT_EQ(kept.events, record.events);
  ASSERT_EQ(kept.secrets.size(), 2u);
  EXPECT_EQ(kept.secrets[0].secret, "whsec_new");
  EXPECT_FALSE(kept.secrets[0].expires_at);
  EXPECT_EQ(kept.secrets[1].expires_at, from_us(9));
  EXPECT_EQ(kept.created_at, from_us(1));
  EXPECT_EQ(kept.revoked_at, from_us(8));
  EXPECT_EQ(kept.paused_why, "answered 500 for three days");
}

TYPED_TEST_P(RegistryConformance, keeps_the_last_settings_of_language_models_over_a_restart) {
  {
    const auto registry = this->open();
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{1}, .settings = "{}"}));
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{1}, .settings = R"({"day":5})"}));
  }

  const auto settings = this->open()->lm_settings().value();

  ASSERT_EQ(settings.size(), 1u);
  EXPECT_EQ(settings[0].company, CompanyId{1});
  EXPECT_EQ(settings[0].settings, R"({"day":5})");
}

TYPED_TEST_P(RegistryConformance, lets_no_company_replace_anothers_records) {
  const SubscriptionRecord hook{.id = "wh_1",
                                .company = CompanyId{1},
                                .url = "https://one.example",
                                .events = {},
                                .secrets = {{.secret = "whsec_one", .expires_at = {}}},
                                .created_at = {},
                                .revoked_at = {},
                                .paused_why = ""};
  const AnalyzerRecord analyzer{
      .company = CompanyId{1}, .name = "churn", .version = 1, .definition = "one"};
  auto their_hook = hook;
  their_hook.company = CompanyId{2};
  their_hook.secrets = {{.secret = "whsec_two", .expires_at = {}}};
  auto their_analyzer = analyzer;
  their_analyzer.company = CompanyId{2};
  their_analyzer.definition = "two";
  {
    const auto registry = this->open();
    ASSERT_TRUE(registry->put_subscription(hook));
    ASSERT_TRUE(registry->put_analyzer(analyzer));
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{1}, .settings = "one"}));

    // The other company names exactly what belongs to the first.
    ASSERT_TRUE(registry->put_subscription(their_hook));
    ASSERT_TRUE(registry->put_analyzer(their_analyzer));
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{2}, .settings = "two"}));
  }

  const auto registry = this->open();
  const auto hooks = registry->subscriptions().value();
  const auto analyzers = registry->analyzers().value();
  const auto settings = registry->lm_settings().value();
  ASSERT_TRUE(hooks.size() == 2 && analyzers.size() == 2 && settings.size() == 2);
  ASSERT_EQ(hooks[0].secrets.size(), 1u);
  EXPECT_EQ(hooks[0].secrets[0].secret, "whsec_one");
  EXPECT_EQ(hooks[1].secrets[0].secret, "whsec_two");
  EXPECT_EQ(analyzers[0].definition, "one");
  EXPECT_EQ(settings[0].settings, "one");
}

REGISTER_TYPED_TEST_SUITE_P(RegistryConformance, counts_the_changes_of_each_part_one_by_one,
                            keeps_companies_keys_and_endpoints_over_a_restart, gives_a_name_once,
                            refuses_names_that_could_be_mistaken, updates_only_a_company_there_is,
                            keeps_every_version_of_an_analyzer_over_a_restart,
                            keeps_subscriptions_with_their_secrets_over_a_restart,
                            keeps_the_last_settings_of_language_models_over_a_restart,
                            lets_no_company_replace_anothers_records);

}  // namespace samtale

#include "store/sqlite_registry.h"

#include <gtest/gtest.h>

#include "sqlite/database.h"
#include "store/schema.h"
#include "store/testing/sqlite_harness.h"

namespace samtale {
namespace {

class SqliteRegistryTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteRegistry> open() {
    return SqliteRegistry::open({.folder = folder_.path(), .vfs = ""}).value();
  }
  static CompanyRecord company(std::string name) {
    return {.name = std::move(name), .created_at = from_us(3)};
  }

  TempFolder folder_;
};

TEST_F(SqliteRegistryTest, keeps_companies_keys_and_endpoints_over_a_restart) {
  CompanyId id{};
  {
    const auto registry = open();
    id = registry->add_company(company("acme")).value();
    auto changed = company("acme");
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

  const auto registry = open();

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

TEST_F(SqliteRegistryTest, gives_a_name_once) {
  const auto registry = open();
  ASSERT_TRUE(registry->add_company(company("acme")));

  EXPECT_EQ(registry->add_company(company("acme")).error().code, ErrorCode::conflict);
}

TEST_F(SqliteRegistryTest, refuses_names_that_could_be_mistaken) {
  const auto registry = open();

  for (const auto* name : {"", "Acme", "-a", "a b", "../x", "\xC3\xA6", "a\n"}) {
    EXPECT_EQ(registry->add_company(company(name)).error().code, ErrorCode::invalid_argument)
        << name;
  }
  EXPECT_FALSE(registry->add_company(company(std::string(64, 'a'))));
  EXPECT_TRUE(registry->add_company(company(std::string(63, 'a'))));
}

TEST_F(SqliteRegistryTest, updates_only_a_company_there_is) {
  EXPECT_EQ(open()->update_company({.id = CompanyId{7}, .name = ""}).error().code,
            ErrorCode::not_found);
}

TEST_F(SqliteRegistryTest, keeps_every_version_of_an_analyzer_over_a_restart) {
  const AnalyzerRecord first{.company = CompanyId{1},
                             .name = "churn",
                             .version = 1,
                             .definition = R"({"trigger":"ended"})",
                             .created_at = from_us(4)};
  auto second = first;
  second.version = 2;
  {
    const auto registry = open();
    ASSERT_TRUE(registry->put_analyzer(first));
    ASSERT_TRUE(registry->put_analyzer(second));
    second.definition = "{}";
    second.is_deleted = true;
    ASSERT_TRUE(registry->put_analyzer(second));
    EXPECT_EQ(registry->analyzers()->size(), 2u);
  }

  const auto analyzers = open()->analyzers().value();

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

TEST_F(SqliteRegistryTest, keeps_subscriptions_with_their_secrets_over_a_restart) {
  SubscriptionRecord record{.id = "wh_1",
                            .company = CompanyId{1},
                            .url = "https://example.com/hook",
                            .events = {"analysis.completed", "say \"hi\""},
                            .secrets = {{.secret = "whsec_old", .expires_at = {}}},
                            .created_at = from_us(1),
                            .revoked_at = {},
                            .paused_why = ""};
  {
    const auto registry = open();
    ASSERT_TRUE(registry->put_subscription(record));
    record.secrets = {{.secret = "whsec_new", .expires_at = {}},
                      {.secret = "whsec_old", .expires_at = from_us(9)}};
    record.revoked_at = from_us(8);
    record.paused_why = "answered 500 for three days";
    ASSERT_TRUE(registry->put_subscription(record));
  }

  const auto subscriptions = open()->subscriptions().value();

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

TEST_F(SqliteRegistryTest, keeps_the_last_settings_of_language_models_over_a_restart) {
  {
    const auto registry = open();
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{1}, .settings = "{}"}));
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{1}, .settings = R"({"day":5})"}));
  }

  const auto settings = open()->lm_settings().value();

  ASSERT_EQ(settings.size(), 1u);
  EXPECT_EQ(settings[0].company, CompanyId{1});
  EXPECT_EQ(settings[0].settings, R"({"day":5})");
}

TEST_F(SqliteRegistryTest, lets_no_company_replace_anothers_records) {
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
    const auto registry = open();
    ASSERT_TRUE(registry->put_subscription(hook));
    ASSERT_TRUE(registry->put_analyzer(analyzer));
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{1}, .settings = "one"}));

    // The other company names exactly what belongs to the first.
    ASSERT_TRUE(registry->put_subscription(their_hook));
    ASSERT_TRUE(registry->put_analyzer(their_analyzer));
    ASSERT_TRUE(registry->put_lm_settings({.company = CompanyId{2}, .settings = "two"}));
  }

  const auto registry = open();
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

TEST_F(SqliteRegistryTest, brings_a_file_of_before_language_models_up) {
  {
    const auto file =
        sqlite::Database::open({.path = folder_.path() + "/control.db", .vfs = "", .create = true},
                               registry_schema().first(1));
    ASSERT_TRUE(file) << file.error().message;
    auto transaction = (*file)->begin().value();
    ASSERT_TRUE(
        transaction.connection().run("INSERT INTO companies VALUES(7, 'acme', 2.0, 0, 0, 3)"));
    ASSERT_TRUE(transaction.commit());
  }

  const auto registry = open();

  EXPECT_EQ(registry->companies()->at(0).name, "acme");
  EXPECT_TRUE(registry->analyzers()->empty());
  EXPECT_TRUE(registry->put_lm_settings({.company = CompanyId{7}, .settings = "{}"}));
}

}  // namespace
}  // namespace samtale

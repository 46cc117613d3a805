// Analyzers, subscriptions and the settings of language models.
#include "json/json.h"
#include "store/registry_rows.h"
#include "store/sqlite_registry.h"

namespace samtale {

Result<> SqliteRegistry::load_analyzers(sqlite::Connection& connection) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT company, name, version, definition, created_us, "
                                           "is_deleted FROM analyzers"));
  while (true) {
    SAMTALE_TRY(const bool found, row.step());
    if (!found) return {};
    AnalyzerRecord record{.company = static_cast<CompanyId>(row.integer(0)),
                          .name = std::string(row.bytes(1)),
                          .version = row.integer(2),
                          .definition = std::string(row.bytes(3)),
                          .created_at = from_us(row.integer(4)),
                          .is_deleted = row.integer(5) != 0};
    std::tuple key(record.company, record.name, record.version);
    analyzers_[std::move(key)] = std::move(record);
  }
}

Result<> SqliteRegistry::load_subscriptions(sqlite::Connection& connection) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT company, id, url, events, created_us, "
                                           "revoked_us, paused_why, failing_since_us "
                                           "FROM subscriptions"));
  while (true) {
    SAMTALE_TRY(const bool found, row.step());
    if (!found) break;
    const auto company = static_cast<CompanyId>(row.integer(0));
    const std::string id(row.bytes(1));
    SAMTALE_TRY(const auto events, json::parse(row.bytes(3)));
    auto& record = subscriptions_[{company, id}];
    record = {.id = id,
              .company = company,
              .url = std::string(row.bytes(2)),
              .events = {},
              .secrets = {},
              .created_at = from_us(row.integer(4)),
              .revoked_at = optional_time(row, 5),
              .paused_why = std::string(row.bytes(6)),
              .failing_since = optional_time(row, 7)};
    const auto* names = events.as_array();
    if (names == nullptr) continue;
    for (const auto& name : *names) {
      if (const auto* text = name.as_string()) record.events.push_back(*text);
    }
  }
  SAMTALE_TRY(auto secret, connection.prepare(
                               "SELECT company, subscription, secret, expires_us "
                               "FROM subscription_secrets ORDER BY company, subscription, place"));
  while (true) {
    SAMTALE_TRY(const bool found, secret.step());
    if (!found) return {};
    const auto company = static_cast<CompanyId>(secret.integer(0));
    subscriptions_[{company, std::string(secret.bytes(1))}].secrets.push_back(
        {.secret = std::string(secret.bytes(2)), .expires_at = optional_time(secret, 3)});
  }
}

Result<> SqliteRegistry::load_lm_settings(sqlite::Connection& connection) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT company, settings FROM lm_settings"));
  while (true) {
    SAMTALE_TRY(const bool found, row.step());
    if (!found) return {};
    const auto company = static_cast<CompanyId>(row.integer(0));
    lm_settings_[company] = {.company = company, .settings = std::string(row.bytes(1))};
  }
}

Result<> SqliteRegistry::put_analyzer(const AnalyzerRecord& record) {
  SAMTALE_TRY(auto transaction, database_->begin());
  SAMTALE_TRY_VOID(transaction.connection().run(
      "INSERT OR REPLACE INTO analyzers(company, name, version, created_us, is_deleted, "
      "definition) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
      record.company, record.name, record.version, to_us(record.created_at), record.is_deleted,
      record.definition));
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::analyzers)];
  analyzers_[{record.company, record.name, record.version}] = record;
  return {};
}

Result<std::vector<AnalyzerRecord>> SqliteRegistry::analyzers() const {
  const std::lock_guard lock(records_mutex_);
  return all_of(analyzers_);
}

Result<> SqliteRegistry::put_subscription(const SubscriptionRecord& record) {
  SAMTALE_TRY(auto transaction, database_->begin());
  auto& connection = transaction.connection();
  SAMTALE_TRY_VOID(connection.run(
      "INSERT OR REPLACE INTO subscriptions(company, id, url, events, created_us, revoked_us, "
      "paused_why, failing_since_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
      record.company, record.id, record.url,
      json::dump(json::Array(record.events.begin(), record.events.end())), to_us(record.created_at),
      optional_us(record.revoked_at), record.paused_why, optional_us(record.failing_since)));
  SAMTALE_TRY_VOID(
      connection.run("DELETE FROM subscription_secrets WHERE company = ?1 AND subscription = ?2",
                     record.company, record.id));
  for (std::size_t place = 0; place < record.secrets.size(); ++place) {
    const auto& secret = record.secrets[place];
    SAMTALE_TRY_VOID(connection.run(
        "INSERT INTO subscription_secrets(company, subscription, place, secret, expires_us) "
        "VALUES(?1, ?2, ?3, ?4, ?5)",
        record.company, record.id, place, secret.secret, optional_us(secret.expires_at)));
  }
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::subscriptions)];
  subscriptions_[{record.company, record.id}] = record;
  return {};
}

Result<std::vector<SubscriptionRecord>> SqliteRegistry::subscriptions() const {
  const std::lock_guard lock(records_mutex_);
  return all_of(subscriptions_);
}

Result<> SqliteRegistry::put_lm_settings(const LmSettingsRecord& record) {
  SAMTALE_TRY(auto transaction, database_->begin());
  SAMTALE_TRY_VOID(transaction.connection().run(
      "INSERT OR REPLACE INTO lm_settings(company, settings) VALUES(?1, ?2)", record.company,
      record.settings));
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::analyzers)];
  lm_settings_[record.company] = record;
  return {};
}

Result<std::vector<LmSettingsRecord>> SqliteRegistry::lm_settings() const {
  const std::lock_guard lock(records_mutex_);
  return all_of(lm_settings_);
}

}  // namespace samtale

#include "store/postgres_registry.h"

#include "store/codec.h"
#include "store/registry_codec.h"

namespace samtale {
namespace {

using postgres::Bytes;
using postgres::Durability;
using postgres::Row;
using postgres::Scope;
using postgres::Transaction;

constexpr Scope kAll{.all_companies = true};

std::optional<WallTime> optional_time(const Row& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return from_us(row.integer(column));
}

EndpointSecret read_secret(const Row& row, int column) {
  return {.secret = std::string(row.bytes(column)), .expires_at = optional_time(row, column + 1)};
}

// The secrets of `owner`, in `table`, replaced by these.
Result<> put_secrets(Transaction& transaction, const std::string& table, CompanyId company,
                     const std::string& owner, const std::vector<EndpointSecret>& secrets) {
  SAMTALE_TRY_VOID(transaction.later("DELETE FROM " + table + " WHERE company = $1 AND owner = $2",
                                     company, owner));
  for (std::size_t place = 0; place < secrets.size(); ++place) {
    SAMTALE_TRY_VOID(transaction.later(
        "INSERT INTO " + table +
            "(company, owner, place, secret, expires_us) VALUES($1, $2, $3, $4, $5)",
        company, owner, place, Bytes{secrets[place].secret},
        optional_us(secrets[place].expires_at)));
  }
  return {};
}

}  // namespace

Result<CompanyId> PostgresRegistry::add_company(const CompanyRecord& record) {
  SAMTALE_TRY_VOID(check_company_name(record.name));
  SAMTALE_TRY(const auto added,
              database_.write({},
                              "INSERT INTO companies(name, weight, events_per_second_max, "
                              "conversations_max, created_us) VALUES($1, $2, $3, $4, $5) "
                              "ON CONFLICT (name) DO NOTHING RETURNING id",
                              record.name, record.weight, record.events_per_second_max,
                              record.conversations_max, to_us(record.created_at)));
  if (added.empty()) return name_in_use(record.name);
  return static_cast<CompanyId>(added.integer(0, 0));
}

Result<> PostgresRegistry::update_company(const CompanyRecord& record) {
  SAMTALE_TRY(const auto updated,
              database_.write({},
                              "UPDATE companies SET weight = $2, events_per_second_max = $3, "
                              "conversations_max = $4 WHERE id = $1",
                              record.id, record.weight, record.events_per_second_max,
                              record.conversations_max));
  if (updated.affected() != 0) return {};
  return fail(ErrorCode::not_found, "there is no company " + std::to_string(number(record.id)));
}

// One at a time: two changes of one number would each be taken for the other.
Result<> PostgresRegistry::set_split(CompanyId company, bool is_split) {
  return in_transaction(
      database_, {}, Durability::power_loss, [&](Transaction& transaction) -> Result<> {
        SAMTALE_TRY_VOID(transaction.later("LOCK TABLE companies IN SHARE ROW EXCLUSIVE MODE"));
        return transaction.later(
            "UPDATE companies SET is_split = $2 <> 0, "
            "layout = (SELECT max(layout) + 1 FROM companies) "
            "WHERE id = $1 AND is_split <> ($2 <> 0)",
            company, is_split);
      });
}

Result<std::vector<CompanyRecord>> PostgresRegistry::companies() const {
  SAMTALE_TRY(const auto rows, database_.read(kAll,
                                              "SELECT id, name, weight, events_per_second_max, "
                                              "conversations_max, created_us, is_split, layout "
                                              "FROM companies ORDER BY id"));
  std::vector<CompanyRecord> companies;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    companies.push_back({.id = static_cast<CompanyId>(row.integer(0)),
                         .name = std::string(row.bytes(1)),
                         .weight = row.real(2),
                         .events_per_second_max = row.integer(3),
                         .conversations_max = row.integer(4),
                         .created_at = from_us(row.integer(5)),
                         .is_split = row.integer(6) != 0,
                         .layout = static_cast<std::uint64_t>(row.integer(7))});
  }
  return companies;
}

Result<> PostgresRegistry::put_key(const KeyRecord& record) {
  return in_transaction(
      database_, {.company = record.company}, Durability::power_loss,
      [&](Transaction& transaction) {
        return transaction.later(
            "INSERT INTO keys(company, id, secret_hash, label, rights, created_us, expires_us, "
            "revoked_us) VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET "
            "secret_hash = $3, label = $4, rights = $5, created_us = $6, expires_us = $7, "
            "revoked_us = coalesce(keys.revoked_us, $8)",
            record.company, record.id, Bytes{record.secret_hash}, Bytes{record.label},
            rights_of(record), to_us(record.created_at), optional_us(record.expires_at),
            optional_us(record.revoked_at));
      });
}

Result<std::vector<KeyRecord>> PostgresRegistry::keys() const {
  SAMTALE_TRY(const auto rows,
              database_.read(kAll,
                             "SELECT id, company, secret_hash, label, rights, created_us, "
                             "expires_us, revoked_us FROM keys ORDER BY id"));
  std::vector<KeyRecord> keys;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    keys.push_back({.id = std::string(row.bytes(0)),
                    .company = static_cast<CompanyId>(row.integer(1)),
                    .secret_hash = std::string(row.bytes(2)),
                    .label = std::string(row.bytes(3)),
                    .created_at = from_us(row.integer(5)),
                    .expires_at = optional_time(row, 6),
                    .revoked_at = optional_time(row, 7)});
    set_rights(keys.back(), row.integer(4));
  }
  return keys;
}

Result<> PostgresRegistry::put_endpoint(const EndpointRecord& record) {
  return in_transaction(
      database_, {.company = record.company}, Durability::power_loss,
      [&](Transaction& transaction) -> Result<> {
        SAMTALE_TRY_VOID(transaction.later(
            "INSERT INTO endpoints(company, id, preset, source, idle_timeout_us, created_us, "
            "revoked_us) VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET "
            "preset = $3, source = $4, idle_timeout_us = $5, created_us = $6, "
            "revoked_us = coalesce(endpoints.revoked_us, $7)",
            record.company, record.id, Bytes{record.preset}, Bytes{record.source},
            record.idle_timeout / std::chrono::microseconds(1), to_us(record.created_at),
            optional_us(record.revoked_at)));
        return put_secrets(transaction, "endpoint_secrets", record.company, record.id,
                           record.secrets);
      });
}

// Both reads see the same moment: one statement.
Result<std::vector<EndpointRecord>> PostgresRegistry::endpoints() const {
  SAMTALE_TRY(const auto rows,
              database_.read(kAll,
                             "SELECT e.id, e.company, e.preset, e.source, e.idle_timeout_us, "
                             "e.created_us, e.revoked_us, s.secret, s.expires_us "
                             "FROM endpoints AS e LEFT JOIN endpoint_secrets AS s "
                             "ON s.company = e.company AND s.owner = e.id ORDER BY e.id, s.place"));
  std::vector<EndpointRecord> endpoints;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    if (endpoints.empty() || endpoints.back().id != row.bytes(0)) {
      endpoints.push_back({.id = std::string(row.bytes(0)),
                           .company = static_cast<CompanyId>(row.integer(1)),
                           .preset = std::string(row.bytes(2)),
                           .source = std::string(row.bytes(3)),
                           .secrets = {},
                           .idle_timeout = std::chrono::microseconds(row.integer(4)),
                           .created_at = from_us(row.integer(5)),
                           .revoked_at = optional_time(row, 6)});
    }
    if (!row.is_null(7)) endpoints.back().secrets.push_back(read_secret(row, 7));
  }
  return endpoints;
}

Result<> PostgresRegistry::put_analyzer(const AnalyzerRecord& record) {
  return in_transaction(
      database_, {.company = record.company}, Durability::power_loss,
      [&](Transaction& transaction) {
        return transaction.later(
            "INSERT INTO analyzers(company, name, version, created_us, is_deleted, definition) "
            "VALUES($1, $2, $3, $4, $5 <> 0, $6) ON CONFLICT (company, name, version) DO UPDATE "
            "SET created_us = $4, is_deleted = $5 <> 0, definition = $6",
            record.company, record.name, record.version, to_us(record.created_at),
            record.is_deleted, Bytes{record.definition});
      });
}

Result<std::vector<AnalyzerRecord>> PostgresRegistry::analyzers() const {
  SAMTALE_TRY(const auto rows,
              database_.read(kAll,
                             "SELECT company, name, version, definition, created_us, "
                             "is_deleted FROM analyzers ORDER BY company, name, version"));
  std::vector<AnalyzerRecord> analyzers;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    analyzers.push_back({.company = static_cast<CompanyId>(row.integer(0)),
                         .name = std::string(row.bytes(1)),
                         .version = row.integer(2),
                         .definition = std::string(row.bytes(3)),
                         .created_at = from_us(row.integer(4)),
                         .is_deleted = row.integer(5) != 0});
  }
  return analyzers;
}

Result<> PostgresRegistry::put_subscription(const SubscriptionRecord& record) {
  return in_transaction(
      database_, {.company = record.company}, Durability::power_loss,
      [&](Transaction& transaction) -> Result<> {
        SAMTALE_TRY_VOID(transaction.later(
            "INSERT INTO subscriptions(company, id, url, events, created_us, revoked_us, "
            "paused_why, failing_since_us) VALUES($1, $2, $3, $4, $5, $6, $7, $8) "
            "ON CONFLICT (company, id) DO UPDATE SET url = $3, events = $4, created_us = $5, "
            "revoked_us = coalesce(subscriptions.revoked_us, $6), paused_why = $7, "
            "failing_since_us = $8",
            record.company, record.id, Bytes{record.url}, Bytes{write_labels(record.events)},
            to_us(record.created_at), optional_us(record.revoked_at), Bytes{record.paused_why},
            optional_us(record.failing_since)));
        return put_secrets(transaction, "subscription_secrets", record.company, record.id,
                           record.secrets);
      });
}

Result<std::vector<SubscriptionRecord>> PostgresRegistry::subscriptions() const {
  SAMTALE_TRY(const auto rows,
              database_.read(kAll,
                             "SELECT r.company, r.id, r.url, r.events, r.created_us, r.revoked_us, "
                             "r.paused_why, r.failing_since_us, s.secret, s.expires_us "
                             "FROM subscriptions AS r LEFT JOIN subscription_secrets AS s "
                             "ON s.company = r.company AND s.owner = r.id "
                             "ORDER BY r.company, r.id, s.place"));
  std::vector<SubscriptionRecord> subscriptions;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    const auto company = static_cast<CompanyId>(row.integer(0));
    if (subscriptions.empty() || subscriptions.back().company != company ||
        subscriptions.back().id != row.bytes(1)) {
      SAMTALE_TRY(auto events, read_labels(row.bytes(3)));
      subscriptions.push_back({.id = std::string(row.bytes(1)),
                               .company = company,
                               .url = std::string(row.bytes(2)),
                               .events = std::move(events),
                               .secrets = {},
                               .created_at = from_us(row.integer(4)),
                               .revoked_at = optional_time(row, 5),
                               .paused_why = std::string(row.bytes(6)),
                               .failing_since = optional_time(row, 7)});
    }
    if (!row.is_null(8)) subscriptions.back().secrets.push_back(read_secret(row, 8));
  }
  return subscriptions;
}

Result<> PostgresRegistry::put_lm_settings(const LmSettingsRecord& record) {
  return in_transaction(database_, {.company = record.company}, Durability::power_loss,
                        [&](Transaction& transaction) {
                          return transaction.later(
                              "INSERT INTO lm_settings(company, settings) VALUES($1, $2) "
                              "ON CONFLICT (company) DO UPDATE SET settings = $2",
                              record.company, Bytes{record.settings});
                        });
}

Result<std::vector<LmSettingsRecord>> PostgresRegistry::lm_settings() const {
  SAMTALE_TRY(const auto rows, database_.read(kAll,
                                              "SELECT company, settings FROM lm_settings "
                                              "ORDER BY company"));
  std::vector<LmSettingsRecord> settings;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    settings.push_back({.company = static_cast<CompanyId>(rows.integer(i, 0)),
                        .settings = std::string(rows.bytes(i, 1))});
  }
  return settings;
}

Result<std::uint64_t> PostgresRegistry::version(RegistryPart part) const {
  SAMTALE_TRY(const auto rows,
              database_.read(kAll, "SELECT version FROM registry_versions WHERE part = $1", part));
  return static_cast<std::uint64_t>(rows.empty() ? 0 : rows.integer(0, 0));
}

}  // namespace samtale

#include "store/sqlite_registry.h"

#include "store/registry_rows.h"
#include "store/schema.h"

namespace samtale {
namespace {

using sqlite::Blob;
using sqlite::Connection;

Result<> read_companies(Connection& connection, std::map<CompanyId, CompanyRecord>& companies) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT id, name, weight, events_per_second_max, "
                                           "conversations_max, created_us FROM companies"));
  while (true) {
    SAMTALE_TRY(const bool found, row.step());
    if (!found) return {};
    const auto id = static_cast<CompanyId>(row.integer(0));
    companies[id] = {.id = id,
                     .name = std::string(row.bytes(1)),
                     .weight = row.real(2),
                     .events_per_second_max = row.integer(3),
                     .conversations_max = row.integer(4),
                     .created_at = from_us(row.integer(5))};
  }
}

Result<> read_keys(Connection& connection, std::map<std::string, KeyRecord>& keys) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT id, company, secret_hash, label, rights, "
                                           "created_us, expires_us, revoked_us FROM keys"));
  while (true) {
    SAMTALE_TRY(const bool found, row.step());
    if (!found) return {};
    const std::string id(row.bytes(0));
    auto& key = keys[id];
    key = {.id = id,
           .company = static_cast<CompanyId>(row.integer(1)),
           .secret_hash = std::string(row.bytes(2)),
           .label = std::string(row.bytes(3)),
           .created_at = from_us(row.integer(5)),
           .expires_at = optional_time(row, 6),
           .revoked_at = optional_time(row, 7)};
    set_rights(key, row.integer(4));
  }
}

Result<> read_endpoints(Connection& connection, std::map<std::string, EndpointRecord>& endpoints) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT id, company, preset, source, idle_timeout_us, "
                                           "created_us, revoked_us FROM endpoints"));
  while (true) {
    SAMTALE_TRY(const bool found, row.step());
    if (!found) break;
    const std::string id(row.bytes(0));
    endpoints[id] = {.id = id,
                     .company = static_cast<CompanyId>(row.integer(1)),
                     .preset = std::string(row.bytes(2)),
                     .source = std::string(row.bytes(3)),
                     .secrets = {},
                     .idle_timeout = std::chrono::microseconds(row.integer(4)),
                     .created_at = from_us(row.integer(5)),
                     .revoked_at = optional_time(row, 6)};
  }
  SAMTALE_TRY(auto secret, connection.prepare("SELECT endpoint, secret, expires_us "
                                              "FROM endpoint_secrets ORDER BY endpoint, place"));
  while (true) {
    SAMTALE_TRY(const bool found, secret.step());
    if (!found) return {};
    endpoints[std::string(secret.bytes(0))].secrets.push_back(
        {.secret = std::string(secret.bytes(1)), .expires_at = optional_time(secret, 2)});
  }
}

}  // namespace

Result<std::unique_ptr<SqliteRegistry>> SqliteRegistry::open(const SqliteRegistryOptions& options) {
  SAMTALE_TRY(auto database, sqlite::Database::open({.path = options.folder + "/control.db",
                                                     .vfs = options.vfs,
                                                     .create = true,
                                                     .readers_max = options.readers_max,
                                                     .cache_bytes = std::size_t{1} << 20},
                                                    registry_schema()));
  std::unique_ptr<SqliteRegistry> registry(new SqliteRegistry(std::move(database)));
  SAMTALE_TRY_VOID(registry->load());
  return registry;
}

Result<> SqliteRegistry::load() {
  SAMTALE_TRY(const auto snapshot, database_->snapshot());
  const std::lock_guard lock(records_mutex_);
  SAMTALE_TRY_VOID(read_companies(snapshot.connection(), companies_));
  SAMTALE_TRY_VOID(read_keys(snapshot.connection(), keys_));
  SAMTALE_TRY_VOID(read_endpoints(snapshot.connection(), endpoints_));
  SAMTALE_TRY_VOID(load_analyzers(snapshot.connection()));
  SAMTALE_TRY_VOID(load_subscriptions(snapshot.connection()));
  return load_lm_settings(snapshot.connection());
}

Result<CompanyId> SqliteRegistry::add_company(const CompanyRecord& record) {
  SAMTALE_TRY_VOID(check_company_name(record.name));
  SAMTALE_TRY(auto transaction, database_->begin());
  auto& connection = transaction.connection();
  SAMTALE_TRY_VOID(connection.run(
      "INSERT INTO companies(name, weight, events_per_second_max, conversations_max, created_us) "
      "VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(name) DO NOTHING",
      record.name, record.weight, record.events_per_second_max, record.conversations_max,
      to_us(record.created_at)));
  if (connection.changes() == 0) return name_in_use(record.name);
  auto added = record;
  added.id = static_cast<CompanyId>(connection.last_insert_id());
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::tenants)];
  companies_[added.id] = added;
  return added.id;
}

Result<> SqliteRegistry::update_company(const CompanyRecord& record) {
  SAMTALE_TRY(auto transaction, database_->begin());
  auto& connection = transaction.connection();
  SAMTALE_TRY_VOID(connection.run(
      "UPDATE companies SET weight = ?2, events_per_second_max = ?3, "
      "conversations_max = ?4 WHERE id = ?1",
      record.id, record.weight, record.events_per_second_max, record.conversations_max));
  if (connection.changes() == 0) {
    return fail(ErrorCode::not_found, "there is no company " + std::to_string(number(record.id)));
  }
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::tenants)];
  auto& kept = companies_[record.id];
  kept.weight = record.weight;
  kept.events_per_second_max = record.events_per_second_max;
  kept.conversations_max = record.conversations_max;
  return {};
}

Result<> SqliteRegistry::set_split(CompanyId, bool) {
  return fail(ErrorCode::invalid_argument,
              "a company is split over several servers, which need store.kind = \"postgres\"");
}

Result<std::vector<CompanyRecord>> SqliteRegistry::companies() const {
  const std::lock_guard lock(records_mutex_);
  return all_of(companies_);
}

Result<> SqliteRegistry::put_key(const KeyRecord& record) {
  SAMTALE_TRY(auto transaction, database_->begin());
  SAMTALE_TRY_VOID(transaction.connection().run(
      "INSERT OR REPLACE INTO keys(id, company, secret_hash, label, rights, created_us, "
      "expires_us, revoked_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
      record.id, record.company, Blob{record.secret_hash}, record.label, rights_of(record),
      to_us(record.created_at), optional_us(record.expires_at), optional_us(record.revoked_at)));
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::tenants)];
  keys_[record.id] = record;
  return {};
}

Result<std::vector<KeyRecord>> SqliteRegistry::keys() const {
  const std::lock_guard lock(records_mutex_);
  return all_of(keys_);
}

Result<> SqliteRegistry::put_endpoint(const EndpointRecord& record) {
  SAMTALE_TRY(auto transaction, database_->begin());
  auto& connection = transaction.connection();
  SAMTALE_TRY_VOID(connection.run(
      "INSERT OR REPLACE INTO endpoints(id, company, preset, source, idle_timeout_us, created_us, "
      "revoked_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      record.id, record.company, record.preset, record.source,
      record.idle_timeout / std::chrono::microseconds(1), to_us(record.created_at),
      optional_us(record.revoked_at)));
  SAMTALE_TRY_VOID(connection.run("DELETE FROM endpoint_secrets WHERE endpoint = ?1", record.id));
  for (std::size_t place = 0; place < record.secrets.size(); ++place) {
    const auto& secret = record.secrets[place];
    SAMTALE_TRY_VOID(connection.run(
        "INSERT INTO endpoint_secrets(endpoint, place, secret, expires_us) VALUES(?1, ?2, ?3, ?4)",
        record.id, place, secret.secret, optional_us(secret.expires_at)));
  }
  SAMTALE_TRY_VOID(transaction.commit());
  const std::lock_guard lock(records_mutex_);
  ++versions_[static_cast<std::size_t>(RegistryPart::tenants)];
  endpoints_[record.id] = record;
  return {};
}

Result<std::vector<EndpointRecord>> SqliteRegistry::endpoints() const {
  const std::lock_guard lock(records_mutex_);
  return all_of(endpoints_);
}

Result<std::uint64_t> SqliteRegistry::version(RegistryPart part) const {
  const std::lock_guard lock(records_mutex_);
  return versions_[static_cast<std::size_t>(part)];
}

}  // namespace samtale

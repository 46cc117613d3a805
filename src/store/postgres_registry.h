// PostgresRegistry: the registry in PostgreSQL, in the store's schema.
#pragma once

#include <vector>

#include "postgres/database.h"
#include "store/registry.h"

namespace samtale {

// Nothing is kept in memory: a list is what all processes have put there so far. What has been
// revoked stays so, whatever a process puts there that had not heard of it.
// Threads: any method from any thread.
// Errors:  those of postgres::Connection; permission_denied for a record whose id is another
//          company's.
class PostgresRegistry final : public Registry {
 public:
  // `database` has the store's tables (PostgresStore::database()) and must outlive the registry.
  explicit PostgresRegistry(postgres::Database& database) : database_(database) {}

  // Also invalid_argument for a name outside [a-z0-9][a-z0-9-]{0,62}.
  Result<CompanyId> add_company(const CompanyRecord& record) override;
  Result<> update_company(const CompanyRecord& record) override;
  Result<> set_split(CompanyId company, bool is_split) override;
  [[nodiscard]] Result<std::vector<CompanyRecord>> companies() const override;
  Result<> put_key(const KeyRecord& record) override;
  [[nodiscard]] Result<std::vector<KeyRecord>> keys() const override;
  Result<> put_endpoint(const EndpointRecord& record) override;
  [[nodiscard]] Result<std::vector<EndpointRecord>> endpoints() const override;
  Result<> put_analyzer(const AnalyzerRecord& record) override;
  [[nodiscard]] Result<std::vector<AnalyzerRecord>> analyzers() const override;
  Result<> put_subscription(const SubscriptionRecord& record) override;
  [[nodiscard]] Result<std::vector<SubscriptionRecord>> subscriptions() const override;
  Result<> put_lm_settings(const LmSettingsRecord& record) override;
  [[nodiscard]] Result<std::vector<LmSettingsRecord>> lm_settings() const override;
  [[nodiscard]] Result<std::uint64_t> version(RegistryPart part) const override;

 private:
  postgres::Database& database_;
};

}  // namespace samtale

// SqliteRegistry: the registry in control.db, answered from memory.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sqlite/database.h"
#include "store/registry.h"

namespace samtale {

struct SqliteRegistryOptions {
  std::string folder;           // Must exist (sqlite/data_folder.h); the file is control.db.
  std::string vfs;              // Name of a registered SQLite VFS; empty: the default.
  std::size_t readers_max = 1;  // 0: see sqlite::DatabaseOptions.
};

// Threads: any method from any thread.
// Memory:  all records.
class SqliteRegistry final : public Registry {
 public:
  // Makes the file if there is none. Errors: corrupt, unavailable.
  [[nodiscard]] static Result<std::unique_ptr<SqliteRegistry>> open(
      const SqliteRegistryOptions& options);

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
  explicit SqliteRegistry(std::unique_ptr<sqlite::Database> database)
      : database_(std::move(database)) {}
  Result<> load();
  // Under records_mutex_.
  Result<> load_analyzers(sqlite::Connection& connection);
  Result<> load_subscriptions(sqlite::Connection& connection);
  Result<> load_lm_settings(sqlite::Connection& connection);

  const std::unique_ptr<sqlite::Database> database_;
  mutable std::mutex records_mutex_;  // Taken after the writing connection, never before.
  std::map<CompanyId, CompanyRecord> companies_;  // All below guarded by records_mutex_.
  std::map<std::string, KeyRecord> keys_;
  std::map<std::string, EndpointRecord> endpoints_;
  std::map<std::tuple<CompanyId, std::string, std::int64_t>, AnalyzerRecord> analyzers_;
  std::map<std::pair<CompanyId, std::string>, SubscriptionRecord> subscriptions_;
  std::map<CompanyId, LmSettingsRecord> lm_settings_;
  std::array<std::uint64_t, 3>
      versions_{};  // Of the parts, since it was opened: nobody else has the file.
};

}  // namespace samtale

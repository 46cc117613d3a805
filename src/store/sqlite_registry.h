// SqliteRegistry: the registry in control.db, answered from memory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
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
  [[nodiscard]] Result<std::vector<CompanyRecord>> companies() const override;
  Result<> put_key(const KeyRecord& record) override;
  [[nodiscard]] Result<std::vector<KeyRecord>> keys() const override;
  Result<> put_endpoint(const EndpointRecord& record) override;
  [[nodiscard]] Result<std::vector<EndpointRecord>> endpoints() const override;

 private:
  explicit SqliteRegistry(std::unique_ptr<sqlite::Database> database)
      : database_(std::move(database)) {}
  Result<> load();

  const std::unique_ptr<sqlite::Database> database_;
  mutable std::mutex records_mutex_;  // Taken after the writing connection, never before.
  std::map<CompanyId, CompanyRecord> companies_;     // Guarded by records_mutex_.
  std::map<std::string, KeyRecord> keys_;            // Guarded by records_mutex_.
  std::map<std::string, EndpointRecord> endpoints_;  // Guarded by records_mutex_.
};

}  // namespace samtale

// What the configuration keeps everything in.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/cli.h"
#include "cluster/members.h"
#include "config/config.h"
#include "queue/rabbit_queue.h"
#include "store/postgres_history.h"
#include "store/registry.h"
#include "store/store.h"
#include "store/vector_search.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

// The others may lie in the store's database: it goes last.
struct Stores {
  std::unique_ptr<Store> store;
  std::unique_ptr<Registry> registry;
  // Where jobs go through a broker; else null, and they come from the store's queue.
  std::unique_ptr<RabbitTopology> topology;
  std::unique_ptr<RabbitQueue> broker_queue;
  RabbitSessionOptions broker;  // How it is reached.
  // Compares vectors where search.backend is pgvector; else null. Of one embedding model.
  std::function<Result<std::unique_ptr<VectorSearch>>(std::string model, std::size_t dimension)>
      open_vector_search;
  // Where others share the store; else null and empty.
  std::unique_ptr<postgres::Database>
      members_database;  // Nobody else's work delays its one connection.
  std::unique_ptr<Members> members;
  std::string node;   // Our name among them.
  std::string place;  // As Members::beat wants it.
  // What this node had leased before it was started again is due at once. Only once it has joined:
  // nobody else has its name.
  std::function<Result<>()> end_leases;
  // What nodes had leased that are gone is due at once. Else empty.
  std::function<Result<>(const std::function<bool(std::string_view node)>& is_gone)> end_leases_of;
  // See PostgresStore::look_back, PostgresQueue::look_again and Database::unsafe_settings; unset
  // where the store is our own.
  std::function<Result<PostgresLook>()> look_back;
  std::function<void(Partition)> look_for_jobs;
  std::function<postgres::PoolStats()> pool_stats;
  std::function<Result<std::vector<std::string>>()> unsafe_settings;
};

// Brings the tables of store.kind=postgres up to date; see postgres::Database::migrate.
[[nodiscard]] Result<StoreVersions> migrate_store(
    const Config& config, const StoreGrants& grants,
    const std::function<void(std::string_view)>& tell);
// Its SQL; see postgres::migration_sql.
[[nodiscard]] Result<std::string> store_migration_sql(const Config& config, std::size_t from,
                                                      const StoreGrants& grants);

// See PostgresPartitions. Errors: not_found if there is no such company; those of Database.
[[nodiscard]] Result<std::vector<MovedTable>> move_company(
    const Config& config, const std::string& company, bool to_its_own,
    const std::function<void(std::string_view)>& tell);

// `folder`: the data folder, locked. `has_written`: SqliteStoreOptions'; what is written to a store
// that is shared, look_back() finds. `clock`, `random` and `log` must outlive what is made. Errors:
// those of SqliteStore::open and PostgresStore::open.
[[nodiscard]] Result<Stores> open_stores(const Config& config, const std::string& folder,
                                         std::function<void(Partition)> has_written, Files& files,
                                         Clock& clock, Random& random, Log& log);

}  // namespace samtale

#include "server/stores.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/bytes.h"
#include "postgres/server_version.h"
#include "server/options.h"
#include "store/postgres_partitions.h"
#include "store/postgres_registry.h"
#include "store/postgres_schema.h"
#include "store/postgres_store.h"
#include "store/postgres_vectors.h"
#include "store/sqlite_registry.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

constexpr std::size_t kNodeIdBytes = 15;
constexpr std::size_t kNodeIdLength = 24;  // In base32.

// Names this server's accept log, and the server, among those that share a store. Made once, kept
// in the data folder: it goes where the log goes.
Result<std::string> read_or_make_node_id(Files& files, Random& random, const std::string& folder) {
  const auto path = folder + "/node.id";
  SAMTALE_TRY(const auto file, files.open(path, true));
  SAMTALE_TRY(auto id, file->read_at(0, kNodeIdLength + 1));
  if (id.size() > kNodeIdLength) {
    return fail(ErrorCode::corrupt, path + ": no id of a node; put back the file that was there");
  }
  if (id.size() == kNodeIdLength) return id;
  id = base32(random.bytes(kNodeIdBytes));
  SAMTALE_TRY_VOID(file->write_at(0, id));
  SAMTALE_TRY_VOID(file->sync());
  SAMTALE_TRY_VOID(files.sync_folder(folder));
  return id;
}

// A copy of the folder has another: on this machine another inode or device, and another machine, a
// clone of this one too, was started at another time.
Result<std::string> place_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return fail(ErrorCode::unavailable, path + ": " + std::strerror(errno));
  }
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  std::getline(file, boot);
  return boot + ":" + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

// For work on the tables, by whoever may.
Result<std::unique_ptr<postgres::Database>> open_for_maintenance(PostgresStoreOptions options,
                                                                 Clock& clock) {
  options.database.migrate = false;
  options.database.for_maintenance = true;
  return postgres::Database::open(options.database, clock,
                                  postgres_store_schema(options.hash_partitions));
}

Result<> add_pgvector(const PostgresStoreOptions& options, Clock& clock) {
  SAMTALE_TRY(const auto database, open_for_maintenance(options, clock));
  SAMTALE_TRY(const auto pgvector, find_pgvector(*database));
  return add_embedding_column(*database, pgvector);
}

postgres::Grants postgres_grants(const StoreGrants& grants) {
  return {.server = grants.server, .token = grants.token, .token_tables = token_tables()};
}

}  // namespace

Result<Stores> open_stores(const Config& config, const std::string& folder,
                           std::function<void(Partition)> has_written, Files& files, Clock& clock,
                           Random& random, Log& log) {
  Stores stores;
  if (config.store.kind == "postgres") {
    SAMTALE_TRY(auto options, postgres_store_options(config));
    SAMTALE_TRY(options.log, read_or_make_node_id(files, random, folder));
    options.queue.node = options.log;
    stores.node = options.log;
    SAMTALE_TRY(auto store, PostgresStore::open(options, clock, random));
    SAMTALE_TRY(const auto advice, postgres::advice_on_version(store->database()));
    if (!advice.empty()) log.warn("store.old_postgres", {{"what", advice}});
    stores.registry = std::make_unique<PostgresRegistry>(store->database());
    auto for_members = options.database;
    for_members.pool.connections_max = 1;
    for_members.pool.statement_timeout =
        std::min<Duration>(for_members.pool.statement_timeout, std::chrono::seconds(5));
    SAMTALE_TRY(stores.members_database,
                postgres::Database::open(for_members, clock,
                                         postgres_store_schema(options.hash_partitions)));
    stores.members = std::make_unique<Members>(*stores.members_database);
    SAMTALE_TRY(stores.place, place_of(folder + "/node.id"));
    SAMTALE_TRY(auto broker, broker_options(config));
    if (broker) {
      stores.broker = broker->queue.session;
      stores.topology =
          std::make_unique<RabbitTopology>(std::move(broker->prefix), std::move(broker->kinds));
      stores.broker_queue = std::make_unique<RabbitQueue>(store->queue(), *stores.topology, clock,
                                                          random, log, broker->queue);
    }
    if (options.has_pgvector) {
      stores.open_vector_search =
          [it = store.get(), &log](std::string model,
                                   std::size_t dimension) -> Result<std::unique_ptr<VectorSearch>> {
        return PostgresVectors::open(
            it->database(),
            {.model = std::move(model), .dimension = dimension, .partitions = it->partitions()},
            log);
      };
    }
    stores.end_leases = [it = store.get()] { return it->end_leases(); };
    stores.end_leases_of = [it = store.get()](const auto& is_gone) {
      return it->end_leases_of(is_gone);
    };
    stores.look_back = [it = store.get()] { return it->look_back(); };
    stores.look_for_jobs = [it = store.get()](Partition partition) {
      it->queue().look_again(partition);
    };
    stores.pool_stats = [it = store.get()] { return it->database().pool().stats(); };
    stores.unsafe_settings = [it = store.get()] { return it->database().unsafe_settings(); };
    stores.store = std::move(store);
    return stores;
  }
  SAMTALE_TRY(stores.registry, SqliteRegistry::open({.folder = folder, .vfs = {}}));
  auto options = sqlite_store_options(config);
  options.has_written = std::move(has_written);
  SAMTALE_TRY(stores.store, SqliteStore::open(options, clock, random));
  return stores;
}

Result<StoreVersions> migrate_store(const Config& config, const StoreGrants& grants,
                                    const std::function<void(std::string_view)>& tell) {
  if (config.store.kind != "postgres") {
    return fail(ErrorCode::invalid_argument,
                "store.kind is " + config.store.kind +
                    "; a server brings its files up to date itself, there is nothing to do");
  }
  SAMTALE_TRY(const auto options, postgres_store_options(config));
  SystemClock clock;
  const auto tell_step = [&](const postgres::MigrationStep& step) {
    const auto number = std::to_string(step.number) + " of " + std::to_string(step.last);
    tell(step.given_way == 0 ? "migration " + number
                             : "migration " + number + ", having given way to others " +
                                   std::to_string(step.given_way) + " times");
  };
  SAMTALE_TRY(const auto versions,
              postgres::Database::migrate(options.database, clock,
                                          postgres_store_schema(options.hash_partitions),
                                          postgres_grants(grants), tell_step));
  if (options.has_pgvector) SAMTALE_TRY_VOID(add_pgvector(options, clock));
  return StoreVersions{.before = versions.before, .after = versions.after};
}

Result<std::string> store_migration_sql(const Config& config, std::size_t from,
                                        const StoreGrants& grants) {
  SAMTALE_TRY(auto sql, postgres::migration_sql(config.store.schema,
                                                postgres_store_schema(config.store.hash_partitions),
                                                from, postgres_grants(grants)));
  if (config.search.backend == "pgvector") sql += embedding_column_sql(config.store.schema);
  return sql;
}

Result<std::vector<MovedTable>> move_company(const Config& config, const std::string& company,
                                             bool to_its_own,
                                             const std::function<void(std::string_view)>& tell) {
  if (config.store.kind != "postgres") {
    return fail(ErrorCode::invalid_argument,
                "store.kind is " + config.store.kind + "; partitions are PostgreSQL's");
  }
  SAMTALE_TRY(const auto options, postgres_store_options(config));
  SystemClock clock;
  SAMTALE_TRY(const auto database, open_for_maintenance(options, clock));
  SAMTALE_TRY(const auto found,
              database->read({}, "SELECT id FROM companies WHERE name = $1", company));
  if (found.empty()) return fail(ErrorCode::not_found, "there is no company " + company);
  PostgresPartitions partitions(*database, clock, tell);
  const auto id = static_cast<CompanyId>(found.integer(0, 0));
  SAMTALE_TRY(const auto moves, to_its_own ? partitions.promote(id) : partitions.demote(id));
  std::vector<MovedTable> moved;
  for (const auto& move : moves) {
    moved.push_back({.name = move.table,
                     .rows = move.rows,
                     .copying = move.copying,
                     .exchange = move.exchange});
  }
  return moved;
}

}  // namespace samtale

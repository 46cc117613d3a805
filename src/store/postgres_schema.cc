#include "store/postgres_schema.h"

#include <utility>

#include "postgres/company_table.h"
#include "queue/postgres_queue.h"
#include "store/registry.h"

namespace samtale {
namespace {

using postgres::Across;
using postgres::add;

void add_conversations(postgres::Migration& migration, std::size_t hash_partitions) {
  add(migration, {.name = "conversations",
                  .columns = "id bytea NOT NULL, sort_us bigint NOT NULL, channel bytea NOT NULL, "
                             "source bytea NOT NULL, external_id bytea NOT NULL, "
                             "revision bigint NOT NULL, received_us bigint NOT NULL, "
                             "updated_us bigint NOT NULL, turns bigint NOT NULL, "
                             "body bytea NOT NULL, state bytea NOT NULL, summary bytea NOT NULL",
                  .key = "id",
                  .hash_partitions = hash_partitions,
                  .across = Across::readers});
  add(migration, {.name = "chunks",
                  .columns = "conversation bytea NOT NULL, row bigint NOT NULL, "
                             "ordinal bigint NOT NULL, first_turn bigint NOT NULL, "
                             "last_turn bigint NOT NULL, digest bytea NOT NULL, "
                             "embed_error bytea NOT NULL, policy bytea NOT NULL, "
                             "header bytea NOT NULL, text bytea NOT NULL, "
                             "model bytea, vector bytea",
                  .key = "conversation, row",
                  .hash_partitions = hash_partitions});
  add(migration,
      {.name = "events",
       .columns = "key bytea NOT NULL, conversation bytea NOT NULL, "
                  "log bigint NOT NULL, position bigint NOT NULL, received_us bigint NOT NULL, "
                  "body_hash bytea NOT NULL",
       .key = "key",
       .hash_partitions = hash_partitions});
  add(migration, {.name = "tombstones",
                  .columns = "conversation bytea NOT NULL",
                  .key = "conversation",
                  .hash_partitions = hash_partitions});
  add(migration, {.name = "changes",
                  .columns = "sequence bigint NOT NULL, conversation bytea NOT NULL, "
                             "at_us bigint NOT NULL",
                  .key = "sequence",
                  .across = Across::trimmers});
  add(migration, {.name = "company_counts",
                  .columns = "conversations bigint NOT NULL, turns bigint NOT NULL, "
                             "chunks bigint NOT NULL, chunks_with_vector bigint NOT NULL, "
                             "events bigint NOT NULL",
                  .key = ""});
}

void add_analyses(postgres::Migration& migration, std::size_t hash_partitions) {
  add(migration, {.name = "analyses",
                  .columns = "conversation bytea NOT NULL, analyzer text COLLATE \"C\" NOT NULL, "
                             "version bigint NOT NULL, method text NOT NULL, "
                             "revision bigint NOT NULL, sort_us bigint NOT NULL, "
                             "created_us bigint NOT NULL, score double precision, "
                             "labels bytea NOT NULL, result bytea NOT NULL",
                  .key = "conversation, analyzer",
                  .hash_partitions = hash_partitions});
  add(migration, {.name = "analysis_labels",
                  .columns = "analyzer text COLLATE \"C\" NOT NULL, label bytea NOT NULL, "
                             "sort_us bigint NOT NULL, conversation bytea NOT NULL, "
                             "score double precision",
                  .key = "analyzer, label, sort_us, conversation",
                  .hash_partitions = hash_partitions});
  add(migration, {.name = "lm_results",
                  .columns = "key bytea NOT NULL, conversation bytea NOT NULL, "
                             "created_us bigint NOT NULL, result bytea NOT NULL",
                  .key = "key",
                  .hash_partitions = hash_partitions});
  add(migration, {.name = "lm_spend",
                  .columns = "day text COLLATE \"C\" NOT NULL, "
                             "analyzer text COLLATE \"C\" NOT NULL, "
                             "spent_tokens bigint NOT NULL, spent_micro_usd bigint NOT NULL, "
                             "held_tokens bigint NOT NULL, held_micro_usd bigint NOT NULL, "
                             "requests bigint NOT NULL",
                  .key = "day, analyzer"});
  add(migration, {.name = "overrides",
                  .columns = "conversation bytea NOT NULL, analyzer text COLLATE \"C\" NOT NULL, "
                             "made_by bytea NOT NULL, made_us bigint NOT NULL, "
                             "revision bigint NOT NULL, note bytea NOT NULL, result bytea NOT NULL",
                  .key = "conversation, analyzer"});
  add(migration, {.name = "campaigns",
                  .columns = "id text COLLATE \"C\" NOT NULL, state text NOT NULL, "
                             "cursor text NOT NULL, total bigint NOT NULL, seen bigint NOT NULL, "
                             "asked bigint NOT NULL, created_us bigint NOT NULL, "
                             "updated_us bigint NOT NULL, filter bytea NOT NULL, "
                             "estimate bytea NOT NULL",
                  .key = "id",
                  .across = Across::readers});
  add(migration, {.name = "lm_batches",
                  .columns = "name text COLLATE \"C\" NOT NULL, id bytea NOT NULL, "
                             "created_us bigint NOT NULL, wanted_by_us bigint NOT NULL, "
                             "requests bytea NOT NULL",
                  .key = "name",
                  .across = Across::readers});
}

postgres::Migration store_schema_1(std::size_t hash_partitions) {
  postgres::Migration migration;
  auto& statements = migration.statements;
  statements = {
      "CREATE TABLE store(one boolean PRIMARY KEY CHECK (one), key bytea NOT NULL, "
      "partitions bigint NOT NULL)",
      "ALTER TABLE partitions ADD last_change bigint NOT NULL DEFAULT 0, "
      "ADD writes bigint NOT NULL DEFAULT 0",
      "CREATE TABLE logs(log bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
      "name text COLLATE \"C\" NOT NULL UNIQUE)",
      "CREATE TABLE log_offsets(partition bigint, log bigint, next bigint NOT NULL, "
      "PRIMARY KEY(partition, log))",
      "CREATE TABLE writes(partition bigint, slot bigint, number bigint NOT NULL, "
      "token bytea NOT NULL, PRIMARY KEY(partition, slot))",
      // Times of the database's clock; see cluster/members.h.
      "CREATE TABLE nodes(node text COLLATE \"C\" PRIMARY KEY, place bytea NOT NULL, "
      "url bytea NOT NULL, roles text NOT NULL, ready bigint NOT NULL, "
      "until timestamptz NOT NULL)",
      "CREATE TABLE leases(name text COLLATE \"C\" PRIMARY KEY, node text NOT NULL, "
      "until timestamptz NOT NULL)",
      "CREATE SEQUENCE chunk_rows"};
  add_conversations(migration, hash_partitions);
  add_analyses(migration, hash_partitions);
  for (const auto* statement :
       {"CREATE INDEX conversations_by_time ON conversations(company, sort_us, id)",
        "CREATE INDEX conversations_by_channel ON conversations(company, channel, sort_us, id)",
        "CREATE INDEX conversations_by_source ON conversations(company, source, sort_us, id)",
        "CREATE INDEX conversations_by_external_id ON conversations(company, external_id)",
        "CREATE INDEX conversations_by_partition ON conversations(partition, company, id)",
        "CREATE INDEX events_by_conversation ON events(company, conversation, log, position)",
        "CREATE UNIQUE INDEX changes_in_order ON changes(partition, sequence)",
        "CREATE INDEX analyses_by_time ON analyses(company, analyzer, sort_us, conversation)",
        "CREATE INDEX analysis_labels_by_time "
        "ON analysis_labels(company, analyzer, sort_us, label, score)",
        "CREATE INDEX analysis_labels_by_conversation "
        "ON analysis_labels(company, conversation, analyzer)",
        "CREATE INDEX lm_results_by_conversation ON lm_results(company, conversation, key)",
        "CREATE INDEX campaigns_running ON campaigns(partition, company, id) "
        "WHERE state = 'running'",
        // What is packed already is not packed again.
        "ALTER TABLE conversations ALTER body SET STORAGE EXTERNAL, "
        "ALTER state SET STORAGE EXTERNAL, ALTER summary SET STORAGE EXTERNAL",
        "ALTER TABLE chunks ALTER text SET STORAGE EXTERNAL, ALTER vector SET STORAGE EXTERNAL",
        "ALTER TABLE analyses ALTER result SET STORAGE EXTERNAL",
        "ALTER TABLE lm_results ALTER result SET STORAGE EXTERNAL",
        "CREATE INDEX lm_batches_by_partition ON lm_batches(partition, company, name)"}) {
    statements.emplace_back(statement);
  }
  return migration;
}

// One a table, so that each lock is held for a moment only.
std::vector<postgres::Migration> own_partitions() {
  std::vector<postgres::Migration> migrations;
  const auto add_table = [&](const char* name, const char* key,
                             const std::vector<postgres::Index>& indexes = {},
                             Across across = Across::nobody) {
    add_own_partitions(migrations.emplace_back(),
                       {.name = name, .columns = "", .key = key, .across = across}, indexes);
  };
  add_table("conversations", "id",
            {{"conversations_by_time", "company, sort_us, id"},
             {"conversations_by_channel", "company, channel, sort_us, id"},
             {"conversations_by_source", "company, source, sort_us, id"},
             {"conversations_by_external_id", "company, external_id"},
             {"conversations_by_partition", "partition, company, id"}},
            Across::readers);
  add_table("chunks", "conversation, row");
  add_table("events", "key", {{"events_by_conversation", "company, conversation, log, position"}});
  add_table("tombstones", "conversation");
  add_table("analyses", "conversation, analyzer",
            {{"analyses_by_time", "company, analyzer, sort_us, conversation"}});
  add_table("analysis_labels", "analyzer, label, sort_us, conversation",
            {{"analysis_labels_by_time", "company, analyzer, sort_us, label, score"},
             {"analysis_labels_by_conversation", "company, conversation, analyzer"}});
  add_table("lm_results", "key", {{"lm_results_by_conversation", "company, conversation, key"}});
  auto& others = migrations.emplace_back();
  for (const auto* table : {"jobs", "dead_letters", "changes", "overrides"}) {
    forget_sizes(others, table);
  }
  return migrations;
}

// Vectors once more, as pgvector compares them. The column that has them is pgvector's to make:
// postgres_vectors.h adds it, where that is used.
postgres::Migration embeddings(std::size_t hash_partitions) {
  postgres::Migration migration;
  const postgres::CompanyTable table{
      .name = "embeddings",
      .columns = "conversation bytea NOT NULL, row bigint NOT NULL, model bytea NOT NULL",
      .key = "conversation, row",
      .hash_partitions = hash_partitions};
  add(migration, table);
  add_own_partitions(migration, table, {});
  return migration;
}

// Which companies' indexes are split over several nodes, and what of it the nodes have.
postgres::Migration split_companies() {
  postgres::Migration migration;
  migration.statements = {
      "ALTER TABLE companies ADD is_split boolean NOT NULL DEFAULT false, "
      "ADD layout bigint NOT NULL DEFAULT 0",
      "ALTER TABLE nodes ADD slices bigint NOT NULL DEFAULT 1, "
      "ADD layout bigint NOT NULL DEFAULT 0"};
  return migration;
}

postgres::Migration registry_schema_1() {
  postgres::Migration migration;
  auto& statements = migration.statements;
  statements = {
      "CREATE TABLE companies(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
      "name text COLLATE \"C\" NOT NULL UNIQUE, weight double precision NOT NULL, "
      "events_per_second_max bigint NOT NULL, conversations_max bigint NOT NULL, "
      "created_us bigint NOT NULL)"};
  // Counted by the database, so that no change is missed; once a transaction, and in it: who reads
  // the number sees what it counts.
  statements.emplace_back(
      "CREATE TABLE registry_versions(part bigint PRIMARY KEY, version bigint NOT NULL, "
      "by_transaction xid8 NOT NULL)");
  statements.emplace_back(
      "INSERT INTO registry_versions SELECT part, 0, '0' FROM generate_series(0, 2) AS part");
  statements.emplace_back(
      "CREATE FUNCTION count_registry_change() RETURNS trigger LANGUAGE plpgsql "
      "SET search_path FROM CURRENT AS "
      "'BEGIN UPDATE registry_versions SET version = version + 1, "
      "by_transaction = pg_current_xact_id() "
      "WHERE part = TG_ARGV[0]::bigint AND by_transaction <> pg_current_xact_id(); "
      "RETURN NULL; END'");
  const auto count_changes_of = [&](const std::string& table, RegistryPart part) {
    statements.push_back(
        "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE "
        "ON " +
        table + " EXECUTE FUNCTION count_registry_change('" +
        std::to_string(static_cast<int>(part)) + "')");
  };
  count_changes_of("companies", RegistryPart::tenants);
  const auto add_registry = [&](const char* name, RegistryPart part, const char* columns,
                                const char* key) {
    add(migration, {.name = name, .columns = columns, .key = key, .across = Across::registry});
    count_changes_of(name, part);
  };
  // A key and an endpoint are found by their id alone.
  add_registry("keys", RegistryPart::tenants,
               "id text COLLATE \"C\" NOT NULL UNIQUE, secret_hash bytea NOT NULL, "
               "label bytea NOT NULL, rights bigint NOT NULL, created_us bigint NOT NULL, "
               "expires_us bigint, revoked_us bigint",
               "id");
  add_registry("endpoints", RegistryPart::tenants,
               "id text COLLATE \"C\" NOT NULL UNIQUE, preset bytea NOT NULL, "
               "source bytea NOT NULL, idle_timeout_us bigint NOT NULL, "
               "created_us bigint NOT NULL, revoked_us bigint",
               "id");
  add_registry("analyzers", RegistryPart::analyzers,
               "name text COLLATE \"C\" NOT NULL, version bigint NOT NULL, "
               "created_us bigint NOT NULL, is_deleted boolean NOT NULL, "
               "definition bytea NOT NULL",
               "name, version");
  add_registry("subscriptions", RegistryPart::subscriptions,
               "id text COLLATE \"C\" NOT NULL, url bytea NOT NULL, events bytea NOT NULL, "
               "created_us bigint NOT NULL, revoked_us bigint, paused_why bytea NOT NULL, "
               "failing_since_us bigint",
               "id");
  for (const auto& [secrets, part] : {std::pair("endpoint_secrets", RegistryPart::tenants),
                                      {"subscription_secrets", RegistryPart::subscriptions}}) {
    add_registry(secrets, part,
                 "owner text COLLATE \"C\" NOT NULL, place bigint NOT NULL, "
                 "secret bytea NOT NULL, expires_us bigint",
                 "owner, place");
  }
  add_registry("lm_settings", RegistryPart::analyzers, "settings bytea NOT NULL", "");
  return migration;
}

}  // namespace

// How far behind the nodes are, and how much they do.
postgres::Migration load_of_nodes() {
  postgres::Migration migration;
  migration.statements = {
      "ALTER TABLE nodes ADD lag bigint NOT NULL DEFAULT 0, "
      "ADD requests_per_second bigint NOT NULL DEFAULT 0"};
  return migration;
}

std::vector<postgres::Migration> postgres_store_schema(std::size_t hash_partitions) {
  std::vector<postgres::Migration> migrations = {
      postgres_queue_schema_1(), store_schema_1(hash_partitions), registry_schema_1()};
  for (auto& migration : own_partitions()) migrations.push_back(std::move(migration));
  migrations.push_back(embeddings(hash_partitions));
  migrations.push_back(split_companies());
  migrations.push_back(load_of_nodes());
  return migrations;
}

std::vector<std::string> token_tables() {
  return {"conversations", "chunks", "analyses", "analysis_labels"};
}

}  // namespace samtale

#include "postgres/company_table.h"

namespace samtale::postgres {
namespace {

// A setting of one transaction is left empty, not absent, after it.
std::string setting(const std::string& name) {
  return "nullif(current_setting('samtale." + name + "', true), '')::bigint";
}

void force_row_security(Migration& migration, const std::string& table) {
  migration.statements.push_back("ALTER TABLE " + table +
                                 " ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
}

bool is_read_across(const CompanyTable& table) {
  return table.across == Across::readers || table.across == Across::trimmers;
}

std::string primary_key(const CompanyTable& table) {
  return "PRIMARY KEY(company" + (table.key.empty() ? "" : ", " + table.key) + ")";
}

void add_policies(Migration& migration, const CompanyTable& table) {
  auto& statements = migration.statements;
  force_row_security(migration, table.name);
  statements.push_back("CREATE POLICY of_company ON " + table.name +
                       " USING (company = " + setting("company") + ")");
  if (is_read_across(table)) {
    statements.push_back("CREATE POLICY of_partition ON " + table.name +
                         " FOR SELECT USING (partition = " + setting("partition") + ")");
  }
  if (table.across == Across::registry) {
    statements.push_back("CREATE POLICY of_all ON " + table.name +
                         " FOR SELECT USING (current_setting('samtale.all_companies', true) = "
                         "'on')");
  }
  if (table.across == Across::trimmers) {
    statements.push_back("CREATE POLICY trim_partition ON " + table.name +
                         " FOR DELETE USING (partition = " + setting("partition") + ")");
  }
}

}  // namespace

void add(Migration& migration, const CompanyTable& table) {
  auto& statements = migration.statements;
  statements.push_back("CREATE TABLE " + table.name + "(company bigint NOT NULL, " +
                       (is_read_across(table) ? "partition bigint NOT NULL, " : "") +
                       table.columns + ", " + primary_key(table) + ")" +
                       (table.hash_partitions == 0 ? "" : " PARTITION BY HASH (company)"));
  for (std::size_t i = 0; i < table.hash_partitions; ++i) {
    const auto part = table.name + "_" + std::to_string(i);
    statements.push_back("CREATE TABLE " + part + " PARTITION OF " + table.name +
                         " FOR VALUES WITH (MODULUS " + std::to_string(table.hash_partitions) +
                         ", REMAINDER " + std::to_string(i) + ")");
    force_row_security(migration, part);
  }
  add_policies(migration, table);
}

void forget_sizes(Migration& migration, const std::string& table) {
  migration.statements.push_back("ALTER TABLE " + table + " ALTER company SET STATISTICS 0");
}

void add_own_partitions(Migration& migration, const CompanyTable& table,
                        const std::vector<Index>& indexes) {
  auto& statements = migration.statements;
  const auto& name = table.name;
  const auto shared = name + "_shared";
  const auto rename_index = [&](const std::string& index) {
    statements.push_back("ALTER INDEX " + index + " RENAME TO " + shared +
                         index.substr(name.size()));
  };
  statements.push_back("ALTER TABLE " + name + " RENAME TO " + shared);
  rename_index(name + "_pkey");
  for (const auto& index : indexes) rename_index(index.name);
  statements.push_back("CREATE TABLE " + name + "(LIKE " + shared +
                       " INCLUDING ALL EXCLUDING INDEXES) PARTITION BY LIST (company)");
  statements.push_back("ALTER TABLE " + name + " ADD " + primary_key(table));
  for (const auto& index : indexes) {
    statements.push_back("CREATE INDEX " + index.name + " ON " + name + "(" + index.columns + ")");
  }
  add_policies(migration, table);
  // As all of PostgreSQL's partitions: only the way through the table opens it.
  statements.push_back("DROP POLICY of_company ON " + shared);
  if (is_read_across(table)) statements.push_back("DROP POLICY of_partition ON " + shared);
  statements.push_back("ALTER TABLE " + name + " ATTACH PARTITION " + shared + " DEFAULT");
  forget_sizes(migration, name);
}

}  // namespace samtale::postgres

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

}  // namespace

void add(Migration& migration, const CompanyTable& table) {
  auto& statements = migration.statements;
  const bool is_across = table.across == Across::readers || table.across == Across::trimmers;
  statements.push_back("CREATE TABLE " + table.name + "(company bigint NOT NULL, " +
                       (is_across ? "partition bigint NOT NULL, " : "") + table.columns +
                       ", PRIMARY KEY(company" + (table.key.empty() ? "" : ", ") + table.key +
                       "))" + (table.hash_partitions == 0 ? "" : " PARTITION BY HASH (company)"));
  for (std::size_t i = 0; i < table.hash_partitions; ++i) {
    const auto part = table.name + "_" + std::to_string(i);
    statements.push_back("CREATE TABLE " + part + " PARTITION OF " + table.name +
                         " FOR VALUES WITH (MODULUS " + std::to_string(table.hash_partitions) +
                         ", REMAINDER " + std::to_string(i) + ")");
    force_row_security(migration, part);
  }
  force_row_security(migration, table.name);
  statements.push_back("CREATE POLICY of_company ON " + table.name +
                       " USING (company = " + setting("company") + ")");
  if (is_across) {
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

}  // namespace samtale::postgres

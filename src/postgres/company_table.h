// Tables whose rows belong to companies, and the policies that keep them apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "postgres/database.h"

namespace samtale::postgres {

// Who sees a row beside its own company (Scope::partition).
enum class Across : std::uint8_t {
  nobody,
  readers,   // Who reads the partition's rows of all companies.
  trimmers,  // Who may also delete them.
  registry,  // Who reads what the server knows of all companies (Scope::all_companies).
};

// Every row has a `company`, and a `partition` where those of one read it; neither is in
// `columns`.
struct CompanyTable {
  std::string name;
  std::string columns;              // "id bytea NOT NULL, …".
  std::string key;                  // Of the primary key, after company: "id"; may be empty.
  std::size_t hash_partitions = 0;  // Of PostgreSQL's, by hash of the company; 0: one plain table.
  Across across = Across::nobody;
};

struct Index {
  std::string name;  // Begins with the table's.
  std::string columns;
};

// Adds the statements that make it. Row-level security is forced, on the owner too; PostgreSQL's
// partitions, which only their parent's policies should open, have no policy of their own.
void add(Migration& migration, const CompanyTable& table);

// Adds the statement after which PostgreSQL takes any company to have a 200th of the table's rows.
// From statistics it would take one that came, or grew, since they were made to have none, find all
// indexes that begin with the company equally good, and walk the whole company for one row.
void forget_sizes(Migration& migration, const std::string& table);

// Adds the statements that put a table with hash partitions, called NAME_shared from then on, under
// one of its name that is partitioned by list of companies, as its DEFAULT: so that a company can
// have a partition of its own beside it. No row is read or moved. `indexes`: all but the primary
// key.
void add_own_partitions(Migration& migration, const CompanyTable& table,
                        const std::vector<Index>& indexes);

}  // namespace samtale::postgres

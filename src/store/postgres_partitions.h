// PostgresPartitions: gives a company partitions of its own in PostgreSQL's large tables, and takes
// them back, while servers work on them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "postgres/database.h"
#include "sys/clock.h"

namespace samtale {

// What was done to one table.
struct PartitionMove {
  std::string table;
  std::int64_t rows = 0;  // Copied: of the company, and of those it shared a partition with.
  Duration copying{};
  Duration exchange{};  // Nobody could use the table for so long.
};

// A table at a time: the shared partition that the company is in is copied into two, one of the
// company and one of the others, while triggers repeat what is written meanwhile; then the two take
// its place in one transaction, which moves no row (docs/adr/0037-own-partitions.md). Taking back
// makes one of two in the same way. What was cut short is cleared away, and done anew, by the next.
// Threads: one. Two processes at once: one of them fails.
// Errors:  those of Database. The tables are whole and as they were, or done: never in between.
class PostgresPartitions {
 public:
  // `tell` gets a line at each step. All must outlive it.
  PostgresPartitions(postgres::Database& database, Clock& clock,
                     std::function<void(std::string_view)> tell)
      : database_(database), clock_(clock), tell_(std::move(tell)) {}

  // Tables where the company has its own already (or, for demote, does not) are left as they are,
  // and not among the answers. The user must own the tables.
  [[nodiscard]] Result<std::vector<PartitionMove>> promote(CompanyId company);
  [[nodiscard]] Result<std::vector<PartitionMove>> demote(CompanyId company);

 private:
  [[nodiscard]] Result<std::vector<PartitionMove>> move_all(CompanyId company, bool to_its_own);

  postgres::Database& database_;
  Clock& clock_;
  const std::function<void(std::string_view)> tell_;
};

}  // namespace samtale

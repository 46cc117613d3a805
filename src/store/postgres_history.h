// PostgresHistory: notices what has been written, and that the database has gone back: a standby
// took over that had not got the last commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "postgres/database.h"
#include "store/store.h"

namespace samtale {

struct PostgresHistoryStats {
  std::int64_t timeline = 0;      // Of the database, as it was last seen.
  std::uint64_t failovers = 0;    // How often another was seen than before.
  std::uint64_t lost_writes = 0;  // Committed by this process, and not there any more.
};

// A partition that was written to since the look before.
struct PartitionNews {
  Partition partition{};
  std::uint64_t last_change = 0;
  bool is_of_others = false;  // Near enough: now and then a write of ours is taken for another's,
                              // or one of theirs is missed that fell together with it.
};

struct PostgresLook {
  PostgresHistoryStats stats;
  std::vector<PartitionNews> news;
};

// PostgreSQL counts its timeline up each time a standby takes over or a backup is restored; and a
// partition counts its writes. Once another timeline was seen, what an earlier one's server says is
// refused: an old primary that goes on would take writes that nobody else sees.
// Threads: any method from any thread.
class PostgresHistory {
 public:
  explicit PostgresHistory(std::size_t partitions) : partitions_(partitions) {}

  // Of an SQL expression: the timeline; NULL while the server is a standby.
  static constexpr auto kTimeline =
      "CASE WHEN pg_is_in_recovery() THEN NULL ELSE "
      "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END";

  // Asks the database, with one statement. Errors: those of Database and of begins().
  Result<PostgresLook> look(postgres::Database& database);
  // A write is to get this number, on this timeline; called while it holds its partition's row.
  // Errors: unavailable if the server is one that another has taken over from.
  Result<> begins(Partition partition, std::int64_t write, std::int64_t timeline);
  void committed(Partition partition, std::int64_t write);
  // Something was read on this timeline (0: of a standby). Errors: as begins.
  Result<> reads(std::uint64_t timeline);

  [[nodiscard]] PostgresHistoryStats stats() const;

 private:
  struct OfPartition {
    std::int64_t committed = 0;  // The last write of this process.
    std::int64_t ours = 0;       // How many it has made.
    // As of the last look.
    std::int64_t seen = -1;
    std::int64_t seen_of_others = -1;
  };

  void note_writes(OfPartition& partition, std::int64_t writes);
  Result<> note_timeline(std::int64_t timeline);

  mutable std::mutex partitions_mutex_;
  std::vector<OfPartition> partitions_;  // Guarded by partitions_mutex_, as the next.
  PostgresHistoryStats stats_;
};

}  // namespace samtale

#include "store/postgres_history.h"

#include <algorithm>
#include <string>
#include <utility>

namespace samtale {

Result<PostgresLook> PostgresHistory::look(postgres::Database& database) {
  std::vector<OfPartition> before;
  {
    const std::lock_guard lock(partitions_mutex_);
    before = partitions_;
  }
  SAMTALE_TRY(auto transaction, database.begin({}));
  SAMTALE_TRY(const auto rows,
              transaction.query(std::string("SELECT partition, writes, last_change, ") + kTimeline +
                                " FROM partitions"));
  std::vector<PartitionNews> news;
  const std::lock_guard lock(partitions_mutex_);
  for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 3); ++i) {
    if (auto noted = note_timeline(rows.integer(i, 3)); !noted) {
      transaction.retire();
      return std::unexpected(std::move(noted).error());
    }
    const auto place = static_cast<std::size_t>(rows.integer(i, 0));
    if (place >= partitions_.size()) continue;
    // Else a write of ours has been there meanwhile, and has looked itself.
    if (partitions_[place].committed == before[place].committed) {
      note_writes(partitions_[place], rows.integer(i, 1));
    }
    const auto of_others = rows.integer(i, 1) - before[place].ours;
    auto& known = partitions_[place];
    if (rows.integer(i, 1) != known.seen) {
      news.push_back({.partition = static_cast<Partition>(place),
                      .last_change = static_cast<std::uint64_t>(rows.integer(i, 2)),
                      .is_of_others = of_others != known.seen_of_others});
    }
    known.seen = rows.integer(i, 1);
    known.seen_of_others = of_others;
  }
  return PostgresLook{.stats = stats_, .news = std::move(news)};
}

Result<> PostgresHistory::begins(Partition partition, std::int64_t write, std::int64_t timeline) {
  const std::lock_guard lock(partitions_mutex_);
  SAMTALE_TRY_VOID(note_timeline(timeline));
  note_writes(partitions_[static_cast<std::size_t>(partition)], write - 1);
  return {};
}

void PostgresHistory::committed(Partition partition, std::int64_t write) {
  const std::lock_guard lock(partitions_mutex_);
  auto& known = partitions_[static_cast<std::size_t>(partition)];
  known.committed = std::max(known.committed, write);
  ++known.ours;
}

Result<> PostgresHistory::reads(std::uint64_t timeline) {
  if (timeline == 0) return {};
  const std::lock_guard lock(partitions_mutex_);
  return note_timeline(static_cast<std::int64_t>(timeline));
}

PostgresHistoryStats PostgresHistory::stats() const {
  const std::lock_guard lock(partitions_mutex_);
  return stats_;
}

void PostgresHistory::note_writes(OfPartition& partition, std::int64_t writes) {
  if (writes >= partition.committed) return;
  stats_.lost_writes += static_cast<std::uint64_t>(partition.committed - writes);
  partition.committed = writes;
}

Result<> PostgresHistory::note_timeline(std::int64_t timeline) {
  if (timeline < stats_.timeline) {
    return fail(ErrorCode::unavailable,
                "a PostgreSQL of timeline " + std::to_string(timeline) +
                    " answers, and another has taken over with timeline " +
                    std::to_string(stats_.timeline) +
                    ": end the old one; if a backup was restored, restart this server");
  }
  if (stats_.timeline != 0 && timeline > stats_.timeline) ++stats_.failovers;
  stats_.timeline = timeline;
  return {};
}

}  // namespace samtale

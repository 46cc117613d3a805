// Dead letters put back.
#include <algorithm>

#include "queue/postgres_queue.h"

namespace samtale {
namespace {

using postgres::Durability;

constexpr std::size_t kRedriveBatch = 1000;  // In one transaction.

}  // namespace

Result<std::size_t> PostgresQueue::redrive(CompanyId company, std::span<const JobId> ids) {
  const bool all = ids.empty();
  std::size_t revived = 0;
  while (true) {
    std::vector<JobId> some;
    if (all) {
      SAMTALE_TRY(const auto rows, database_.read({.company = company},
                                                  "SELECT id FROM dead_letters WHERE company = $1 "
                                                  "ORDER BY id LIMIT $2",
                                                  company, kRedriveBatch));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        some.push_back(static_cast<JobId>(rows.integer(i, 0)));
      }
    } else {
      const auto part = ids.first(std::min(ids.size(), kRedriveBatch));
      some.assign(part.begin(), part.end());
      ids = ids.subspan(part.size());
    }
    if (some.empty()) return revived;
    std::size_t now_revived = 0;
    SAMTALE_TRY_VOID(
        change(company, Durability::power_loss, [&](PostgresQueueTransaction& changes) -> Result<> {
          SAMTALE_TRY(now_revived, revive(changes, company, some));
          return {};
        }));
    revived += now_revived;
  }
}

// Ids that are no dead letters of the company's are left out. Where newer work of a letter's key
// waits already, that one stands for it.
Result<std::size_t> PostgresQueue::revive(PostgresQueueTransaction& changes, CompanyId company,
                                          std::span<const JobId> ids) {
  auto& transaction = changes.transaction_;
  const auto now = now_us();
  std::size_t revived = 0;
  for (const auto id : ids) {
    SAMTALE_TRY_VOID(transaction.ahead(
        "INSERT INTO jobs(company, partition, id, kind, key, priority, due_us, leased, attempts, "
        "expiries, fence, enqueued_us, payload) SELECT company, partition, id, kind, key, "
        "priority, $3, false, 0, 0, fence, enqueued_us, payload FROM dead_letters AS dead "
        "WHERE company = $1 AND id = $2 AND NOT EXISTS (SELECT 1 FROM jobs WHERE company = $1 AND "
        "key = dead.key AND kind = dead.kind AND NOT leased AND key <> '') RETURNING kind",
        company, id, now));
    SAMTALE_TRY(const auto answers,
                transaction.query_with(1, "DELETE FROM dead_letters WHERE company = $1 AND id = $2",
                                       company, id));
    if (answers[1].affected() == 0) continue;
    ++revived;
    if (answers[0].empty()) {
      --changes.held_[company];
    } else {
      changes.wakes_.push_back({company, std::string(answers[0].bytes(0, 0)), now});
    }
  }
  return revived;
}

}  // namespace samtale

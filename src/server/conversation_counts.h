// ConversationCounts: how many conversations companies have, for who must not wait for a database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "base/result.h"
#include "model/ids.h"
#include "store/store.h"

namespace samtale {

// Threads: any method from any thread.
// Memory:  two numbers for each company that was asked about.
class ConversationCounts {
 public:
  explicit ConversationCounts(const Store& store) : store_(store) {}

  // As counted last; nothing at first. It is counted anew by the next step.
  [[nodiscard]] std::optional<std::int64_t> of(CompanyId company);
  // A worker's step: counts for the companies that were asked about since; returns 0.
  Result<std::size_t> step();

 private:
  const Store& store_;
  std::mutex counts_mutex_;
  std::map<CompanyId, std::int64_t> counts_;  // Both guarded by counts_mutex_.
  std::set<CompanyId> asked_;
};

}  // namespace samtale

#include "server/conversation_counts.h"

namespace samtale {

std::optional<std::int64_t> ConversationCounts::of(CompanyId company) {
  const std::lock_guard lock(counts_mutex_);
  asked_.insert(company);
  const auto found = counts_.find(company);
  return found == counts_.end() ? std::nullopt : std::optional(found->second);
}

Result<std::size_t> ConversationCounts::step() {
  std::set<CompanyId> asked;
  {
    const std::lock_guard lock(counts_mutex_);
    asked.swap(asked_);
  }
  for (const auto company : asked) {
    SAMTALE_TRY(const auto stats, store_.company_stats(company));
    const std::lock_guard lock(counts_mutex_);
    counts_[company] = stats.conversations;
  }
  return 0;
}

}  // namespace samtale

#include "search/index_budget.h"

#include <algorithm>

#include "search/index_set.h"

namespace samtale {

void IndexBudget::join(IndexSet& set) {
  const std::lock_guard lock(sets_mutex_);
  sets_.push_back(&set);
}

void IndexBudget::leave(IndexSet& set) {
  const std::lock_guard lock(sets_mutex_);
  std::erase(sets_, &set);
}

void IndexBudget::make_room() {
  if (bytes_max_ == 0 || bytes_ <= bytes_max_) return;
  was_reached_ = true;
  const std::lock_guard lock(sets_mutex_);
  struct Candidate {
    std::uint64_t used = 0;
    IndexSet* set = nullptr;
    CompanyId company{};
  };
  std::vector<Candidate> candidates;
  std::size_t largest = 0;
  for (auto* set : sets_) {
    set->for_each_open([&](CompanyId company, std::uint64_t used, std::size_t bytes) {
      candidates.push_back({.used = used, .set = set, .company = company});
      largest = std::max(largest, bytes);
    });
  }
  const auto least = largest > bytes_max_ / 8 * 7 ? largest + bytes_max_ / 8 : 0;
  if (bytes_ <= least) return;
  const auto most = std::max(bytes_max_ - bytes_max_ / 16, least);
  std::ranges::sort(candidates, {}, &Candidate::used);
  for (const auto& [used, set, company] : candidates) {
    if (bytes_ <= most) return;
    if (set->evict(company)) ++evictions_;
  }
}

}  // namespace samtale

#include "server/slicing.h"

#include <algorithm>
#include <utility>

namespace samtale {

// Only a new one where anything is new: who has arranged for one looks no further.
void Slicing::refresh(std::uint64_t settled) {
  Layout known{.changes = {}, .last = 0, .settled = settled};
  for (const auto& company : parts_.tenants.laid_out_companies()) {
    known.changes[company.id] = {.is_split = company.is_split, .number = company.layout};
    known.last = std::max(known.last, company.layout);
  }
  const std::lock_guard lock(layout_mutex_);
  // What was read later may be handed over earlier.
  if (known.last < layout_->last || settled < layout_->settled) return;
  if (known.last == layout_->last && settled == layout_->settled) return;
  layout_ = std::make_shared<const Layout>(std::move(known));
}

std::shared_ptr<const Layout> Slicing::layout() const {
  const std::lock_guard lock(layout_mutex_);
  return layout_;
}

std::size_t Slicing::place_of(CompanyId company, std::size_t slice) const {
  return static_cast<std::size_t>(parts_.store.partition_of(company)) * count() + slice;
}

std::size_t Slicing::home_of(CompanyId company) const {
  return place_of(company, home_slice(company, count()));
}

std::uint64_t Slicing::since(CompanyId company, bool is_split) const {
  const auto known = layout();
  const auto found = known->changes.find(company);
  const bool is_so = found != known->changes.end() && found->second.is_split == is_split;
  return is_so ? found->second.number : 0;
}

// The new way once somebody has each part of it; until then, as before.
bool Slicing::is_split(CompanyId company) const {
  const auto known = layout();
  const auto found = known->changes.find(company);
  if (found == known->changes.end()) return false;
  const auto& change = found->second;
  if (!change.is_split) {
    const auto home = home_of(company);
    return !parts_.followers[home]->has(company, IndexFollower::Part::whole) &&
           !parts_.router.knows_one(home, change.number);
  }
  for (std::size_t slice = 0; slice < count(); ++slice) {
    if (!has(company, slice) && !parts_.router.knows_one(place_of(company, slice), change.number)) {
      return false;
    }
  }
  return true;
}

bool Slicing::has(CompanyId company, std::size_t slice) const {
  return parts_.followers[place_of(company, slice)]->has(company, IndexFollower::Part::share);
}

Result<std::shared_ptr<const CompanyIndex>> Slicing::open(CompanyId company, std::size_t slice) {
  return parts_.open(place_of(company, slice), company);
}

std::uint64_t Slicing::wait_applied(CompanyId company, std::size_t slice, std::uint64_t sequence) {
  return parts_.wait_applied(place_of(company, slice), sequence);
}

Result<HttpAnswer> Slicing::ask(const Caller& caller, std::size_t slice,
                                const std::string& request_id, const std::string& body) {
  HttpCall call;
  call.url = "/v1/slices/" + std::to_string(slice);
  call.headers = {{"Authorization", "Bearer " + parts_.tenants.pass_for(caller)},
                  {"Content-Type", "application/json"},
                  {"X-Request-Id", request_id}};
  call.body = body;
  call.timeout = parts_.timeout;
  const auto company = caller.company();
  return parts_.router.send(place_of(company, slice), std::move(call), since(company, true));
}

}  // namespace samtale

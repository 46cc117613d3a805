#include "queue/policy.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace samtale {
namespace {

// A slip in counting a job's cost must not shut a company out for good.
constexpr double kChargeMax = 1e6;

}  // namespace

Duration backoff(const RetryPolicy& policy, int attempt, double fraction) {
  // In floating point: 2^attempt passes 64 bits long before an operator's limit does.
  const double pause = static_cast<double>(policy.base.count()) * std::exp2(attempt - 1);
  const double longest = static_cast<double>(policy.longest.count());
  return Duration(static_cast<Duration::rep>(std::min(pause, longest) * fraction));
}

Partition partition_of(CompanyId company, std::size_t partitions) {
  auto bits = static_cast<std::uint64_t>(number(company)) + 0x9E3779B97F4A7C15;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  bits ^= bits >> 31;
  return static_cast<Partition>(bits % partitions);
}

int aged_priority(Priority priority, Duration waited) {
  const auto steps = std::max<std::int64_t>(waited / std::chrono::minutes(1), 0);
  return static_cast<int>(std::max<std::int64_t>(static_cast<int>(priority) - steps, 0));
}

FairSchedule::Kind& FairSchedule::kind_named(std::string_view kind) {
  const auto found = kinds_.find(kind);
  if (found != kinds_.end()) return found->second;
  auto& made = kinds_[std::string(kind)];
  made.lanes.resize(partitions_);
  return made;
}

void FairSchedule::wake(std::string_view kind, CompanyId company, std::int64_t due_us) {
  auto& state = kind_named(kind);
  auto& lane = state.lanes[static_cast<std::size_t>(partition_of(company, partitions_))];
  const auto [found, is_new] = lane.companies.try_emplace(number(company));
  auto& entry = found->second;
  if (is_new) {
    entry = {.served = state.now, .due_us = due_us, .place = Place::asleep};
    lane.asleep.emplace(due_us, company);
  } else if (entry.place == Place::asleep && due_us < entry.due_us) {
    lane.asleep.erase({entry.due_us, company});
    entry.due_us = due_us;
    lane.asleep.emplace(due_us, company);
  }
}

std::optional<Partition> FairSchedule::next_partition(std::string_view kind, std::int64_t now_us) {
  auto& state = kind_named(kind);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < state.lanes.size(); ++i) {
    auto& lane = state.lanes[i];
    while (!lane.asleep.empty() && lane.asleep.begin()->first <= now_us) {
      const auto company = lane.asleep.begin()->second;
      lane.asleep.erase(lane.asleep.begin());
      auto& entry = lane.companies.at(number(company));
      // Time asleep is no credit: who comes back starts level with the others.
      entry.served = std::max(entry.served, state.now);
      entry.place = Place::active;
      lane.active.emplace(entry.served, company);
    }
    if (lane.active.empty() || lane.resting_until_us > now_us) continue;
    if (!best || *lane.active.begin() < *state.lanes[*best].active.begin()) best = i;
  }
  if (!best) return std::nullopt;
  return static_cast<Partition>(*best);
}

std::optional<CompanyId> FairSchedule::pop(std::string_view kind, Partition partition) {
  auto& state = kind_named(kind);
  auto& lane = state.lanes[static_cast<std::size_t>(partition)];
  if (lane.active.empty()) return std::nullopt;
  const auto [served, company] = *lane.active.begin();
  lane.active.erase(lane.active.begin());
  lane.companies.at(number(company)).place = Place::popped;
  state.now = std::max(state.now, served);
  return company;
}

std::size_t FairSchedule::active(std::string_view kind, Partition partition) const {
  const auto found = kinds_.find(kind);
  if (found == kinds_.end()) return 0;
  return found->second.lanes[static_cast<std::size_t>(partition)].active.size();
}

void FairSchedule::put_back(std::string_view kind, CompanyId company, std::size_t served,
                            std::optional<std::int64_t> due_us, std::int64_t now_us) {
  auto& state = kind_named(kind);
  auto& lane = state.lanes[static_cast<std::size_t>(partition_of(company, partitions_))];
  const auto found = lane.companies.find(number(company));
  SAMTALE_CHECK(found != lane.companies.end() && found->second.place == Place::popped,
                "only a company that was popped is put back");
  auto& entry = found->second;
  entry.served += static_cast<double>(served) / weight_of(company);
  if (!due_us) {
    lane.companies.erase(found);
  } else if (*due_us <= now_us) {
    entry.place = Place::active;
    lane.active.emplace(entry.served, company);
  } else {
    entry.place = Place::asleep;
    entry.due_us = *due_us;
    lane.asleep.emplace(*due_us, company);
  }
}

void FairSchedule::rest(std::string_view kind, Partition partition, std::int64_t until_us) {
  kind_named(kind).lanes[static_cast<std::size_t>(partition)].resting_until_us = until_us;
}

void FairSchedule::set_weight(CompanyId company, double weight) {
  // An operator's slip (0, or a million) must neither starve a company nor all the others.
  weights_[number(company)] = weight > 0 ? std::clamp(weight, 0.001, 1000.0) : 1;
}

double FairSchedule::weight_of(CompanyId company) const {
  const auto found = weights_.find(number(company));
  return found == weights_.end() ? 1 : found->second;
}

void FairSchedule::charge(std::string_view kind, CompanyId company, double jobs) {
  const auto known = kinds_.find(kind);
  if (known == kinds_.end() || !(jobs > 0)) return;
  auto& lane = known->second.lanes[static_cast<std::size_t>(partition_of(company, partitions_))];
  const auto found = lane.companies.find(number(company));
  if (found == lane.companies.end()) return;
  auto& entry = found->second;
  const bool is_active = entry.place == Place::active;
  if (is_active) lane.active.erase({entry.served, company});
  entry.served += std::min(jobs, kChargeMax) / weight_of(company);
  if (is_active) lane.active.emplace(entry.served, company);
}

}  // namespace samtale

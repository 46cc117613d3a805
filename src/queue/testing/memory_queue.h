// MemoryQueue: the queue without a disk, for tests of those who use one.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "queue/policy.h"
#include "queue/queue.h"

namespace samtale {

// As SqliteQueue (queue_conformance.h), one partition, and nothing survives it.
class MemoryQueue final : public Queue {
 public:
  explicit MemoryQueue(const Clock& clock, std::size_t jobs_per_company_max = 1'000'000,
                       int expiries_max = 5)
      : clock_(clock), jobs_per_company_max_(jobs_per_company_max), expiries_max_(expiries_max) {}

  Result<> enqueue(const NewJob& job) {
    const std::lock_guard lock(jobs_mutex_);
    if (job.kind.empty()) return fail(ErrorCode::invalid_argument, "a job needs a kind");
    const auto due_us = now_us() + us(job.delay);
    if (auto* same = find_waiting(job.company, job.kind, job.key)) {
      same->job.payload = job.payload;
      same->job.priority = std::min(same->job.priority, job.priority);
      if (same->job.attempt == 0) same->due_us = std::min(same->due_us, due_us);
      schedule_.wake(job.kind, job.company, due_us);
      return {};
    }
    if (held_[job.company] >= jobs_per_company_max_) {
      return fail(ErrorCode::resource_exhausted, "the company has too many jobs");
    }
    add({.id = static_cast<JobId>(++last_id_),
         .company = job.company,
         .kind = job.kind,
         .payload = job.payload,
         .key = job.key,
         .priority = job.priority,
         .attempt = 0,
         .enqueued_at = clock_.wall_now()},
        due_us);
    ++held_[job.company];
    stats_[job.kind];
    return {};
  }

  Result<std::vector<Job>> take(std::string_view kind, std::size_t limit, Duration lease) override {
    const std::lock_guard lock(jobs_mutex_);
    std::vector<Job> taken;
    bool closed = false;
    while (taken.size() < limit && !closed && schedule_.next_partition(kind, now_us())) {
      const auto company = *schedule_.pop(kind, Partition{});
      const auto part = (limit - taken.size()) / (schedule_.active(kind, Partition{}) + 1);
      const auto before = taken.size();
      for (std::size_t i = 0; i < std::max<std::size_t>(part, 1) && !closed; ++i) {
        auto* held = first_due(company, kind);
        if (held == nullptr) break;
        closed = lease_or_bury(*held, us(lease), taken);
      }
      schedule_.put_back(kind, company, taken.size() - before, next_due(company, kind), now_us());
    }
    return taken;
  }

  Result<> finish(std::span<const Job> jobs) override {
    const std::lock_guard lock(jobs_mutex_);
    bool lost = false;
    for (const auto& job : jobs) {
      if (find_leased(job) == nullptr)
        lost = true;
      else
        settle(job);
    }
    if (lost) return lease_lost();
    return {};
  }

  Result<> extend(const Job& job, Duration lease) override {
    const std::lock_guard lock(jobs_mutex_);
    auto* held = find_leased(job);
    if (held == nullptr) return lease_lost();
    held->due_us = now_us() + us(lease);
    return {};
  }

  Result<> retry_after(const Job& job, Duration delay, std::string_view) override {
    const std::lock_guard lock(jobs_mutex_);
    auto* held = find_leased(job);
    if (held == nullptr) return lease_lost();
    ++failures_[{job.kind, job.company}];
    if (find_waiting(job.company, job.kind, job.key) != nullptr) {
      settle(job);
      return {};
    }
    held->leased = false;
    held->expiries = 0;
    held->due_us = now_us() + us(delay);
    schedule_.wake(job.kind, job.company, held->due_us);
    return {};
  }

  Result<> give_up(const Job& job, std::string_view cause) override {
    const std::lock_guard lock(jobs_mutex_);
    auto* held = find_leased(job);
    if (held == nullptr) return lease_lost();
    ++failures_[{job.kind, job.company}];
    bury(*held, cause);
    return {};
  }

  Result<std::size_t> redrive(CompanyId company, std::span<const JobId> ids) override {
    const std::lock_guard lock(jobs_mutex_);
    std::size_t revived = 0;
    for (auto next = dead_.begin(); next != dead_.end();) {
      const auto found = next++;
      auto& held = found->second;
      const bool wanted = ids.empty() || std::ranges::find(ids, found->first) != ids.end();
      if (held.job.company != company || !wanted) continue;
      ++revived;
      if (find_waiting(company, held.job.kind, held.job.key) == nullptr) {
        held.job.attempt = 0;
        add(held.job, now_us());
      } else {
        --held_[company];
      }
      dead_.erase(found);
    }
    return revived;
  }

  Result<std::vector<DeadLetter>> dead_letters(CompanyId company, std::optional<JobId> before,
                                               std::size_t limit) const override {
    const std::lock_guard lock(jobs_mutex_);
    std::vector<DeadLetter> letters;
    for (auto next = dead_.rbegin(); next != dead_.rend() && letters.size() < limit; ++next) {
      const auto& [job, due_us, leased, expiries, cause, at] = next->second;
      if (job.company != company || (before && job.id >= *before)) continue;
      letters.push_back({.id = job.id,
                         .company = company,
                         .kind = job.kind,
                         .payload = job.payload,
                         .cause = cause,
                         .attempts = job.attempt,
                         .enqueued_at = job.enqueued_at,
                         .given_up_at = at});
    }
    return letters;
  }

  Result<std::vector<Job>> waiting(CompanyId company, std::size_t limit) const override {
    const std::lock_guard lock(jobs_mutex_);
    std::vector<Job> found;
    for (const auto& [id, held] : jobs_) {
      if (held.job.company != company || held.leased || found.size() == limit) continue;
      found.push_back(held.job);
      ++found.back().attempt;
    }
    return found;
  }

  Result<std::vector<QueueStats>> stats(std::optional<CompanyId> company) const override {
    const std::lock_guard lock(jobs_mutex_);
    auto by_kind = stats_;
    const auto now = now_us();
    for (const auto& [id, held] : jobs_) {
      if (company && held.job.company != *company) continue;
      auto& stats = by_kind[held.job.kind];
      const Duration age = std::chrono::microseconds(now - held.due_us);
      if (held.due_us <= now) stats.oldest_age = std::max(stats.oldest_age, age);
      ++(held.due_us <= now ? stats.ready : held.leased ? stats.leased : stats.delayed);
    }
    for (const auto& [id, held] : dead_) {
      if (!company || held.job.company == *company) ++by_kind[held.job.kind].dead;
    }
    for (const auto& [of, count] : failures_) {
      if (!company || of.second == *company) by_kind[of.first].attempts += count;
    }
    std::vector<QueueStats> all;
    for (auto& [kind, stats] : by_kind) {
      stats.kind = kind;
      all.push_back(stats);
    }
    return all;
  }

  void set_weight(CompanyId company, double weight) override {
    const std::lock_guard lock(jobs_mutex_);
    schedule_.set_weight(company, weight);
  }

  void charge(std::string_view kind, CompanyId company, double jobs) override {
    const std::lock_guard lock(jobs_mutex_);
    schedule_.charge(kind, company, jobs);
  }

 private:
  struct Held {
    Job job;                  // `attempt` counts those begun.
    std::int64_t due_us = 0;  // Of a leased one: when its lease ends.
    bool leased = false;
    int expiries = 0;
    std::string cause{};
    WallTime given_up_at{};
  };

  static std::int64_t us(Duration length) { return length / std::chrono::microseconds(1); }
  static std::unexpected<Error> lease_lost() {
    return fail(ErrorCode::conflict, "the lease ended and the job went to another worker");
  }
  [[nodiscard]] std::int64_t now_us() const { return to_us(clock_.wall_now()); }

  void add(Job job, std::int64_t due_us) {
    schedule_.wake(job.kind, job.company, due_us);
    const auto id = job.id;
    jobs_[id] = {.job = std::move(job), .due_us = due_us};
  }

  void settle(const Job& job) {
    --held_[job.company];
    jobs_.erase(job.id);
  }

  void bury(Held& held, std::string_view cause) {
    held.cause = cause;
    held.given_up_at = clock_.wall_now();
    dead_[held.job.id] = held;
    jobs_.erase(held.job.id);
  }

  Held* find_waiting(CompanyId company, std::string_view kind, std::string_view key) {
    if (key.empty()) return nullptr;
    for (auto& [id, held] : jobs_) {
      const auto& job = held.job;
      if (!held.leased && job.company == company && job.kind == kind && job.key == key) {
        return &held;
      }
    }
    return nullptr;
  }

  Held* find_leased(const Job& job) {
    const auto found = jobs_.find(job.id);
    if (found == jobs_.end() || !found->second.leased || found->second.job.fence != job.fence ||
        found->second.job.company != job.company) {
      return nullptr;
    }
    return &found->second;
  }

  Held* first_due(CompanyId company, std::string_view kind) {
    const auto now = now_us();
    const auto rank = [&](const Held& held) {
      const Duration waited = std::chrono::microseconds(now - held.due_us);
      return std::tuple(aged_priority(held.job.priority, waited), held.due_us, held.job.id);
    };
    Held* first = nullptr;
    for (auto& [id, held] : jobs_) {
      if (held.job.company != company || held.job.kind != kind || held.due_us > now) continue;
      if (first == nullptr || rank(held) < rank(*first)) first = &held;
    }
    return first;
  }

  std::optional<std::int64_t> next_due(CompanyId company, std::string_view kind) const {
    std::optional<std::int64_t> next;
    for (const auto& [id, held] : jobs_) {
      if (held.job.company != company || held.job.kind != kind) continue;
      next = std::min(next.value_or(held.due_us), held.due_us);
    }
    return next;
  }

  // True if the batch is full with it: a suspect goes alone.
  bool lease_or_bury(Held& held, std::int64_t lease_us, std::vector<Job>& taken) {
    auto& job = held.job;
    const int expiries = held.expiries + (held.leased ? 1 : 0);
    if (expiries >= 2 && !taken.empty()) return true;
    if (held.leased) ++failures_[{job.kind, job.company}];
    held.expiries = expiries;
    if (expiries >= expiries_max_) {
      bury(held, "worker died or timed out " + std::to_string(expiries) + " times");
      return false;
    }
    held.leased = true;
    held.due_us = now_us() + lease_us;
    ++job.attempt;
    ++job.fence;
    taken.push_back(job);
    return expiries >= 2;
  }

  const Clock& clock_;
  const std::size_t jobs_per_company_max_;
  const int expiries_max_;
  mutable std::mutex jobs_mutex_;
  FairSchedule schedule_{1};  // All below guarded by jobs_mutex_.
  std::map<JobId, Held> jobs_;
  std::map<JobId, Held> dead_;
  std::map<CompanyId, std::size_t> held_;    // Jobs and dead letters a company.
  std::map<std::string, QueueStats> stats_;  // The kinds that ever had a job.
  std::map<std::pair<std::string, CompanyId>, std::uint64_t> failures_;
  std::int64_t last_id_ = 0;
};

}  // namespace samtale

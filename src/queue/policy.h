// Policy: who is served next, without a database: ageing within a company, fairness between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/queue.h"

namespace samtale {

// The partition of a company: splitmix64 of its number, modulo. Stored data depends on it: it never
// changes.
[[nodiscard]] Partition partition_of(CompanyId company, std::size_t partitions);

// The priority of a job ready since `waited`: one up (smaller) each minute, at best critical.
[[nodiscard]] int aged_priority(Priority priority, Duration waited);

// Start-time fair queueing between companies: each has a virtual time that moves on by jobs/weight
// as it is served, and the one furthest behind is next. Knows companies, not jobs: when a company
// may have something due is a hint, and the caller says after looking.
// Threads: one at a time.
// Memory:  about 150 bytes a company and kind that has jobs.
// Order:   ties by company number, so that a seed repeats.
// Source:  Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996, section 2.
class FairSchedule {
 public:
  explicit FairSchedule(std::size_t partitions) : partitions_(partitions) {}

  // `company` may have a job of `kind` due at `due_us` (or earlier than so far known).
  void wake(std::string_view kind, CompanyId company, std::int64_t due_us);

  // The partition of the company that is next, of those that may have something due.
  [[nodiscard]] std::optional<Partition> next_partition(std::string_view kind, std::int64_t now_us);
  // Takes the next company of the partition out of the schedule, until put_back.
  [[nodiscard]] std::optional<CompanyId> pop(std::string_view kind, Partition partition);
  // Companies of the partition that may have something due, those popped not counted.
  [[nodiscard]] std::size_t active(std::string_view kind, Partition partition) const;
  // `served` jobs were handed out; the next is due at `due_us`, or there is none.
  void put_back(std::string_view kind, CompanyId company, std::size_t served,
                std::optional<std::int64_t> due_us, std::int64_t now_us);
  // Passes over a partition that cannot be read, until `until_us`.
  void rest(std::string_view kind, Partition partition, std::int64_t until_us);

  void set_weight(CompanyId company, double weight);
  // As if `jobs` more had been handed out. Nothing for a company that has none: who comes back
  // later starts level with the others.
  void charge(std::string_view kind, CompanyId company, double jobs);

 private:
  enum class Place : std::uint8_t { active, asleep, popped };
  struct Entry {
    double served = 0;  // Virtual time: jobs by weight.
    std::int64_t due_us = 0;
    Place place = Place::popped;
  };
  struct Lane {
    std::unordered_map<std::int64_t, Entry> companies;
    std::set<std::pair<double, CompanyId>> active;        // By virtual time.
    std::set<std::pair<std::int64_t, CompanyId>> asleep;  // By due time.
    std::int64_t resting_until_us = 0;
  };
  struct Kind {
    double now = 0;  // Virtual time of the last one served: where newcomers start.
    std::vector<Lane> lanes;
  };

  Kind& kind_named(std::string_view kind);
  [[nodiscard]] double weight_of(CompanyId company) const;

  const std::size_t partitions_;
  std::map<std::string, Kind, std::less<>> kinds_;
  std::unordered_map<std::int64_t, double> weights_;
};

}  // namespace samtale

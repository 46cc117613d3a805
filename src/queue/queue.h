// Queue: jobs that survive a crash. A job taken and not settled before its lease ends is handed out
// again, so every worker must bear being run twice (at-least-once).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

// Jobs live in the partition file of the data they belong to (hash of the company).
enum class Partition : std::uint32_t {};

enum class Priority : std::uint8_t { critical = 0, normal = 1, bulk = 2 };

struct NewJob {
  CompanyId company{};
  std::string kind;     // For instance "embed".
  std::string payload;  // Read by the worker of that kind; it says its own version.
  Priority priority = Priority::normal;
  Duration delay{};  // Not handed out before now + delay.
  // If not empty: while a job of the same company, kind and key waits (not leased, not given up),
  // this one replaces its payload instead of joining it. Work that is wanted twice is done once.
  std::string key;
};

struct Job {
  JobId id{};
  Partition partition{};
  CompanyId company{};
  std::string kind;
  std::string payload;
  std::string key;
  Priority priority = Priority::normal;
  int attempt = 1;          // 1 on the first try.
  std::uint64_t fence = 0;  // Grows with each lease: settling with an old one is a conflict.
  WallTime enqueued_at{};
};

struct DeadLetter {
  JobId id{};
  Partition partition{};
  CompanyId company{};
  std::string kind;
  std::string payload;
  std::string cause;  // What the last attempt said.
  int attempts = 0;
  WallTime enqueued_at{};
  WallTime given_up_at{};
};

struct QueueStats {
  std::string kind;
  std::size_t ready = 0;
  std::size_t delayed = 0;  // Waiting for their time or for a retry.
  std::size_t leased = 0;
  std::size_t dead = 0;
  Duration oldest_age{};       // Of the oldest ready job; zero if there is none.
  std::uint64_t attempts = 0;  // Attempts that failed, since the process started.
};

// Retries: exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS
// 2015): a uniform share of base * 2^(attempt - 1), never more than `longest`.
struct RetryPolicy {
  int attempts = 5;  // Then the job becomes a dead letter.
  Duration base = std::chrono::seconds(1);
  Duration longest = std::chrono::minutes(5);
};
// The pause before the next attempt. `fraction` is uniform in [0, 1).
[[nodiscard]] Duration backoff(const RetryPolicy& policy, int attempt, double fraction);

// Threads:  any method from any thread.
// Order:    between companies fair: each gets its share by weight, however many jobs it has; within
//           a company by priority, then age. A job that has waited moves up one priority per
//           minute (ageing), so bulk work ends too.
// Errors:   unavailable (database away or busy past the deadline), corrupt; conflict where named.
class Queue {
 public:
  virtual ~Queue() = default;

  // Takes up to `limit` jobs of `kind`, all of one partition (calls go round the partitions that
  // have work); each is ours until now + lease. Empty if there are none anywhere.
  [[nodiscard]] virtual Result<std::vector<Job>> take(std::string_view kind, std::size_t limit,
                                                      Duration lease) = 0;

  // Settling. conflict if the lease was lost meanwhile: somebody else has the job, forget it.
  virtual Result<> finish(std::span<const Job> jobs) = 0;
  virtual Result<> extend(const Job& job, Duration lease) = 0;
  // Puts the job back, due after `delay`; the attempt counts.
  virtual Result<> retry_after(const Job& job, Duration delay, std::string_view cause) = 0;
  // Makes it a dead letter: kept, with its cause, for a person to look at.
  virtual Result<> give_up(const Job& job, std::string_view cause) = 0;

  // Puts back what one company asks to see again, attempts starting at 1. Returns how many.
  // `ids` empty: all of that company.
  virtual Result<std::size_t> redrive(CompanyId company, std::span<const JobId> ids) = 0;

  // Newest first, at most `limit`, those older than `before` (a JobId) if given.
  [[nodiscard]] virtual Result<std::vector<DeadLetter>> dead_letters(CompanyId company,
                                                                     std::optional<JobId> before,
                                                                     std::size_t limit) const = 0;
  [[nodiscard]] virtual Result<std::vector<Job>> waiting(CompanyId company,
                                                         std::size_t limit) const = 0;

  // One entry a kind that ever had a job. For one company, or for all if empty.
  [[nodiscard]] virtual Result<std::vector<QueueStats>> stats(
      std::optional<CompanyId> company) const = 0;

  // Relative share of a company when several have work; 1 unless set. Lives in memory.
  virtual void set_weight(CompanyId company, double weight) = 0;

  // Work of `kind` cost the company as much as `jobs` more of them (a job whose cost is known only
  // afterwards): it is served so much later. To be called before the job is settled: a company that
  // has none, waiting or leased, is charged nothing. Lives in memory.
  virtual void charge(std::string_view kind, CompanyId company, double jobs) = 0;
};

}  // namespace samtale

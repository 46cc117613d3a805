// IndexBudget: how much memory the indexes of companies may hold, and which of them leave for
// others.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace samtale {

class IndexSet;

// Shared by sets, which count what they hold (IndexSize::bytes of each index) and tell of each use.
//
// Of too much, those go first that were searched or changed least recently. Until it is a sixteenth
// less than it may be, so that not every search makes another one go. A company that is larger than
// all that may be held stays nevertheless, with an eighth of that beside it for others.
//
// Threads: any method from any thread.
class IndexBudget {
 public:
  explicit IndexBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}  // 0: no limit.

  // Makes indexes leave if there is too much of them. None that is being filled, or held by
  // anybody.
  void make_room();
  // For what nobody has asked for. No more once there was too much: it would make go what
  // somebody did.
  [[nodiscard]] bool has_room() const { return !was_reached_; }

  [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // Held now.
  [[nodiscard]] std::uint64_t evictions() const { return evictions_; }

 private:
  friend class IndexSet;
  void join(IndexSet& set);
  void leave(IndexSet& set);
  [[nodiscard]] std::uint64_t next_use() { return ++uses_; }
  // The difference to what an index was held with, modulo 2^64.
  void add(std::size_t bytes) { bytes_ += bytes; }

  const std::size_t bytes_max_;
  std::atomic<std::size_t> bytes_ = 0;
  std::atomic<std::uint64_t> uses_ = 0;
  std::atomic<std::uint64_t> evictions_ = 0;
  std::atomic<bool> was_reached_ = false;
  std::mutex sets_mutex_;  // Also: one makes room at a time.
  std::vector<IndexSet*> sets_;
};

}  // namespace samtale

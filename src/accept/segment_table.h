// The segments of an open log: which there are, which is filled, and the next one made in advance.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "accept/accept_log.h"
#include "accept/recovery.h"
#include "accept/segment.h"

namespace samtale {

// Threads: active, rotate and set_end from the committing thread; the rest from any.
class SegmentTable {
 public:
  struct Place {
    std::shared_ptr<Segment> segment;
    std::uint64_t end = 0;  // Of what is durable in it.
  };

  SegmentTable(Files& files, std::string folder, AcceptLogOptions options, const Clock& clock,
               Log& log, RecoveredLog recovered);

  [[nodiscard]] std::uint64_t begin() const;
  [[nodiscard]] std::uint64_t end() const;
  // Where `position` is or would be; a place of the oldest segment if it has been trimmed.
  [[nodiscard]] Place find(std::uint64_t position) const;
  void count(AcceptLogStats& stats) const;  // Fills in bytes and segments.

  [[nodiscard]] Segment& active() const { return *active_; }
  void set_end(std::uint64_t end);
  // Goes on in the next segment, which must be there.
  void rotate();

  // Makes the next segment unless there is one. After a failure it answers with the same error for
  // a second, so that a full disk is not filled and emptied for each group.
  Result<> ensure_next(const std::stop_token& stop);
  // Half full and no next one.
  [[nodiscard]] bool wants_next() const;
  // Makes next segments in time, until `stop`.
  void keep_next_ready(const std::stop_token& stop);

  Result<> trim(std::uint64_t before);

 private:
  [[nodiscard]] bool wants_next_locked() const;
  [[nodiscard]] std::uint64_t bytes_locked() const;
  [[nodiscard]] std::optional<std::uint64_t> oldest_trimmable(std::uint64_t before) const;

  Files& files_;
  const std::string folder_;
  const AcceptLogOptions options_;
  const Clock& clock_;
  Log& log_;
  std::shared_ptr<Segment> active_;

  std::mutex folder_mutex_;            // Held while segments are made or deleted.
  std::optional<Error> make_failure_;  // Guarded by folder_mutex_, as the next one.
  Instant make_again_at_{};

  mutable std::mutex table_mutex_;  // Guards the rest.
  std::condition_variable_any half_full_;
  SegmentsByBase segments_;
  std::shared_ptr<Segment> next_;
  std::uint64_t end_ = 0;
};

}  // namespace samtale

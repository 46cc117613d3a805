// AcceptLog: an append-only segmented log of accepted events. An append is answered when it is on
// disk; many share one fdatasync (group commit), and a few of those run at once.
//
// Source: docs/formats/accept-log-v1.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "sys/bell.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/log.h"

namespace samtale {

struct AcceptLogOptions {
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::size_t group_records_max = 256;
  Duration group_wait_max = std::chrono::milliseconds(5);
  std::size_t pending_bytes_max = std::size_t{64} << 20;  // Appends beyond get resource_exhausted.
  std::size_t record_bytes_max = std::size_t{32} << 20;
  std::uint64_t log_bytes_max = std::uint64_t{0};  // 0: no limit. Else unavailable when full.
  Bell* bell = nullptr;  // Rung when there is more to read. Null: nobody is told.
};

struct LogEntry {
  LogPosition position{};
  LogPosition next{};  // Where the entry after it begins.
  bool is_erased = false;
  std::string payload;  // Empty if erased.
};

struct AcceptLogStats {
  std::uint64_t appended = 0;  // Records made durable since the start.
  std::uint64_t commits = 0;   // fdatasync calls for them.
  std::uint64_t bytes = 0;     // On disk.
  std::uint64_t segments = 0;  // With the next one, made in advance.
  Duration last_sync{};        // How long the fdatasync that ended last took.
};

// Threads: append, read, erase, trim, end and stats from any thread; step and run from one.
// Order:   records are durable and readable in the order of their append calls.
// Errors:  after a failed write or sync the log takes no more appends (unavailable) until it is
//          opened anew: what had not been answered is unknown, what had been is safe.
class AcceptLog {
 public:
  // Called once per append, on a committing thread and in the order of the log: the position once
  // it is durable, or why not.
  using Done = std::move_only_function<void(Result<LogPosition>)>;

  virtual ~AcceptLog() = default;

  // Copies nothing: takes the payload. Calls `done` at once, on this thread, if it refuses.
  virtual void append(std::string payload, Done done) = 0;

  // Commits one group if any is waiting; returns how many records became durable. Makes the next
  // segment when it is time. A simulation calls this; production calls run.
  virtual std::size_t step() = 0;
  // With threads of its own beside this one. Ends with nothing waiting.
  virtual void run(const std::stop_token& stop) = 0;

  // Durable entries from `from` on, up to about `bytes_max` of payload (at least one if there is
  // any). `from` is a position or a `next` this log gave out, or LogPosition{} for the beginning;
  // what has been trimmed is passed over. Reads nothing past the durable end.
  // Errors: unavailable; corrupt if a record is damaged (the message names segment and offset;
  // those before it are returned first) or `from` is past the end (of another backup).
  [[nodiscard]] virtual Result<std::vector<LogEntry>> read(LogPosition from,
                                                           std::size_t bytes_max) const = 0;
  [[nodiscard]] virtual LogPosition begin() const = 0;  // The oldest kept.
  [[nodiscard]] virtual LogPosition end() const = 0;    // The durable end.
  // Where to read from to see at least the last `bytes` of the log, or all there is.
  [[nodiscard]] virtual LogPosition before_end(std::uint64_t bytes) const = 0;

  // Overwrites the payload with zeros, durably. Idempotent; a crash in the middle is finished by
  // calling it again. Fine if the position has been trimmed.
  // Errors: unavailable (the log then takes no more appends); invalid_argument if no record begins
  // there.
  virtual Result<> erase(LogPosition position) = 0;

  // Deletes whole segments that end at or before `before`; the last that has records is kept.
  virtual Result<> trim(LogPosition before) = 0;

  // Why it takes no more appends; nothing while it does.
  [[nodiscard]] virtual std::optional<Error> failure() const = 0;

  [[nodiscard]] virtual AcceptLogStats stats() const = 0;
};

// Recovers what a crash left: a torn tail after the last durable record is cut off and reported in
// the log; damage before it is corrupt. What is passed in must outlive the log.
[[nodiscard]] Result<std::unique_ptr<AcceptLog>> open_accept_log(Files& files, std::string folder,
                                                                 AcceptLogOptions options,
                                                                 const Clock& clock, Log& log);

}  // namespace samtale

// What is on the disk when a log is opened, made sound again after a crash.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "accept/segment.h"
#include "base/result.h"
#include "sys/files.h"
#include "sys/log.h"

namespace samtale {

using SegmentsByBase = std::map<std::uint64_t, std::shared_ptr<Segment>>;

struct RecoveredLog {
  SegmentsByBase segments;        // The last one is the one to append to; empty if there is none.
  std::shared_ptr<Segment> next;  // Made in advance and not begun; may be null.
  std::uint64_t end = 0;          // Where the next record goes.
  std::uint64_t sequence = 1;     // Its sequence number.
  bool is_full = false;           // The last segment has its end mark.
};

// Everything in the result is durable, also what the process before had written and not synced.
// Errors: unavailable; corrupt, naming segment and offset.
[[nodiscard]] Result<RecoveredLog> recover_log(Files& files, const std::string& folder, Log& log);

}  // namespace samtale

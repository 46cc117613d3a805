// The change feed and the accept log's offset: what both stores check.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "store/store.h"

namespace samtale {

// Sequences grow by one within a partition, so what is missing after `after` has been forgotten.
// `last`: the last sequence given out when `changes` were read; if that is less, the database went
// back to an earlier state. Errors: not_found.
[[nodiscard]] inline Result<> check_no_gap(std::span<const Change> changes, std::uint64_t after,
                                           std::uint64_t last) {
  const auto is_whole = changes.empty() ? last == after : changes.front().sequence == after + 1;
  if (is_whole) return {};
  return fail(ErrorCode::not_found, "changes after " + std::to_string(after) +
                                        " have been forgotten; whoever follows must begin anew");
}

// Errors: conflict.
[[nodiscard]] inline Result<> check_log_offset(LogPosition kept, LogPosition before) {
  if (kept == before) return {};
  return fail(ErrorCode::conflict,
              "the accept log has taken effect up to " + std::to_string(number(kept)) + ", not " +
                  std::to_string(number(before)) +
                  ": the database went back, or a copy of this data folder is in use");
}

}  // namespace samtale

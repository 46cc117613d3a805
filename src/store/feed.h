// The change feed: what its readers in both stores share.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "store/store.h"

namespace samtale {

// Sequences grow by one within a partition, so what is missing after `after` has been forgotten.
// `last`: the last sequence given out when `changes` were read. Errors: not_found.
[[nodiscard]] inline Result<> check_no_gap(std::span<const Change> changes, std::uint64_t after,
                                           std::uint64_t last) {
  const auto is_whole = changes.empty() ? last <= after : changes.front().sequence == after + 1;
  if (is_whole) return {};
  return fail(ErrorCode::not_found, "changes after " + std::to_string(after) +
                                        " have been forgotten; whoever follows must begin anew");
}

}  // namespace samtale

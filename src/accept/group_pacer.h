// GroupPacer: whether a group that could be committed should wait for company.
#pragma once

#include <algorithm>
#include <cstddef>

#include "sys/clock.h"

namespace samtale {

// Callers who were just answered send their next append within moments. With one sync at a time,
// committing at once what queued during the last one would split N callers into two halves that
// take turns, each waiting for two syncs; with several under way at once, a group that begins with
// the first few of those just answered takes one of them from the rest. So a group waits for its
// share of all who are under way. It pays only as long as it is short against a sync, and a caller
// who is alone never waits.
// Threads: one.
class GroupPacer {
 public:
  // `syncs_max` groups are under way at once.
  GroupPacer(std::size_t records_max, Duration wait_max, std::size_t syncs_max)
      : records_max_(records_max), wait_max_(wait_max), syncs_max_(syncs_max) {}

  [[nodiscard]] std::size_t target() const { return target_; }
  [[nodiscard]] Duration patience() const { return patience_; }

  // `committed` records took `sync`, and `others` were under way then: waiting, or being written.
  void note(std::size_t committed, std::size_t others, Duration sync) {
    target_ = std::min(records_max_, (committed + others + syncs_max_ - 1) / syncs_max_);
    patience_ = std::min(wait_max_, sync / 2);
  }

 private:
  const std::size_t records_max_;
  const Duration wait_max_;
  const std::size_t syncs_max_;
  std::size_t target_ = 1;
  Duration patience_{};
};

}  // namespace samtale

// GroupPacer: whether a group that could be committed should wait for company.
#pragma once

#include <algorithm>
#include <cstddef>

#include "sys/clock.h"

namespace samtale {

// Callers who were just answered send their next append within moments. Committing what queued
// during the last sync at once would split N callers into two halves that take turns, each waiting
// for two syncs; waiting for those just answered keeps them together, one sync for each. It pays
// only as long as it is short against a sync, and a caller who is alone never waits.
// Threads: one.
class GroupPacer {
 public:
  GroupPacer(std::size_t records_max, Duration wait_max)
      : records_max_(records_max), wait_max_(wait_max) {}

  // As many as were seen to be under way at once: with so many waiting nobody else is to come.
  [[nodiscard]] std::size_t target() const { return target_; }
  [[nodiscard]] Duration patience() const { return patience_; }

  // `committed` records took `sync`, and `queued` came meanwhile.
  void note(std::size_t committed, std::size_t queued, Duration sync) {
    target_ = std::min(records_max_, committed + queued);
    patience_ = std::min(wait_max_, sync / 2);
  }

 private:
  const std::size_t records_max_;
  const Duration wait_max_;
  std::size_t target_ = 1;
  Duration patience_{};
};

}  // namespace samtale

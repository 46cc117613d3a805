#include "embed/adaptive_batch.h"

#include <algorithm>

#include "base/check.h"

namespace samtale {

AdaptiveBatch::AdaptiveBatch(AdaptiveBatchOptions options) : options_(options) {
  SAMTALE_CHECK(options.size_max > 0, "an embedder takes at least one text a call");
  SAMTALE_CHECK(options.target > Duration::zero(), "a call takes time");
}

std::size_t AdaptiveBatch::next_size(std::size_t waiting) const { return std::min(waiting, size_); }

Duration AdaptiveBatch::next_wait(std::size_t waiting, bool other_call_runs) const {
  if (!other_call_runs || waiting >= size_) return Duration::zero();
  // A tenth of a call is what waiting may add to the latency that the call has anyway.
  return std::min(options_.wait_max, last_took_ / 10);
}

void AdaptiveBatch::observe(std::size_t size, Duration took, bool ok) {
  if (size == 0) return;
  if (!ok) {
    fast_start_ = false;
    size_ = std::max<std::size_t>(1, std::min(size, size_) / 2);
    return;
  }
  last_took_ = took;
  if (took > options_.target) {
    fast_start_ = false;
    const auto fit = static_cast<double>(size) * static_cast<double>(options_.target.count()) /
                     static_cast<double>(took.count());
    const auto floor = std::max<std::size_t>(1, size_ / 2);
    size_ = std::clamp(static_cast<std::size_t>(fit), floor, size_);
    return;
  }
  if (size < size_) return;
  const auto grown = fast_start_ && took < options_.target / 2 ? size_ * 2 : size_ + 1;
  size_ = std::min(options_.size_max, grown);
}

}  // namespace samtale

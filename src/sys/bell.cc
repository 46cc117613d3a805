#include "sys/bell.h"

namespace samtale {

void Bell::ring() {
  {
    const std::lock_guard lock(mutex_);
    ++rings_;
  }
  rung_.notify_all();
}

bool Bell::wait(std::uint64_t heard, Duration length, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  return rung_.wait_for(lock, stop, length, [&] { return rings_ > heard; });
}

}  // namespace samtale

// FairSharedMutex: many readers or one writer, in the order they came. Private to index/.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace samtale {

// std::shared_mutex (glibc's) lets readers pass a waiting writer, so searches without a pause would
// keep changes out for ever. Here a waiting writer holds the door, and readers queue behind it.
class FairSharedMutex {
 public:
  [[nodiscard]] std::shared_lock<std::shared_mutex> read() {
    const std::lock_guard door(door_);
    return std::shared_lock(data_);
  }
  [[nodiscard]] std::unique_lock<std::shared_mutex> write() {
    const std::lock_guard door(door_);
    return std::unique_lock(data_);
  }

 private:
  std::mutex door_;
  std::shared_mutex data_;
};

}  // namespace samtale

// BoundedQueue: hands items from some threads to others and says "full" instead of growing.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace samtale {

// Threads: any method from any thread.
// Order:   first in, first out.
// Memory:  at most `limit` items.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t limit) : limit_(limit) {}

  // False, and `item` untouched, if the queue is full.
  [[nodiscard]] bool try_push(T&& item) {
    {
      const std::lock_guard lock(items_mutex_);
      if (items_.size() >= limit_) return false;
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
    return true;
  }

  // Waits for an item; empty once `stop` is requested and nothing is left to hand out.
  [[nodiscard]] std::optional<T> pop(std::stop_token stop) {
    std::unique_lock lock(items_mutex_);
    changed_.wait(lock, stop, [this] { return !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(items_mutex_);
    return items_.size();
  }

 private:
  const std::size_t limit_;
  mutable std::mutex items_mutex_;
  std::condition_variable_any changed_;
  std::deque<T> items_;  // Guarded by items_mutex_.
};

}  // namespace samtale

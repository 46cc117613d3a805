// Background: what nobody waits for at this moment, one task after the other.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "model/ids.h"

namespace samtale::api {

// Threads: submit() from any; one of its own, of low priority, runs the tasks in order.
class Background {
 public:
  // Told to stop when the end has come: then it is to say so to whoever asked, and return.
  using Task = std::move_only_function<void(const std::stop_token&)>;

  // Of how many tasks may wait, in all and of one company.
  struct Limits {
    std::size_t all = 64;
    std::size_t of_company = 2;
  };
  explicit Background(Limits limits);
  ~Background();  // After all tasks.
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // False, and the task is dropped, if as many wait as may.
  [[nodiscard]] bool submit(CompanyId company, Task task);

 private:
  void run(const std::stop_token& stop);

  const Limits limits_;
  std::mutex tasks_mutex_;
  std::condition_variable_any one_came_;
  std::deque<std::pair<CompanyId, Task>> tasks_;  // Guarded by tasks_mutex_.
  std::jthread thread_;
};

}  // namespace samtale::api

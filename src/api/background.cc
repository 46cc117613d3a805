#include "api/background.h"

#include <algorithm>
#include <utility>

#include "sys/thread_priority.h"

namespace samtale::api {

Background::Background(Limits limits)
    : limits_(limits), thread_([this](const std::stop_token& stop) { run(stop); }) {}

Background::~Background() = default;

bool Background::submit(CompanyId company, Task task) {
  {
    const std::lock_guard lock(tasks_mutex_);
    const auto theirs =
        std::ranges::count(tasks_, company, [](const auto& waiting) { return waiting.first; });
    if (tasks_.size() >= limits_.all || static_cast<std::size_t>(theirs) >= limits_.of_company) {
      return false;
    }
    tasks_.emplace_back(company, std::move(task));
  }
  one_came_.notify_one();
  return true;
}

void Background::run(const std::stop_token& stop) {
  become_background_thread();
  while (true) {
    Task task;
    {
      std::unique_lock lock(tasks_mutex_);
      one_came_.wait(lock, stop, [this] { return !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front().second);
      tasks_.pop_front();
    }
    task(stop);
  }
}

}  // namespace samtale::api

// MemoryLog: a log that tests can read.
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "sys/log.h"

namespace samtale {

// Threads: any method from any thread.
class MemoryLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    std::string line(event);
    for (const auto& [key, value] : fields) {
      line.append(" ").append(key).append("=").append(value);
    }
    const std::lock_guard lock(lines_mutex_);
    lines_.push_back(std::move(line));
  }

  // "event key=value key=value", oldest first.
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(lines_mutex_);
    return lines_;
  }
  [[nodiscard]] bool has(std::string_view event) const {
    const std::lock_guard lock(lines_mutex_);
    return std::ranges::any_of(lines_, [&](const auto& line) {
      return line == event || line.starts_with(std::string(event) + " ");
    });
  }

 private:
  mutable std::mutex lines_mutex_;
  std::vector<std::string> lines_;  // Guarded by lines_mutex_.
};

}  // namespace samtale

// Log: where a room says what an operator should know. Handed in, like the clock.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace samtale {

enum class LogLevel : std::uint8_t { debug, info, warn, error };

using LogField = std::pair<std::string_view, std::string>;

// `event` is a fixed name to search by ("embed.step_failed"); what varies belongs in the fields.
// Values may hold anything a user sent: the writer escapes them (no forged lines, no terminal
// control). Never log what people said to each other, nor a secret.
// Threads: any method from any thread.
class Log {
 public:
  virtual ~Log() = default;

  virtual void write(LogLevel level, std::string_view event,
                     std::initializer_list<LogField> fields) = 0;

  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::info, event, fields);
  }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::warn, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::error, event, fields);
  }
  void warn(std::string_view event, const Error& error);  // Fields "code" and "error".
};

struct LogOptions {
  LogLevel level = LogLevel::info;
  bool json = false;  // One JSON object a line instead of "time level event key=value".
};

// Writes lines to standard error. A line that cannot be written (disk full, closed pipe) is
// dropped: logging never stops the service.
[[nodiscard]] std::unique_ptr<Log> make_stderr_log(LogOptions options);

}  // namespace samtale

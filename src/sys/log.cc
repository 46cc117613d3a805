#include "sys/log.h"

#include <unistd.h>

#include <cstdint>

#include "sys/clock.h"

#include <ctime>

namespace samtale {
namespace {

std::string_view text(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

std::string timestamp() {
  const auto now = SystemClock().wall_now();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const std::time_t whole = seconds.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char out[40];
  const auto length = std::strftime(out, sizeof out, "%FT%T", &parts);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - seconds).count();
  std::string result(out, length);
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(ms));
  return result + fraction;
}

// In quotes, with everything that could end a line or steer a terminal written as an escape.
void append_quoted(std::string_view value, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

bool is_plain(std::string_view value) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@+,%";
  return !value.empty() && value.find_first_not_of(kPlain) == std::string_view::npos;
}

class StderrLog final : public Log {
 public:
  explicit StderrLog(LogOptions options) : options_(options) {}

  void write(LogLevel level, std::string_view event,
             std::initializer_list<LogField> fields) override {
    if (level < options_.level) return;
    std::string line;
    if (options_.json) {
      line = "{\"time\":\"" + timestamp() + "\",\"level\":\"" + std::string(text(level)) +
             "\",\"event\":";
      append_quoted(event, line);
      for (const auto& [key, value] : fields) {
        line.push_back(',');
        append_quoted(key, line);
        line.push_back(':');
        append_quoted(value, line);
      }
      line.append("}\n");
    } else {
      line = timestamp() + " " + std::string(text(level)) + " " + std::string(event);
      for (const auto& [key, value] : fields) {
        line.append(" ").append(key).append("=");
        if (is_plain(value)) {
          line.append(value);
        } else {
          append_quoted(value, line);
        }
      }
      line.push_back('\n');
    }
    // One write(2), so that lines of several threads do not mix. What fails is dropped.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }

 private:
  const LogOptions options_;
};

}  // namespace

void Log::warn(std::string_view event, const Error& error) {
  write(LogLevel::warn, event, {{"code", std::string(name(error.code))}, {"error", error.message}});
}

std::unique_ptr<Log> make_stderr_log(LogOptions options) {
  return std::make_unique<StderrLog>(options);
}

}  // namespace samtale

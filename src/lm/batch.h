// BatchApi: many requests handed in at once for an answer within a day, at half the price
// (OpenAI's /v1/files and /v1/batches).
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "lm/chat.h"
#include "sys/clock.h"

namespace samtale {

struct BatchStatus {
  enum class State : std::uint8_t {
    running,
    done,
    failed,
    gone
  };  // done: also expired or cancelled.
  State state = State::running;
  std::string output_file;  // May be empty although done: nothing succeeded.
  std::string error_file;
  std::int64_t total = 0;
  std::int64_t completed = 0;
  std::int64_t failed = 0;
  std::string cause;  // Of failed.
};

// One line of the output: answer or failure by the id it was handed in with. Where the provider
// does not count, usage.output is estimated and usage.input is 0: the request is not known here.
struct BatchLine {
  std::string id;
  std::expected<ChatAnswer, ChatFailure> answer;
};

// Until when a call may go on, whichever comes first.
struct CallLimits {
  Instant deadline;
  std::stop_token stop;  // Error: unavailable.
};

// Threads: any; calls block. Errors as OpenAiChat's: resource_exhausted, unavailable,
// deadline_exceeded, invalid_argument.
class BatchApi {
 public:
  virtual ~BatchApi() = default;
  // Uploads and starts; returns the batch's id. `name` is kept as the batch's metadata, so that one
  // whose id was lost (kill -9 between the answer and our commit) is found again. At most 50,000
  // requests of 200 MB in all, ids unique; more is invalid_argument, and then nothing was sent.
  [[nodiscard]] virtual Result<std::string> submit(
      const std::string& name, const std::vector<std::pair<std::string, ChatRequest>>& requests,
      const CallLimits& limits) = 0;
  // The id of the batch that was submitted under this name, empty if there is none among the last
  // 100.
  [[nodiscard]] virtual Result<std::string> find(const std::string& name,
                                                 const CallLimits& limits) = 0;
  [[nodiscard]] virtual Result<BatchStatus> status(const std::string& id,
                                                   const CallLimits& limits) = 0;
  // Of an output or error file, in its order. A line that cannot be read is left out, and so is a
  // further one of the same id; an id that was never handed in is for the caller to ignore, and one
  // that is missing to ask again.
  [[nodiscard]] virtual Result<std::vector<BatchLine>> read(const std::string& file,
                                                            const CallLimits& limits) = 0;
  virtual Result<> cancel(const std::string& id, const CallLimits& limits) = 0;
};

}  // namespace samtale

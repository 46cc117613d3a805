// OpenAiServer: what all requests to one OpenAI-compatible server have in common: where they go,
// with which key, how long, and what it means when they fail.
#pragma once

#include <expected>
#include <string>

#include "base/result.h"
#include "lm/chat.h"
#include "lm/openai_chat.h"
#include "sys/clock.h"
#include "sys/http_client.h"

namespace samtale {

// Threads: any.
class OpenAiServer {
 public:
  struct Reply {
    std::expected<HttpAnswer, ChatFailure> answer;  // Status 200.
    RateLimitHints hints = {};
    int status = 0;  // 0: no answer came.
  };

  // Errors: invalid_argument, naming the option; never with the key.
  [[nodiscard]] static Result<OpenAiServer> make(HttpClient& http, Clock& clock,
                                                 OpenAiChatOptions options);

  // `call.url` is the path below the base ("/chat/completions"). Key, timeout and, where none is
  // set, the longest answer are filled in.
  [[nodiscard]] Reply call(HttpCall call, Instant deadline) const;

  [[nodiscard]] const OpenAiChatOptions& options() const { return options_; }  // url: the base.

 private:
  OpenAiServer(HttpClient& http, Clock& clock, OpenAiChatOptions options)
      : http_(&http), clock_(&clock), options_(std::move(options)) {}

  HttpClient* http_;
  Clock* clock_;
  OpenAiChatOptions options_;
};

}  // namespace samtale

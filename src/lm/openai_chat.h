// OpenAiChat: any server that speaks OpenAI's POST /v1/chat/completions, and its Batch API.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "lm/batch.h"
#include "lm/chat.h"
#include "sys/clock.h"
#include "sys/http_client.h"

namespace samtale {

struct OpenAiChatOptions {
  std::string
      url;  // As for OpenAiEmbedder: host alone, or with a path such as /v1. No user, no query.
  std::string key;    // Bearer token; empty: none is sent. Never part of an error.
  std::string model;  // Default.
  // How the schema is told: "json_schema" (structured outputs; "strict" where the schema allows
  // it), "json_object" (JSON, no schema), "none". With the latter two the schema is written below
  // the last message.
  std::string structured = "json_schema";
  bool stream = false;  // Server-sent events: an endless or silent answer is noticed early.
  // "max_completion_tokens" for OpenAI's newer models.
  std::string max_tokens_field = "max_tokens";
  double temperature = 0;
  bool send_temperature = true;  // Some models refuse it.
  // Of an answer. A stream's events, each with its envelope, may be eight times as long together.
  std::size_t answer_bytes_max = std::size_t{4} << 20;
  Duration silence_max = std::chrono::seconds(60);  // Streaming: no byte for so long ends it.
};

// Both must outlive what is made. Errors: invalid_argument (URL, key or option not usable).
[[nodiscard]] Result<std::unique_ptr<ChatModel>> make_openai_chat(HttpClient& http, Clock& clock,
                                                                  OpenAiChatOptions options);
[[nodiscard]] Result<std::unique_ptr<BatchApi>> make_openai_batches(HttpClient& http, Clock& clock,
                                                                    OpenAiChatOptions options);

}  // namespace samtale

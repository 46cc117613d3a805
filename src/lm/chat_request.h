// Writes requests as a chat API reads them.
#pragma once

#include <string>

#include "json/json.h"
#include "lm/chat.h"
#include "lm/openai_chat.h"

namespace samtale {

// The body of POST /v1/chat/completions, by everything in `options` but where it goes.
[[nodiscard]] std::string write_chat_request(const OpenAiChatOptions& options,
                                             const ChatRequest& request, bool stream);

// True if OpenAI's structured outputs take the schema as "strict": no object lets other members in
// or makes one optional, and nothing limits the length of a string. Source: OpenAI guide
// "Structured outputs", "Supported schemas".
[[nodiscard]] bool is_strict_schema(const json::Value& schema);

}  // namespace samtale

// Reads what a chat API answers, written by a server that may be wrong or hostile.
// Errors never hold its words: providers quote the prompt in theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "json/json.h"
#include "lm/chat.h"

namespace samtale {

// The body of a 200 to POST /v1/chat/completions. Its text may be empty where it did not end by
// itself (length, content_filter, other); a refusal is a content_filter. Usage that is missing or
// absurd is estimated, the input as `input_tokens`. Fails as broken if it is no such answer, as
// away if it is an error object instead.
[[nodiscard]] std::expected<ChatAnswer, ChatFailure> read_chat_answer(std::string_view body,
                                                                      std::int64_t input_tokens,
                                                                      std::size_t bytes_max);
[[nodiscard]] std::expected<ChatAnswer, ChatFailure> read_completion(const json::Value& completion,
                                                                     std::int64_t input_tokens);

// What another status than 200 means. Without `wait`.
[[nodiscard]] ChatFailure read_refusal(int status, std::string_view body);

// The parts of an answer that a stream has too.
[[nodiscard]] ChatFailure broken_answer(const std::string& why);
[[nodiscard]] ChatFailure error_within_answer(const json::Value& error);
[[nodiscard]] std::optional<Finish> read_finish(const json::Value& choice);  // Empty: not ended.
[[nodiscard]] std::optional<TokenUsage> read_usage(const json::Value& answer);
[[nodiscard]] std::string read_model_name(const json::Value& answer);  // Empty if none it can be.

}  // namespace samtale

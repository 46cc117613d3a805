#include "lm/chat.h"

namespace samtale {

std::int64_t token_estimate(std::string_view text) {
  return static_cast<std::int64_t>(text.size() / 3) + 1;
}

std::int64_t estimate_input_tokens(const ChatRequest& request) {
  constexpr std::int64_t kTokensPerMessage = 8;  // Role and separators.
  std::int64_t tokens = request.schema.is_null() ? 0 : token_estimate(json::dump(request.schema));
  for (const auto& message : request.messages) {
    tokens += token_estimate(message.content) + kTokensPerMessage;
  }
  return tokens;
}

}  // namespace samtale

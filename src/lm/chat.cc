#include "lm/chat.h"

#include <utility>

namespace samtale {

ChatSchema::ChatSchema(json::Value schema) {
  if (schema.is_null()) return;
  auto canonical = json::dump_sorted(schema);
  made_ = std::make_shared<const Made>(std::move(schema), std::move(canonical));
}

const ChatSchema::Made& ChatSchema::none() {
  static const Made kNone{.value = {}, .canonical = json::dump_sorted({})};
  return kNone;
}

const json::Value& ChatSchema::value() const { return made_ ? made_->value : none().value; }

const std::string& ChatSchema::canonical() const {
  return made_ ? made_->canonical : none().canonical;
}

std::int64_t token_estimate(std::string_view text) {
  return static_cast<std::int64_t>(text.size() / 3) + 1;
}

std::int64_t estimate_input_tokens(const ChatRequest& request) {
  constexpr std::int64_t kTokensPerMessage = 8;  // Role and separators.
  std::int64_t tokens = request.schema.is_none() ? 0 : token_estimate(request.schema.canonical());
  for (const auto& message : request.messages) {
    tokens += token_estimate(message.content) + kTokensPerMessage;
  }
  return tokens;
}

}  // namespace samtale

// ChatModel: asks somebody's language model, once. What goes wrong is told apart by what a caller
// can do about it; nothing is tried again here.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "sys/clock.h"

namespace samtale {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant".
  std::string content;

  friend bool operator==(const ChatMessage&, const ChatMessage&) = default;
};

// A JSON Schema that is copied for nothing: a request is copied for each try, and the same few
// schemas come with all of them. Threads: any.
class ChatSchema {
 public:
  ChatSchema() = default;  // None: any text will do.
  ChatSchema(json::Value schema);

  [[nodiscard]] bool is_none() const { return made_ == nullptr; }
  [[nodiscard]] const json::Value& value() const;      // Null if none.
  [[nodiscard]] const std::string& canonical() const;  // Its json::dump_sorted().

 private:
  struct Made {
    json::Value value;
    std::string canonical;
  };
  static const Made& none();

  std::shared_ptr<const Made> made_;
};

struct ChatRequest {
  std::string model;  // As the provider names it; empty: the provider's default.
  std::vector<ChatMessage> messages;
  std::string schema_name;  // [a-zA-Z0-9_-]{1,64}: names the schema to the provider.
  ChatSchema schema;        // Must be followed by the answer.
  std::size_t output_tokens_max = 1024;
  std::string idempotency_key;  // Sent as Idempotency-Key; the same on each try of the same thing.
};

enum class Finish : std::uint8_t { stop, length, content_filter, other };

struct TokenUsage {
  std::int64_t input = 0;         // Cached ones included.
  std::int64_t cached_input = 0;  // Of them, read from the provider's prompt cache.
  std::int64_t output = 0;

  TokenUsage& operator+=(const TokenUsage& other) {
    input += other.input;
    cached_input += other.cached_input;
    output += other.output;
    return *this;
  }
  friend bool operator==(const TokenUsage&, const TokenUsage&) = default;
};

struct ChatAnswer {
  std::string text;
  Finish finish = Finish::stop;
  TokenUsage usage;   // As the provider counts; estimated where it does not say.
  std::string model;  // As the provider names what answered.
};

// What the provider's headers say of its limits (x-ratelimit-*, as OpenAI sends them).
struct RateLimitHints {
  std::optional<std::int64_t> requests_per_minute;
  std::optional<std::int64_t> requests_left;
  std::optional<Duration> requests_reset;
  std::optional<std::int64_t> tokens_per_minute;
  std::optional<std::int64_t> tokens_left;
  std::optional<Duration> tokens_reset;
};

enum class ChatFault : std::uint8_t {
  throttled,  // 429: the account is over its rate. Error: resource_exhausted.
  away,       // 5xx, 408, refused, reset, cut in the middle. Error: unavailable.
  late,       // No whole answer before the deadline. Error: deadline_exceeded.
  broken,     // 200, and not what the protocol says: half JSON, no choices, too long. Error:
              // unavailable.
  refused,    // 4xx: this request will never be taken (or the key or model is wrong).
              // Error: invalid_argument for 400, 413 and 422; else unavailable.
  stopped,    // By the caller's stop token. Error: unavailable.
};

struct ChatFailure {
  ChatFault fault;
  Error error;                   // For the operator; never holds a key or what people said.
  std::optional<Duration> wait;  // Retry-After: nothing may be sent on this account before it ends.
  // The request went out whole, and no status says that it was turned away: the provider may bill
  // it.
  bool may_have_cost = false;
};

struct ChatOutcome {
  std::expected<ChatAnswer, ChatFailure> answer;
  RateLimitHints hints;  // Also of a failure.
};

// Threads: any method from any thread; ask() blocks.
class ChatModel {
 public:
  virtual ~ChatModel() = default;

  // Returns at the latest shortly after `deadline`, or as soon as `stop` is requested.
  [[nodiscard]] virtual ChatOutcome ask(const ChatRequest& request, Instant deadline,
                                        const std::stop_token& stop) = 0;
  // Of the provider as configured ("openai:https://api.openai.com/v1"), for logs and metrics.
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual const std::string& default_model() const = 0;
};

// An estimate on the high side that needs no tokenizer: bytes / 3 + 1, where byte-pair encoders of
// today's models take some four bytes of English a token. Emoji, rare scripts and random letters
// can take more tokens than this says.
[[nodiscard]] std::int64_t token_estimate(std::string_view text);
// Of the messages and the schema, with what the chat format adds (8 a message).
[[nodiscard]] std::int64_t estimate_input_tokens(const ChatRequest& request);

}  // namespace samtale

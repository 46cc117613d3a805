// ChatStreamReader: puts an answer together from its server-sent events, as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "lm/chat.h"

namespace samtale {

// Threads: one.
// Memory:  at most `bytes_max` for the text, and as much for one event.
// Source:  WHATWG HTML, section 9.2.6 (event streams); OpenAI API reference,
// "chat.completion.chunk".
class ChatStreamReader {
 public:
  // `input_tokens` stands in where the server does not count.
  ChatStreamReader(std::size_t bytes_max, std::int64_t input_tokens)
      : bytes_max_(bytes_max), input_tokens_(input_tokens) {}

  // Pieces may be cut anywhere. False: nothing can come of it any more; finish() says why.
  bool take(std::string_view piece);

  // True once the server has said "[DONE]": what follows changes nothing, nor does a broken
  // connection.
  [[nodiscard]] bool is_done() const { return is_done_; }
  [[nodiscard]] bool has_failed() const { return failure_.has_value(); }

  // The answer, if it is whole; fails as read_chat_answer() does. Call it once, last.
  [[nodiscard]] std::expected<ChatAnswer, ChatFailure> finish();

 private:
  void take_line(std::string_view line);
  void end_event();
  void take_chunk(std::string_view text);
  void take_choice(const json::Value& choice);
  void fail_as_broken(const std::string& why);

  const std::size_t bytes_max_;
  const std::int64_t input_tokens_;
  std::string line_;              // The beginning of a line.
  bool is_after_return_ = false;  // The last byte was '\r': a '\n' belongs to it.
  std::string data_;              // Of the event so far.
  bool has_data_ = false;
  bool has_chunks_ = false;
  bool is_refusal_ = false;
  bool is_done_ = false;
  std::string text_;
  std::string model_;
  std::optional<Finish> finish_;
  std::optional<TokenUsage> usage_;
  std::optional<ChatFailure> failure_;
};

}  // namespace samtale

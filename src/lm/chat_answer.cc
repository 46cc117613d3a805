#include "lm/chat_answer.h"

#include <algorithm>

namespace samtale {
namespace {

constexpr std::size_t kModelNameBytesMax = 200;
// More tokens than any request has: a count beyond it is no count.
constexpr std::int64_t kTokensMax = 1'000'000'000;

const std::string* find_string(const json::Value& value, std::string_view key) {
  const auto* found = value.find(key);
  return found == nullptr ? nullptr : found->as_string();
}

std::optional<std::int64_t> read_count(const json::Value& value, std::string_view pointer) {
  const auto* found = value.at_pointer(pointer);
  const auto* count = found == nullptr ? nullptr : found->as_int();
  if (count == nullptr || *count < 0 || *count > kTokensMax) return std::nullopt;
  return *count;
}

// A word such as "rate_limit_exceeded"; anything else could be somebody's words.
bool is_word(std::string_view text) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, is_part);
}

// " (type invalid_request_error, code context_length_exceeded)", or as much of it as there is.
std::string kind_of(const json::Value& error) {
  std::string kind;
  for (const auto* key : {"type", "code"}) {
    const auto* word = find_string(error, key);
    if (word == nullptr || !is_word(*word)) continue;
    kind += (kind.empty() ? " (" : ", ") + std::string(key) + " " + *word;
  }
  return kind.empty() ? kind : kind + ")";
}

}  // namespace

ChatFailure broken_answer(const std::string& why) {
  return {.fault = ChatFault::broken,
          .error = {ErrorCode::unavailable, "the language model's answer is no answer: " + why},
          .wait = std::nullopt,
          .may_have_cost = true};
}

ChatFailure error_within_answer(const json::Value& error) {
  return {.fault = ChatFault::away,
          .error = {ErrorCode::unavailable,
                    "the language model's server answers with an error" + kind_of(error)},
          .wait = std::nullopt,
          .may_have_cost = true};
}

std::optional<Finish> read_finish(const json::Value& choice) {
  const auto* reason = find_string(choice, "finish_reason");
  if (reason == nullptr) return std::nullopt;
  if (*reason == "stop") return Finish::stop;
  if (*reason == "length") return Finish::length;
  if (*reason == "content_filter") return Finish::content_filter;
  return Finish::other;
}

std::optional<TokenUsage> read_usage(const json::Value& answer) {
  const auto input = read_count(answer, "/usage/prompt_tokens");
  const auto output = read_count(answer, "/usage/completion_tokens");
  if (!input || !output) return std::nullopt;
  const auto cached = read_count(answer, "/usage/prompt_tokens_details/cached_tokens").value_or(0);
  return TokenUsage{.input = *input, .cached_input = std::min(cached, *input), .output = *output};
}

std::string read_model_name(const json::Value& answer) {
  const auto* name = find_string(answer, "model");
  return name == nullptr || name->size() > kModelNameBytesMax ? std::string() : *name;
}

std::expected<ChatAnswer, ChatFailure> read_completion(const json::Value& completion,
                                                       std::int64_t input_tokens) {
  if (const auto* error = completion.find("error"); error != nullptr && !error->is_null()) {
    return std::unexpected(error_within_answer(*error));
  }
  const auto* choice = completion.at_pointer("/choices/0");
  if (choice == nullptr) return std::unexpected(broken_answer("it has no choice"));
  const auto* message = choice->find("message");
  if (message == nullptr) return std::unexpected(broken_answer("its choice has no message"));

  ChatAnswer answer;
  answer.finish = read_finish(*choice).value_or(Finish::other);
  if (const auto* refusal = find_string(*message, "refusal");
      refusal != nullptr && !refusal->empty()) {
    answer.finish = Finish::content_filter;
  }
  if (const auto* text = find_string(*message, "content"); text != nullptr) {
    answer.text = *text;
  } else if (const auto* content = message->find("content");
             answer.finish == Finish::stop || (content != nullptr && !content->is_null())) {
    return std::unexpected(broken_answer("its message has no text"));
  }
  answer.usage =
      read_usage(completion)
          .value_or(TokenUsage{.input = input_tokens, .output = token_estimate(answer.text)});
  answer.model = read_model_name(completion);
  return answer;
}

std::expected<ChatAnswer, ChatFailure> read_chat_answer(std::string_view body,
                                                        std::int64_t input_tokens,
                                                        std::size_t bytes_max) {
  // What is wrong with it is not said: the parser quotes keys, and those are the server's words.
  const auto completion = json::parse(body, {.bytes_max = bytes_max});
  if (!completion) {
    return std::unexpected(
        broken_answer("its " + std::to_string(body.size()) + " bytes are no JSON"));
  }
  return read_completion(*completion, input_tokens);
}

ChatFailure read_refusal(int status, std::string_view body) {
  ChatFailure failure{.fault = ChatFault::refused, .error = {ErrorCode::unavailable, {}}};
  std::string kind;
  if (const auto parsed = json::parse(body)) {
    const auto* error = parsed->find("error");
    kind = kind_of(error == nullptr ? *parsed : *error);
  }
  failure.error.message = "status " + std::to_string(status) + kind;
  if (status == 429) {
    failure.fault = ChatFault::throttled;
    failure.error.code = ErrorCode::resource_exhausted;
  } else if (status >= 500 || status == 408) {
    failure.fault = ChatFault::away;
    // Somebody on the way did not wait for the answer, which may still have been made.
    failure.may_have_cost = status == 408 || status == 504 || status == 524;
  } else if (status >= 200 && status < 300) {
    failure = broken_answer(failure.error.message);
  } else if (status == 400 || status == 413 || status == 422) {
    failure.error.code = ErrorCode::invalid_argument;
  } else {
    failure.error.message += "; check the language model's URL, key and model";
  }
  return failure;
}

}  // namespace samtale

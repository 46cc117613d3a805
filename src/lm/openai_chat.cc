#include "lm/openai_chat.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "lm/chat_answer.h"
#include "lm/chat_request.h"
#include "lm/chat_stream.h"
#include "lm/openai_server.h"

namespace samtale {
namespace {

// An event's envelope is several times as long as the few letters in it.
constexpr std::size_t kStreamBytesFactor = 8;

class OpenAiChat final : public ChatModel {
 public:
  explicit OpenAiChat(OpenAiServer server)
      : server_(std::move(server)), name_("openai:" + server_.options().url) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const std::string& default_model() const override {
    return server_.options().model;
  }

  [[nodiscard]] ChatOutcome ask(const ChatRequest& request, Instant deadline,
                                const std::stop_token& stop) override {
    if (!std::ranges::all_of(request.messages, is_utf8, &ChatMessage::content)) {
      return {
          std::unexpected(ChatFailure{.fault = ChatFault::refused,
                                      .error = {ErrorCode::invalid_argument,
                                                "a message to the language model is not UTF-8"}}),
          {}};
    }
    const auto& options = server_.options();
    HttpCall call;
    call.url = "/chat/completions";
    call.headers = {{"Content-Type", "application/json"}};
    if (!request.idempotency_key.empty()) {
      call.headers.emplace_back("Idempotency-Key", request.idempotency_key);
    }
    call.body = write_chat_request(options, request, options.stream);
    call.answer_bytes_max = options.answer_bytes_max;
    call.stop = stop;
    return options.stream ? ask_for_stream(std::move(call), request, deadline)
                          : ask_for_whole(std::move(call), request, deadline);
  }

 private:
  [[nodiscard]] ChatOutcome ask_for_whole(HttpCall call, const ChatRequest& request,
                                          Instant deadline) const {
    auto reply = server_.call(std::move(call), deadline);
    if (!reply.answer) return {std::unexpected(std::move(reply.answer).error()), reply.hints};
    auto answer = read_chat_answer(reply.answer->body, estimate_input_tokens(request),
                                   server_.options().answer_bytes_max);
    return {with_name(std::move(answer)), reply.hints};
  }

  [[nodiscard]] ChatOutcome ask_for_stream(HttpCall call, const ChatRequest& request,
                                           Instant deadline) const {
    const auto& options = server_.options();
    ChatStreamReader reader(options.answer_bytes_max, estimate_input_tokens(request));
    call.headers.emplace_back("Accept", "text/event-stream");
    call.answer_bytes_max *= kStreamBytesFactor;
    call.silence_max = options.silence_max;
    call.on_body = [&reader](std::string_view piece) { return reader.take(piece); };
    auto reply = server_.call(std::move(call), deadline);
    if (!reply.answer && !reader.is_done() && !reader.has_failed()) {
      return {std::unexpected(std::move(reply.answer).error()), reply.hints};
    }
    return {with_name(reader.finish()), reply.hints};
  }

  [[nodiscard]] std::expected<ChatAnswer, ChatFailure> with_name(
      std::expected<ChatAnswer, ChatFailure> answer) const {
    if (!answer) answer.error().error = std::move(answer.error().error).during(name_);
    return answer;
  }

  const OpenAiServer server_;
  const std::string name_;
};

}  // namespace

Result<std::unique_ptr<ChatModel>> make_openai_chat(HttpClient& http, Clock& clock,
                                                    OpenAiChatOptions options) {
  SAMTALE_TRY(auto server, OpenAiServer::make(http, clock, std::move(options)));
  return std::make_unique<OpenAiChat>(std::move(server));
}

}  // namespace samtale

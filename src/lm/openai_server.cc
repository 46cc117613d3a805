#include "lm/openai_server.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lm/chat_answer.h"
#include "lm/rate_limit_headers.h"
#include "sys/retry_after.h"

namespace samtale {
namespace {

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7F; });
}

Result<> check(const OpenAiChatOptions& options) {
  const auto refuse = [](std::string why) {
    return fail(ErrorCode::invalid_argument, std::move(why));
  };
  // Not repeated: what is wrong about it may be that it holds a password.
  if ((!options.url.starts_with("http://") && !options.url.starts_with("https://")) ||
      options.url.ends_with("://") || !is_plain(options.url) ||
      options.url.find_first_of("@?#") != std::string::npos) {
    return refuse(
        "the URL of the language model must be http:// or https://, a host and perhaps a "
        "path; the key has an option of its own");
  }
  if (options.model.empty()) return refuse("no language model is named; name one");
  if (!is_plain(options.key)) {
    return refuse(
        "the key of the language model holds a space, a line end or another character "
        "that no key has; check the file it is in");
  }
  if (options.structured != "json_schema" && options.structured != "json_object" &&
      options.structured != "none") {
    return refuse(
        "a language model's structured output is \"json_schema\", \"json_object\" or "
        "\"none\"");
  }
  if (options.max_tokens_field.empty() || options.answer_bytes_max == 0 ||
      options.silence_max <= Duration::zero() || !std::isfinite(options.temperature)) {
    return refuse(
        "a language model needs a max_tokens_field, answer_bytes_max >= 1, silence_max > 0 "
        "and a finite temperature");
  }
  return {};
}

// The path is completed as the clients of OpenAI and of its imitators expect it.
std::string base_of(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const auto host = url.find("://") + 3;
  return url.find('/', host) == std::string::npos ? url + "/v1" : url;
}

ChatFailure failure_of(Error error, bool was_stopped, bool was_sent) {
  auto fault = ChatFault::away;
  if (was_stopped) {
    fault = ChatFault::stopped;
  } else if (error.code == ErrorCode::deadline_exceeded) {
    fault = ChatFault::late;
  } else if (error.code == ErrorCode::resource_exhausted) {
    // An answer past its limit is the server's fault, no quota of ours.
    fault = ChatFault::broken;
    error.code = ErrorCode::unavailable;
  }
  return {.fault = fault, .error = std::move(error), .wait = {}, .may_have_cost = was_sent};
}

}  // namespace

Result<OpenAiServer> OpenAiServer::make(HttpClient& http, Clock& clock, OpenAiChatOptions options) {
  SAMTALE_TRY_VOID(check(options));
  options.url = base_of(std::move(options.url));
  return OpenAiServer(http, clock, std::move(options));
}

OpenAiServer::Reply OpenAiServer::call(HttpCall call, Instant deadline) const {
  call.url = options_.url + call.url;
  if (!options_.key.empty()) call.headers.emplace_back("Authorization", "Bearer " + options_.key);
  call.timeout = deadline - clock_->now();
  if (call.timeout <= Duration::zero()) {
    return {std::unexpected(failure_of(
        {ErrorCode::deadline_exceeded, "no time is left to ask " + call.url}, false, false))};
  }
  bool was_sent = false;
  call.was_sent = &was_sent;

  auto answer = http_->call(call);
  if (!answer) {
    const bool was_stopped =
        call.stop.stop_requested() && answer.error().code == ErrorCode::unavailable;
    return {std::unexpected(failure_of(std::move(answer).error(), was_stopped, was_sent))};
  }
  const auto hints = read_rate_limit_headers(answer->headers);
  const int status = answer->status;
  if (status == 200) return {std::move(*answer), hints, status};
  auto failure = read_refusal(status, answer->body);
  failure.error = std::move(failure.error).during(call.method + " " + call.url);
  failure.wait = read_retry_after(answer->headers, clock_->wall_now());
  return {std::unexpected(std::move(failure)), hints, status};
}

}  // namespace samtale

#include "embed/openai_embedder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/bytes.h"
#include "embed/embedding_answer.h"
#include "json/json.h"
#include "sys/retry_after.h"

namespace samtale {
namespace {

// The path is completed as the clients of OpenAI and of its imitators expect it.
std::string endpoint(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const auto host = url.find("://") + 3;
  return url + (url.find('/', host) == std::string::npos ? "/v1/embeddings" : "/embeddings");
}

Result<> check(const OpenAiEmbedderOptions& options) {
  if (!options.url.starts_with("http://") && !options.url.starts_with("https://")) {
    return fail(ErrorCode::invalid_argument, "the URL of the embedding server is \"" + options.url +
                                                 "\"; it must begin with http:// or https://");
  }
  if (options.model.empty()) {
    return fail(ErrorCode::invalid_argument, "no embedding model is named; name one");
  }
  if (std::ranges::any_of(options.key, [](unsigned char c) { return c <= ' ' || c >= 0x7F; })) {
    return fail(ErrorCode::invalid_argument,
                "the key of the embedding server holds a space, a line end or another character "
                "that no key has; check the file it is in");
  }
  if (options.batch_max == 0 || options.tries_max < 1 || options.dimension > kDimensionMax) {
    return fail(ErrorCode::invalid_argument,
                "an embedding server needs batch_max >= 1 (is " +
                    std::to_string(options.batch_max) + "), tries_max >= 1 (is " +
                    std::to_string(options.tries_max) + ") and a dimension of at most " +
                    std::to_string(kDimensionMax) + " (is " + std::to_string(options.dimension) +
                    ")");
  }
  return {};
}

std::string without(std::string text, std::string_view secret) {
  if (secret.empty()) return text;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "***");
  }
  return text;
}

}  // namespace

std::string make_model_id(std::string_view kind, const OpenAiEmbedderOptions& options) {
  auto id = std::string(kind) + ":" + options.model + ":" + std::to_string(options.dimension);
  if (options.input_type) id += ":input_type";
  if (!options.query_prefix.empty() || !options.passage_prefix.empty()) {
    const auto digest = sha256(options.query_prefix + '\0' + options.passage_prefix);
    id += ":prefix-" + hex(view(digest).substr(0, 4));
  }
  return id;
}

Result<std::unique_ptr<OpenAiEmbedder>> OpenAiEmbedder::make(HttpClient& http, Clock& clock,
                                                             Random& random,
                                                             OpenAiEmbedderOptions options,
                                                             Duration timeout) {
  SAMTALE_TRY_VOID(check(options));
  options.url = endpoint(std::move(options.url));
  std::unique_ptr<OpenAiEmbedder> made(new OpenAiEmbedder(http, clock, random, std::move(options)));
  auto& own = made->options_;
  if (own.dimension == 0) {
    const std::string probe = "dimension";
    auto vectors = made->embed({&probe, 1}, EmbedRole::passage, nullptr, timeout);
    if (!vectors) {
      return std::unexpected(std::move(vectors).error().during(
          "ask the embedding server for its dimension (configure it to start without it)"));
    }
    own.dimension = vectors->front().size();
  }
  if (own.model_id.empty()) own.model_id = make_model_id("openai", own);
  return made;
}

Result<std::vector<std::vector<float>>> OpenAiEmbedder::embed(std::span<const std::string> texts,
                                                              EmbedRole role, const WordStatistics*,
                                                              Duration timeout) {
  if (!std::ranges::all_of(texts, is_utf8)) {
    return fail(ErrorCode::invalid_argument, "a text to embed is not UTF-8");
  }
  const auto deadline = clock_.now() + timeout;
  std::vector<std::vector<float>> vectors;
  vectors.reserve(texts.size());
  for (std::size_t at = 0; at < texts.size(); at += options_.batch_max) {
    const auto batch = texts.subspan(at, std::min(options_.batch_max, texts.size() - at));
    SAMTALE_TRY(auto some, embed_batch(batch, role, deadline));
    std::ranges::move(some, std::back_inserter(vectors));
  }
  return vectors;
}

Result<std::vector<std::vector<float>>> OpenAiEmbedder::embed_batch(
    std::span<const std::string> texts, EmbedRole role, Instant deadline) {
  HttpCall call;
  call.url = options_.url;
  call.headers = {{"Content-Type", "application/json"}};
  call.body = request_body(texts, role);
  call.answer_bytes_max = answer_bytes_max(texts.size(), options_.dimension);
  if (!options_.key.empty()) call.headers.emplace_back("Authorization", "Bearer " + options_.key);

  for (int number = 1;; ++number) {
    call.timeout = deadline - clock_.now();
    if (call.timeout <= Duration::zero()) {
      return fail(ErrorCode::deadline_exceeded,
                  "no time is left to ask the embedding server " + options_.url);
    }
    auto answer = attempt(call, texts.size());
    if (answer) return std::move(*answer);
    auto& failure = answer.error();
    const auto pause = pause_before(number, failure.wait);
    if (!failure.try_again || number >= options_.tries_max || clock_.now() + pause >= deadline) {
      return std::unexpected(std::move(failure.error));
    }
    clock_.sleep_for(pause, {});
  }
}

OpenAiEmbedder::Attempt OpenAiEmbedder::attempt(const HttpCall& call, std::size_t count) {
  auto answer = http_.call(call);
  if (!answer) {
    auto error = std::move(answer).error();
    const bool try_again = error.code == ErrorCode::unavailable;
    // An answer past its limit is the server's fault, no quota of ours.
    if (error.code == ErrorCode::resource_exhausted) error.code = ErrorCode::unavailable;
    return std::unexpected(Failure{std::move(error), try_again, std::nullopt});
  }
  if (answer->status != 200) return std::unexpected(read_failure(*answer));
  auto vectors = read_embedding_answer(answer->body, count, options_.dimension);
  if (!vectors) {
    return std::unexpected(
        Failure{std::move(vectors).error().during(call.url), false, std::nullopt});
  }
  return std::move(*vectors);
}

OpenAiEmbedder::Failure OpenAiEmbedder::read_failure(const HttpAnswer& answer) const {
  const auto status = answer.status;
  const auto wait = read_retry_after(answer.headers, clock_.wall_now());
  auto message = options_.url + ": status " + std::to_string(status) + ": " +
                 without(read_error_message(answer.body), options_.key);
  if (wait) {
    const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*wait).count();
    message += " (asks for " + std::to_string(wait_ms) + " ms of rest)";
  }
  if (status == 429) return {{ErrorCode::resource_exhausted, std::move(message)}, true, wait};
  if (status >= 500 || status == 408) {
    return {{ErrorCode::unavailable, std::move(message)}, true, wait};
  }
  if (status == 400 || status == 413 || status == 422) {
    return {{ErrorCode::invalid_argument, std::move(message)}, false, wait};
  }
  message += "; check the embedding server's URL, key and model";
  return {{ErrorCode::unavailable, std::move(message)}, false, wait};
}

std::string OpenAiEmbedder::request_body(std::span<const std::string> texts, EmbedRole role) const {
  const bool is_query = role == EmbedRole::query;
  const auto& prefix = is_query ? options_.query_prefix : options_.passage_prefix;
  json::Array input;
  input.reserve(texts.size());
  for (const auto& text : texts) input.emplace_back(prefix + text);
  json::Object body = {{"model", options_.model}, {"input", std::move(input)}};
  if (options_.input_type) body.emplace_back("input_type", is_query ? "query" : "passage");
  return json::dump(std::move(body));
}

Duration OpenAiEmbedder::pause_before(int next_try, std::optional<Duration> asked) {
  const auto longest =
      std::min(options_.retry_longest, options_.retry_base * (1 << std::min(next_try - 1, 20)));
  const auto jitter = Duration(
      static_cast<std::int64_t>(static_cast<double>(longest.count()) * random_.fraction()));
  // After the rest a server asked for, jitter still: others were told the same.
  return asked ? *asked + std::min(jitter, options_.retry_base) : jitter;
}

}  // namespace samtale

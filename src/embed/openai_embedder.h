// OpenAiEmbedder: embeddings from any server that speaks OpenAI's POST /v1/embeddings.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embed/embedder.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "sys/random.h"

namespace samtale {

struct OpenAiEmbedderOptions {
  // "https://api.openai.com" and "https://api.openai.com/v1" are the same; a URL with a path gets
  // "/embeddings" appended.
  std::string url;
  std::string key;  // Sent as a bearer token; empty: none is. Never part of an error.
  std::string model;
  std::size_t dimension = 0;  // 0: the server is asked once, when the embedder is made.
  std::size_t batch_max = 32;
  // Which side a text is on, for models such as E5: written in front of it ("query: "), or told in
  // the field "input_type".
  std::string query_prefix;
  std::string passage_prefix;
  bool input_type = false;
  std::string model_id;  // Empty: made by make_model_id.
  int tries_max = 4;     // Of one request, within the caller's timeout.
  Duration retry_base = std::chrono::milliseconds(200);  // Doubles with each try, full jitter.
  Duration retry_longest = std::chrono::seconds(8);
};

// "<kind>:<model>:<dimension>" and how the model is told the side of a text, if it is: whatever
// changes vectors.
[[nodiscard]] std::string make_model_id(std::string_view kind,
                                        const OpenAiEmbedderOptions& options);

// What is passed in must outlive the embedder.
// Threads: any method from any thread; calls block.
// Errors:  those of Embedder. A wrong key, a missing model or a changed dimension are unavailable,
//          not invalid_argument: the texts are not to blame and must not be given up for it.
class OpenAiEmbedder final : public Embedder {
 public:
  // Errors: invalid_argument for options that cannot work; if the dimension has to be asked for,
  // those of embed().
  [[nodiscard]] static Result<std::unique_ptr<OpenAiEmbedder>> make(
      HttpClient& http, Clock& clock, Random& random, OpenAiEmbedderOptions options,
      Duration timeout = std::chrono::seconds(30));

  [[nodiscard]] const std::string& model_id() const override { return options_.model_id; }
  [[nodiscard]] std::size_t dimension() const override { return options_.dimension; }
  [[nodiscard]] std::size_t batch_max() const override { return options_.batch_max; }
  [[nodiscard]] bool needs_text_alone() const override { return true; }

  // More than batch_max texts become several requests, one after the other. A Retry-After is
  // respected; if it ends past the timeout, the call fails at once.
  [[nodiscard]] Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts,
                                                              EmbedRole role,
                                                              const WordStatistics* words,
                                                              Duration timeout) override;

 private:
  struct Failure {
    Error error;
    bool try_again = false;
    std::optional<Duration> wait;  // Asked for by the server.
  };
  using Attempt = std::expected<std::vector<std::vector<float>>, Failure>;

  OpenAiEmbedder(HttpClient& http, Clock& clock, Random& random, OpenAiEmbedderOptions options)
      : http_(http), clock_(clock), random_(random), options_(std::move(options)) {}

  [[nodiscard]] Result<std::vector<std::vector<float>>> embed_batch(
      std::span<const std::string> texts, EmbedRole role, Instant deadline);
  [[nodiscard]] Attempt attempt(const HttpCall& call, std::size_t count);
  [[nodiscard]] Failure read_failure(const HttpAnswer& answer) const;
  [[nodiscard]] std::string request_body(std::span<const std::string> texts, EmbedRole role) const;
  [[nodiscard]] Duration pause_before(int next_try, std::optional<Duration> asked);

  HttpClient& http_;
  Clock& clock_;
  Random& random_;
  OpenAiEmbedderOptions options_;  // Complete and unchanged once made.
};

}  // namespace samtale

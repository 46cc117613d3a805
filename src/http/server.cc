#include "http/server.h"

#include <algorithm>

#include "base/check.h"
#include "http/io_loop.h"
#include "http/listener.h"
#include "http/server_state.h"
#include "http/transport.h"

namespace samtale::http {
namespace {

// How long an idle connection may still bring a request while the server drains: clients that are
// busy send the next one within milliseconds and learn from its answer that this was the last.
constexpr Duration kIdleGraceMax = std::chrono::milliseconds(500);

class LoopServer final : public Server {
 public:
  LoopServer(std::vector<Route> routes, ServerOptions options, const Clock& clock, Random& random,
             Log& log, Observer observer)
      : state_(std::move(routes), std::move(options), clock, random, log, std::move(observer)) {}

  ~LoopServer() override {
    loops_.clear();
    state_.handlers.stop();
  }

  Result<> start() override {
    const auto& options = state_.options;
    if (options.tls) {
      SAMTALE_TRY(tls_, TlsContext::load(*options.tls));
    }
    SAMTALE_TRY_VOID(listen_tcp());
    if (!options.local_socket.empty()) {
      SAMTALE_TRY(auto local, Listener::local(options.local_socket));
      loops_.front()->listen(std::move(local), nullptr);
    }
    SAMTALE_TRY_VOID(state_.handlers.start(options.handler_threads));
    for (const auto& loop : loops_) SAMTALE_TRY_VOID(loop->start());
    is_started_ = true;
    return {};
  }

  std::uint16_t port() const override { return port_; }

  bool drain(Duration limit) override {
    if (!is_started_) return true;
    const auto deadline = state_.clock.now() + limit;
    for (const auto& loop : loops_) loop->drain(deadline, std::min(limit / 4, kIdleGraceMax));
    return state_.wait_for_drain();
  }

  ServerStats stats() const override {
    return {.connections = state_.connections.load(std::memory_order_relaxed),
            .in_flight = state_.in_flight.load(std::memory_order_relaxed),
            .queued = state_.handlers.size(),
            .refused_full = state_.refused_full.load(std::memory_order_relaxed)};
  }

 private:
  Result<> listen_tcp() {
    const auto& options = state_.options;
    const bool is_shared = options.io_threads > 1;
    port_ = options.port;
    if (is_shared && port_ != 0) {
      // Shared ports never collide with another process of this user: ask without sharing first.
      SAMTALE_TRY_VOID(Listener::tcp(options.address, port_, false));
    }
    for (std::size_t i = 0; i < options.io_threads; ++i) {
      SAMTALE_TRY(auto listener, Listener::tcp(options.address, port_, is_shared));
      port_ = listener.port();
      loops_.push_back(make_io_loop(state_));
      loops_.back()->listen(std::move(listener), tls_.get());
    }
    return {};
  }

  ServerState state_;
  std::unique_ptr<TlsContext> tls_;
  std::vector<std::unique_ptr<IoLoop>> loops_;
  std::uint16_t port_ = 0;
  bool is_started_ = false;
};

const std::string* first(const std::vector<std::pair<std::string, std::string>>& pairs,
                         std::string_view key) {
  const auto found = std::find_if(pairs.begin(), pairs.end(),
                                  [key](const auto& pair) { return pair.first == key; });
  return found == pairs.end() ? nullptr : &found->second;
}

}  // namespace

const std::string* Request::header(std::string_view name) const { return first(headers, name); }
const std::string* Request::param(std::string_view name) const { return first(params, name); }
const std::string* Request::query_value(std::string_view name) const { return first(query, name); }

std::unique_ptr<Server> make_server(std::vector<Route> routes, ServerOptions options,
                                    const Clock& clock, Random& random, Log& log,
                                    Observer observer) {
  SAMTALE_CHECK(options.io_threads > 0 && options.handler_threads > 0, "a server needs threads");
  return std::make_unique<LoopServer>(std::move(routes), std::move(options), clock, random, log,
                                      std::move(observer));
}

}  // namespace samtale::http

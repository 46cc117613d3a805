// Fuzzes what a connection is sent: heads, chunks, targets and gzip, through the whole connection
// with a socket and a loop made of memory.
// Rooms: http
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/connection.h"

namespace samtale::http {
namespace {

class FixedClock final : public Clock {
 public:
  WallTime wall_now() const override { return {}; }
  Instant now() const override { return {}; }
  void sleep_for(Duration, std::stop_token) override {}
};

class NoRandom final : public Random {
 public:
  std::string bytes(std::size_t count) override { return std::string(count, '\0'); }
};

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

// Gives the input `step` bytes at a time and keeps what is written.
class MemoryTransport final : public Transport {
 public:
  MemoryTransport(std::string_view input, std::size_t step, std::string& output)
      : input_(input), step_(step), output_(output) {}

  IoResult handshake() override { return {}; }
  IoResult read(std::span<char> into) override {
    if (input_.empty()) return {IoStatus::closed};
    const auto size = input_.copy(into.data(), std::min(step_, into.size()));
    input_.remove_prefix(size);
    return {IoStatus::ok, size};
  }
  IoResult write(std::string_view bytes) override {
    output_.append(bytes);
    return {IoStatus::ok, bytes.size()};
  }
  void shut_write() override {}

 private:
  std::string_view input_;
  const std::size_t step_;
  std::string& output_;
};

class MemoryWatch final : public Watch {
 public:
  void when_readable() override { is_waiting = true; }
  void when_writable() override { is_waiting = true; }
  void close() override { is_closed = true; }
  bool is_waiting = false;
  bool is_closed = false;
};

// Runs each job at once, on this thread.
class MemoryHost final : public ConnectionHost {
 public:
  explicit MemoryHost(ServerState& state) : state_(state) {}

  void submit(Job job) override { jobs_.push_back(std::move(job)); }
  Ticket ticket(ExchangeId exchange) override { return {outbox_, exchange}; }
  std::string make_request_id() override { return "id"; }
  std::string_view date() override { return "now"; }
  std::span<char> scratch() override { return scratch_; }
  bool is_draining() const override { return false; }

  bool run(Connection& connection) {
    if (jobs_.empty()) return false;
    for (auto& job : std::exchange(jobs_, {})) run_job(std::move(job), state_.clock, state_.log);
    std::vector<Answer> answers;
    outbox_->take(answers);
    for (auto& answer : answers) connection.on_answer(std::move(answer));
    return true;
  }

 private:
  ServerState& state_;
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>([] {});
  std::vector<Job> jobs_;
  std::array<char, 4096> scratch_{};
};

class EchoStream final : public BodyStream {
 public:
  void piece(std::string_view lines, bool is_last,
             std::move_only_function<void(std::string)> done) override {
    SAMTALE_CHECK(is_last || lines.ends_with('\n'), "a piece ends at a line end");
    done(std::string(lines));
  }
};

std::vector<Route> make_routes() {
  Route route;
  route.method = "POST";
  route.pattern = "/{name}";
  route.handler = [](const Request& request, Reply reply) {
    Response response;
    response.body = request.path + request.body;
    reply(std::move(response));
  };
  route.stream = [](const Request&) {
    StreamDecision decision;
    decision.stream = std::make_unique<EchoStream>();
    return decision;
  };
  return {std::move(route)};
}

// What the observer is told and, with whole answers, what is sent.
std::string converse(std::string_view input, std::size_t step) {
  FixedClock clock;
  NoRandom random;
  NoLog log;
  std::string told;
  ServerState state(
      make_routes(), {.header_bytes_max = 2048, .body_bytes_max = 8192, .stream_bytes_max = 32768},
      clock, random, log, [&told](const Exchange& exchange) {
        told += std::string(exchange.path) + " " + std::to_string(exchange.status) + "\n";
      });
  MemoryHost host(state);
  MemoryWatch watch;
  std::string output;
  Connection connection(state, host, watch, 1,
                        std::make_unique<MemoryTransport>(input, step, output), "peer");
  connection.start();
  while (!watch.is_closed) {
    if (host.run(connection)) continue;
    SAMTALE_CHECK(std::exchange(watch.is_waiting, false), "an open connection waits for something");
    connection.on_readable();
  }
  SAMTALE_CHECK(state.in_flight == 0 && state.connections == 0 && state.buffered_bytes == 0,
                "what a connection holds goes with it");
  return told;
}

}  // namespace
}  // namespace samtale::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto whole = samtale::http::converse(input, 4096);
  const auto bytewise = samtale::http::converse(input, 1);
  SAMTALE_CHECK(whole == bytewise, "the requests in the bytes do not depend on how they arrive");
  return 0;
}

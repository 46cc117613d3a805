// A server on a port of its own, with what tests of it need.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"
#include "http/testing/raw_client.h"

namespace samtale::http::testing {

// Keeps what is logged.
class MemoryLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    const std::lock_guard lock(events_mutex_);
    events_.emplace_back(event);
  }
  [[nodiscard]] std::vector<std::string> events() const {
    const std::lock_guard lock(events_mutex_);
    return events_;
  }

 private:
  mutable std::mutex events_mutex_;
  std::vector<std::string> events_;
};

// Holds replies back until the test wants them given.
class ReplyBox {
 public:
  void put(Reply reply) {
    {
      const std::lock_guard lock(replies_mutex_);
      replies_.push_back(std::move(reply));
    }
    changed_.notify_all();
  }
  // Waits until `count` are here and hands them out.
  std::vector<Reply> take(std::size_t count) {
    std::unique_lock lock(replies_mutex_);
    changed_.wait(lock, [&] { return replies_.size() >= count; });
    return std::exchange(replies_, {});
  }

 private:
  std::mutex replies_mutex_;
  std::condition_variable changed_;
  std::vector<Reply> replies_;
};

// At which no time limit ever ends.
class StoppedClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override { return start_wall_; }
  [[nodiscard]] Instant now() const override { return start_; }
  void sleep_for(Duration, std::stop_token) override {}

 private:
  const WallTime start_wall_ = SystemClock().wall_now();
  const Instant start_ = SystemClock().now();
};

class RunningServer {
 public:
  explicit RunningServer(std::vector<Route> routes, ServerOptions options = {},
                         Observer observer = {},
                         std::unique_ptr<Clock> clock = std::make_unique<SystemClock>())
      : clock_(std::move(clock)) {
    options.port = 0;
    server_ = make_server(std::move(routes), std::move(options), *clock_, random_, log_,
                          std::move(observer));
    started_ = server_->start();
  }

  [[nodiscard]] const Result<>& started() const { return started_; }
  [[nodiscard]] Server& server() { return *server_; }
  [[nodiscard]] const MemoryLog& log() const { return log_; }
  void stop() { server_.reset(); }

  [[nodiscard]] RawClient connect() const { return RawClient::tcp(server_->port()); }
  // Sends the bytes on a connection of their own; all that comes until the server closes.
  [[nodiscard]] std::string exchange(std::string_view bytes) const {
    auto client = connect();
    client.send(bytes);
    return client.read_to_end();
  }
  // The same, with the answer of a client that has no more to say.
  [[nodiscard]] std::string last_exchange(std::string_view bytes) const {
    auto client = connect();
    client.send(bytes);
    client.end_sending();
    return client.read_to_end();
  }

 private:
  std::unique_ptr<Clock> clock_;
  SystemRandom random_;
  MemoryLog log_;
  std::unique_ptr<Server> server_;
  Result<> started_;
};

// Answers with the body it got.
inline void echo(const Request& request, Reply reply) {
  Response response;
  response.body = request.body;
  reply(std::move(response));
}

inline Route route(std::string method, std::string pattern, Handler handler) {
  Route out;
  out.method = std::move(method);
  out.pattern = std::move(pattern);
  out.handler = std::move(handler);
  return out;
}

inline std::vector<Route> echo_routes() {
  return {route("POST", "/echo", echo), route("GET", "/echo", echo)};
}

inline std::string post(std::string_view path, std::string_view body,
                        std::string_view headers = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

inline std::string get(std::string_view path, std::string_view headers = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n";
}

}  // namespace samtale::http::testing

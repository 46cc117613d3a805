// SocketServer: answers HTTP on a real socket of 127.0.0.1, byte by byte as a test says.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/check.h"

namespace samtale {

// Threads: one a connection runs the handler; all end with the server.
class SocketServer {
 public:
  class Connection {
   public:
    explicit Connection(int fd) : fd_(fd) {}

    void send(std::string_view bytes) const {
      while (!bytes.empty()) {
        const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
    void answer(std::string_view status, std::string_view body) const {
      send("HTTP/1.1 " + std::string(status) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
    }
    // Returns when the other side has closed.
    void wait_for_close() const {
      char byte = 0;
      while (::recv(fd_, &byte, 1, 0) > 0) continue;
    }
    // The next close is a reset.
    void reset() const {
      const linger none{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }

   private:
    int fd_;
  };
  // Of one request, head and body; false closes the connection.
  using Handler = std::function<bool(const std::string& request, const Connection&)>;

  explicit SocketServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    SAMTALE_CHECK(::bind(listener_, any, length) == 0 && ::listen(listener_, 128) == 0 &&
                      ::getsockname(listener_, any, &length) == 0,
                  "a test may listen on a free port");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this] { accept_all(); });
  }
  ~SocketServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      ++connections_;
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  }

  void serve(int fd) {
    std::string received;
    char buffer[4096];
    while (true) {
      const auto head = received.find("\r\n\r\n");
      const auto length = received.find("Content-Length: ");
      const std::size_t body =
          length < head ? std::strtoul(received.c_str() + length + 16, nullptr, 10) : 0;
      if (head != std::string::npos && received.size() >= head + 4 + body) {
        if (!handler_(received.substr(0, head + 4 + body), Connection(fd))) break;
        received.erase(0, head + 4 + body);
        continue;
      }
      const auto count = ::recv(fd, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      received.append(buffer, static_cast<std::size_t>(count));
    }
    const std::lock_guard lock(mutex_);
    open_.remove(fd);
    ::close(fd);
  }

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::mutex mutex_;
  std::list<int> open_;              // Guarded by mutex_.
  std::list<std::jthread> threads_;  // Guarded by mutex_; joined without it, last of all.
  std::jthread acceptor_;
};

}  // namespace samtale

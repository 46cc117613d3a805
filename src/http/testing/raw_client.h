// A client that sends exactly the bytes it is told, over TCP, TLS or a local socket.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace samtale::http::testing {

// Every wait ends after 20 s, so that a test fails instead of hanging.
class RawClient {
 public:
  static RawClient tcp(std::uint16_t port);
  static RawClient local(const std::string& path);
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient();

  [[nodiscard]] bool is_connected() const { return descriptor_ >= 0; }
  bool start_tls();                   // Checks no certificate.
  bool send(std::string_view bytes);  // False if the server does not take them.
  void end_sending();
  // All that comes until the server closes.
  std::string read_to_end();
  // The next whole answer: its head and the body that its Content-Length announces (none for an
  // interim answer or `is_head`). What follows is kept for the next call.
  std::string read_answer(bool is_head = false);
  std::string read_until(std::string_view end);

 private:
  explicit RawClient(int descriptor) : descriptor_(descriptor) {}
  bool read_more();
  std::string take(std::size_t size);

  int descriptor_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  std::string input_;
};

inline int connect_to(int descriptor, const sockaddr* address, socklen_t size) {
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(descriptor, address, size) == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

inline RawClient RawClient::tcp(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return RawClient(connect_to(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

inline RawClient RawClient::local(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return RawClient(connect_to(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

inline RawClient::RawClient(RawClient&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      context_(std::exchange(other.context_, nullptr)),
      ssl_(std::exchange(other.ssl_, nullptr)),
      input_(std::move(other.input_)) {}

inline RawClient::~RawClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

inline bool RawClient::start_tls() {
  context_ = SSL_CTX_new(TLS_client_method());
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, descriptor_);
  return SSL_connect(ssl_) == 1;
}

inline bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

inline void RawClient::end_sending() { ::shutdown(descriptor_, SHUT_WR); }

inline bool RawClient::read_more() {
  std::array<char, 65536> bytes;
  const auto got = ssl_ ? SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                        : ::recv(descriptor_, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  input_.append(bytes.data(), static_cast<std::size_t>(got));
  return true;
}

inline std::string RawClient::take(std::size_t size) {
  auto out = input_.substr(0, size);
  input_.erase(0, size);
  return out;
}

inline std::string RawClient::read_to_end() {
  while (read_more()) continue;
  return take(input_.size());
}

inline std::string RawClient::read_until(std::string_view end) {
  while (input_.find(end) == std::string::npos) {
    if (!read_more()) return take(input_.size());
  }
  return take(input_.find(end) + end.size());
}

inline std::string RawClient::read_answer(bool is_head) {
  auto answer = read_until("\r\n\r\n");
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const auto at = answer.find(kLength);
  if (at == std::string::npos || is_head) return answer;
  const auto size = std::strtoul(answer.c_str() + at + kLength.size(), nullptr, 10);
  while (input_.size() < size && read_more()) continue;
  return answer + take(size);
}

}  // namespace samtale::http::testing

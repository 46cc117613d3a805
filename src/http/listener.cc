#include "http/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace samtale::http {
namespace {

constexpr int kBacklog = 4096;  // The kernel cuts it to net.core.somaxconn.

std::string describe(const std::string& address, std::uint16_t port) {
  const bool is_v6 = address.find(':') != std::string::npos;
  return (is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::unexpected<Error> fail_with_errno(const std::string& what) {
  const int code = errno;
  if (code == EADDRINUSE) {
    return fail(ErrorCode::unavailable, what + " is in use; stop the other server or take another");
  }
  return fail(ErrorCode::unavailable, what + ": " + std::strerror(code));
}

void set_option(int descriptor, int level, int name) {
  const int on = 1;
  ::setsockopt(descriptor, level, name, &on, sizeof on);
}

std::string peer_name(const sockaddr_storage& from) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (from.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&from);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return describe(text.data(), ntohs(v4->sin_port));
  }
  if (from.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&from);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return describe(text.data(), ntohs(v6->sin6_port));
  }
  return "local";
}

sockaddr_un local_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Removes the file of a socket nobody listens on.
Result<> clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) {
    return fail(ErrorCode::invalid_argument,
                "local socket " + path + ": there is a file that is no socket; take another path");
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe.get(), name, sizeof address) != 0 && errno == ECONNREFUSED) {
    ::unlink(path.c_str());
    return {};
  }
  errno = EADDRINUSE;
  return fail_with_errno("local socket " + path);
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Result<Listener> Listener::tcp(const std::string& address, std::uint16_t port, bool is_shared) {
  const auto what = describe(address, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    return fail(ErrorCode::invalid_argument, "listen on " + what + ": " + ::gai_strerror(code) +
                                                 "; give an address of this machine");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Descriptor descriptor(
      ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (descriptor.get() < 0) return fail_with_errno("listen on " + what);
  set_option(descriptor.get(), SOL_SOCKET, SO_REUSEADDR);
  if (is_shared) set_option(descriptor.get(), SOL_SOCKET, SO_REUSEPORT);
  if (::bind(descriptor.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(descriptor.get(), kBacklog) != 0) {
    return fail_with_errno(what);
  }
  return Listener(std::move(descriptor));
}

Result<Listener> Listener::local(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(ErrorCode::invalid_argument, "local socket " + path + ": the path has more than " +
                                                 std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                                                 " bytes; take a shorter one");
  }
  const auto address = local_address(path);
  SAMTALE_TRY_VOID(clear_stale(path, address));
  Listener listener(Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  // Before bind(2), whose file takes the mode of the socket: there is no moment with another one.
  if (listener.get() < 0 || ::fchmod(listener.get(), 0600) != 0 ||
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_with_errno("local socket " + path);
  }
  struct stat status {};
  ::lstat(path.c_str(), &status);
  listener.path_ = path;
  listener.device_ = status.st_dev;
  listener.inode_ = status.st_ino;
  if (::listen(listener.get(), kBacklog) != 0) return fail_with_errno("local socket " + path);
  return listener;
}

Listener::~Listener() {
  struct stat status {};
  if (descriptor_.get() >= 0 && is_local() && ::lstat(path_.c_str(), &status) == 0 &&
      status.st_dev == device_ && status.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

std::uint16_t Listener::port() const {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(get(), reinterpret_cast<sockaddr*>(&name), &size);
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&name)->sin6_port);
  return ntohs(reinterpret_cast<sockaddr_in*>(&name)->sin_port);
}

Listener::Accepted Listener::accept() const {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  Descriptor descriptor(
      ::accept4(get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (descriptor.get() < 0) return {{}, {}, errno};
  if (is_local()) return {std::move(descriptor), "local"};
  set_option(descriptor.get(), IPPROTO_TCP, TCP_NODELAY);  // Answers are written whole.
  return {std::move(descriptor), peer_name(from)};
}

}  // namespace samtale::http

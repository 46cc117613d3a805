// CutProxy: stands between a client and PostgreSQL and loses the connection at a COMMIT.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "postgres/connection.h"

namespace samtale::postgres {

enum class Cut {
  none,
  before_commit,  // The COMMIT does not get to the server.
  after_commit,   // It does, and the server has done it; its answer does not get back.
};

// Works on one connection at a time, which a pool of one makes sure of.
// Threads: cut_next() from any; one of its own moves the bytes.
class CutProxy {
 public:
  explicit CutProxy(std::string server_socket) : server_socket_(std::move(server_socket)) {
    std::string name = (std::filesystem::temp_directory_path() / "cut-proxy-XXXXXX").string();
    SAMTALE_CHECK(::mkdtemp(name.data()) != nullptr, "the folder for temporary files is writable");
    folder_ = name;
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto path = address_of(folder_ + "/.s.PGSQL.5432");
    SAMTALE_CHECK(::bind(listener_, reinterpret_cast<const sockaddr*>(&path), sizeof path) == 0 &&
                      ::listen(listener_, 8) == 0 && ::pipe2(end_, O_CLOEXEC) == 0,
                  "a test may listen in its folder");
    thread_ = std::thread([this] { serve(); });
  }
  ~CutProxy() {
    ::close(end_[1]);
    thread_.join();
    ::close(end_[0]);
    ::close(listener_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  CutProxy(const CutProxy&) = delete;
  CutProxy& operator=(const CutProxy&) = delete;

  [[nodiscard]] Address address() const {
    return {.url = "host=" + folder_ + " user=samtale dbname=postgres", .password = ""};
  }
  // At the next COMMIT, once. `then` runs between the cut and the client's noticing it.
  void cut_next(Cut cut, std::function<void()> then = {}) {
    const std::lock_guard lock(cut_mutex_);
    cut_ = cut;
    then_ = std::move(then);
  }

 private:
  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    SAMTALE_CHECK(path.size() < sizeof address.sun_path, "the temporary folder's path is short");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
  }
  static bool pass_on(int from, int to, std::string& seen) {
    std::array<char, 16'384> some{};
    const auto count = ::recv(from, some.data(), some.size(), 0);
    if (count <= 0) return false;
    seen.assign(some.data(), static_cast<std::size_t>(count));
    if (to < 0) return true;
    return ::send(to, some.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) == count;
  }
  // False: the proxy's end.
  bool wait(int one, int other, short* ready_one, short* ready_other) const {
    std::array<pollfd, 3> waiting{pollfd{.fd = end_[0], .events = POLLIN, .revents = 0},
                                  pollfd{.fd = one, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = other, .events = POLLIN, .revents = 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 || waiting[0].revents != 0) return false;
    *ready_one = waiting[1].revents;
    *ready_other = waiting[2].revents;
    return true;
  }

  void serve() {
    short ready = 0;
    short unused = 0;
    while (wait(listener_, -1, &ready, &unused)) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const auto path = address_of(server_socket_);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&path), sizeof path) == 0) {
        connect_both(client, server);
      }
      ::close(server);
      ::close(client);
    }
  }
  void connect_both(int client, int server) {
    short from_client = 0;
    short from_server = 0;
    std::string seen;
    while (wait(client, server, &from_client, &from_server)) {
      if (from_server != 0 && !pass_on(server, client, seen)) return;
      if (from_client == 0) continue;
      if (!pass_on(client, -1, seen)) return;
      const std::unique_lock lock(cut_mutex_);
      // A parse message of an unnamed statement.
      const bool is_cut = cut_ != Cut::none && seen.contains(std::string_view("\0COMMIT\0", 8));
      if (is_cut && cut_ == Cut::before_commit) return end_cut(server);
      if (::send(server, seen.data(), seen.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(seen.size())) {
        return;
      }
      if (!is_cut) continue;
      // Until it says so: the answers of what came before may lie in packets of their own.
      std::string answer;
      while (pass_on(server, -1, seen)) {
        answer += seen;
        if (answer.contains(std::string_view("COMMIT\0", 7))) break;
      }
      return end_cut(server);
    }
  }
  void end_cut(int server) {
    ::shutdown(server, SHUT_RDWR);  // Which ends its transaction.
    cut_ = Cut::none;
    if (then_) then_();
    then_ = {};
  }

  const std::string server_socket_;
  std::string folder_;
  int listener_ = -1;
  int end_[2] = {};
  std::mutex cut_mutex_;
  Cut cut_ = Cut::none;  // Both guarded by cut_mutex_.
  std::function<void()> then_;
  std::thread thread_;
};

}  // namespace samtale::postgres

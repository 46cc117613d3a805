// RedisProcess: a redis-server of one test's own, in a folder of its own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "cache/shared_cache.h"

namespace samtale {

// Threads: made and destroyed by one, which must live as long.
class RedisProcess {
 public:
  // `options` go to the server: {"--requirepass", "secret"}. Returns once it listens.
  explicit RedisProcess(std::vector<std::string> options = {}) : options_(std::move(options)) {
    ::signal(SIGPIPE, SIG_IGN);  // As the server's main() does.
    std::string name = (std::filesystem::temp_directory_path() / "redis-test-XXXXXX").string();
    SAMTALE_CHECK(::mkdtemp(name.data()) != nullptr, "the folder for temporary files is writable");
    folder_ = name;
    start();
  }
  ~RedisProcess() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;

  [[nodiscard]] RedisAddress address() const { return {.unix_socket = folder_ + "/socket"}; }

  // With nothing kept from the last time.
  void start() {
    int said[2] = {};
    SAMTALE_CHECK(::pipe2(said, O_CLOEXEC) == 0, "a test may open a pipe");
    const auto socket = address().unix_socket;
    std::vector<const char*> command = {
        "redis-server", "--port", "0",     "--unixsocket", socket.c_str(), "--save", "",
        "--appendonly", "no",     "--dir", folder_.c_str()};
    for (const auto& option : options_) command.push_back(option.c_str());
    command.push_back(nullptr);
    pid_ = ::fork();
    SAMTALE_CHECK(pid_ >= 0, "a test may start a process");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(said[1], STDOUT_FILENO);
      ::execvp(command[0], const_cast<char* const*>(command.data()));
      ::_exit(127);
    }
    ::close(said[1]);
    std::string text;
    char some[512];
    while (!text.contains("ready to accept connections")) {
      const auto count = ::read(said[0], some, sizeof some);
      SAMTALE_CHECK(count > 0, "redis-server starts; install it");
      text.append(some, static_cast<std::size_t>(count));
    }
    output_ = said[0];
  }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(output_);
    pid_ = 0;
  }
  // It takes connections and answers nothing until it goes on. Returns once each of its threads has
  // stopped.
  void hang() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void go_on() const { ::kill(pid_, SIGCONT); }

 private:
  const std::vector<std::string> options_;
  std::string folder_;
  pid_t pid_ = 0;
  int output_ = -1;  // Open, so that the server may write its log.
};

}  // namespace samtale

// ScriptedLmServer: tests/support/scripted_lm_server.py as a process of one test's own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "json/json.h"
#include "sys/http_client.h"

namespace samtale {

// Threads: made and destroyed by one, which must live as long; the rest from any.
class ScriptedLmServer {
 public:
  // `source_folder` is the project's; `options` go to the script. Returns once it listens.
  explicit ScriptedLmServer(const std::string& source_folder,
                            const std::vector<std::string>& options = {}) {
    int announced[2] = {};
    SAMTALE_CHECK(::pipe2(announced, O_CLOEXEC) == 0, "a test may open a pipe");
    const auto script = source_folder + "/tests/support/scripted_lm_server.py";
    const auto announce = "/dev/fd/" + std::to_string(announced[1]);
    std::vector<const char*> command = {"python3", script.c_str(), "--port",
                                        "0",       "--announce",   announce.c_str()};
    for (const auto& option : options) command.push_back(option.c_str());
    command.push_back(nullptr);

    pid_ = ::fork();
    SAMTALE_CHECK(pid_ >= 0, "a test may start a process");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::fcntl(announced[1], F_SETFD, 0);
      ::execvp(command[0], const_cast<char* const*>(command.data()));
      ::_exit(127);
    }
    ::close(announced[1]);
    char text[16] = {};
    SAMTALE_CHECK(::read(announced[0], text, sizeof text - 1) > 0, "the scripted server starts");
    ::close(announced[0]);
    port_ = std::stoi(text);
  }
  ~ScriptedLmServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ScriptedLmServer(const ScriptedLmServer&) = delete;
  ScriptedLmServer& operator=(const ScriptedLmServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // What it has counted, by name ("requests", "tokens_in" …).
  [[nodiscard]] json::Value stats() const { return call("GET", "/stats", ""); }
  [[nodiscard]] std::int64_t count(std::string_view name) const {
    const auto all = stats();
    const auto* value = all.find(name);
    SAMTALE_CHECK(value != nullptr && value->as_int() != nullptr, "the server counts this");
    return *value->as_int();
  }
  // From now on `model` behaves so.
  void script(const std::string& model, const std::string& behaviour) const {
    call("POST", "/script", json::dump(json::Object{{"model", model}, {"behaviour", behaviour}}));
  }

 private:
  json::Value call(const std::string& method, const std::string& path,
                   const std::string& body) const {
    const auto answer = http_->call({.method = method, .url = url() + path, .body = body});
    SAMTALE_CHECK(answer.has_value(), "the scripted server answers");
    return json::parse(answer->body).value();
  }

  pid_t pid_ = 0;
  int port_ = 0;
  std::unique_ptr<HttpClient> http_ = make_http_client();
};

}  // namespace samtale

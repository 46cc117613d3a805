// RabbitProcess: a RabbitMQ broker of one test program's own, in a folder of its own.
#pragma once

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "amqp/connection.h"
#include "base/check.h"

namespace samtale::amqp {

// Listens on free ports of 127.0.0.1, with a port mapper (epmd) that is nobody else's. Both end
// with the thread that made them, however it ends.
// Threads: made, restarted and destroyed by one, which must live as long.
class RabbitProcess {
 public:
  // The one that the tests of a program share: making one takes several seconds. A test brings
  // names of its own (fresh_name()) for its queues.
  static RabbitProcess& shared() {
    static RabbitProcess process;
    return process;
  }

  RabbitProcess() {
    std::string name = (std::filesystem::temp_directory_path() / "rabbit-test-XXXXXX").string();
    SAMTALE_CHECK(::mkdtemp(name.data()) != nullptr, "the folder for temporary files is writable");
    folder_ = name;
    std::ofstream(folder_ + "/rabbitmq.conf") << "listeners.tcp.1 = 127.0.0.1:" << port_ << "\n"
                                              << "log.console = true\nlog.file = false\n"
                                              << "log.connection.level = error\n";
    std::ofstream(folder_ + "/plugins") << "[].";
    mapper_ =
        spawn({"/usr/bin/epmd", "-address", "127.0.0.1", "-port", std::to_string(mapper_port_)},
              ::open("/dev/null", O_WRONLY | O_CLOEXEC));
    start();
  }
  ~RabbitProcess() {
    kill();
    end(mapper_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  RabbitProcess(const RabbitProcess&) = delete;
  RabbitProcess& operator=(const RabbitProcess&) = delete;

  [[nodiscard]] Address address() const { return {.host = "127.0.0.1", .port = port_}; }
  [[nodiscard]] std::string fresh_name() { return "test" + std::to_string(++names_); }
  [[nodiscard]] std::unique_ptr<Connection> connect() {
    auto opened = Connection::open(address(), clock_, clock_.now() + std::chrono::seconds(30));
    SAMTALE_CHECK(opened, "the broker takes connections");
    return *std::move(opened);
  }

  // With what it has confirmed, at the same address. Returns once it takes a connection: what it
  // logs may be late, or be left out where it has much to say.
  void start() {
    const auto path = folder_ + "/output";
    pid_ = spawn({kServer}, ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    while (!Connection::open(address(), clock_, clock_.now() + std::chrono::seconds(30))) {
      const bool has_ended = ::waitpid(pid_, nullptr, WNOHANG) != 0;
      if (has_ended) {
        std::ifstream output(path);
        std::fprintf(stderr, "%s\n",
                     std::string(std::istreambuf_iterator<char>(output), {}).c_str());
      }
      SAMTALE_CHECK(!has_ended, "RabbitMQ starts; install rabbitmq-server");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  // A queue that does not survive the broker: as somebody else may have made it.
  void declare_transient(const std::string& name) {
    auto* const connection = ::amqp_new_connection();
    auto* const socket = ::amqp_tcp_socket_new(connection);
    SAMTALE_CHECK(::amqp_socket_open(socket, "127.0.0.1", port_) == AMQP_STATUS_OK &&
                      ::amqp_login(connection, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                   AMQP_SASL_METHOD_PLAIN, "guest", "guest")
                              .reply_type == AMQP_RESPONSE_NORMAL &&
                      ::amqp_channel_open(connection, 1) != nullptr &&
                      ::amqp_queue_declare(connection, 1, ::amqp_cstring_bytes(name.c_str()), 0, 0,
                                           0, 0, amqp_empty_table) != nullptr,
                  "anybody may make a queue");
    ::amqp_destroy_connection(connection);
  }
  // Returns once the quorum queue would survive kill(): its name is written half a second after it
  // was declared, and without it the queue begins anew, empty or with nobody to lead it
  // (rabbitmq/ra pull request 443, rabbitmq-server issue 15725).
  void wait_until_kept(const std::string& queue) const {
    const auto path = folder_ + "/mnesia/" + node() + "/quorum/" + node() + "/names.dets";
    while (true) {
      std::ifstream file(path, std::ios::binary);
      const std::string names(std::istreambuf_iterator<char>(file), {});
      if (names.contains("%2F_" + queue)) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  // SIGKILL: nothing is written that was not.
  void kill() {
    if (pid_ == 0) return;
    end(pid_);
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
  static constexpr auto kServer = "/usr/lib/rabbitmq/bin/rabbitmq-server";

  static std::uint16_t free_port() {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    SAMTALE_CHECK(::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                      ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0,
                  "a test may listen");
    ::close(probe);
    return ntohs(address.sin_port);
  }

  [[nodiscard]] std::string node() const {
    return "samtale" + std::to_string(port_) + "@localhost";
  }
  [[nodiscard]] std::vector<std::string> environment() const {
    const std::map<std::string, std::string> all = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME", folder_},  // Of the cookie by which Erlang nodes know each other.
        {"LANG", "C.UTF-8"},
        {"ERL_EPMD_ADDRESS", "127.0.0.1"},
        {"ERL_EPMD_PORT", std::to_string(mapper_port_)},
        // Runs the machine in place of the script that starts it, so that it is our child …
        {"RABBITMQ_ALLOW_INPUT", "1"},
        // … and reads nothing. Idle, its threads do not spin.
        {"RABBITMQ_SERVER_START_ARGS", "-noinput"},
        {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
         "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio "
         "none"},
        {"RABBITMQ_NODENAME", node()},
        {"RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"},
        {"RABBITMQ_NODE_PORT", std::to_string(port_)},
        {"RABBITMQ_DIST_PORT", std::to_string(between_nodes_port_)},
        {"RABBITMQ_CONF_ENV_FILE", folder_ + "/none"},
        {"RABBITMQ_CONFIG_FILE", folder_ + "/rabbitmq.conf"},
        {"RABBITMQ_ENABLED_PLUGINS_FILE", folder_ + "/plugins"},
        {"RABBITMQ_MNESIA_BASE", folder_ + "/mnesia"},
        {"RABBITMQ_LOG_BASE", folder_ + "/log"},
        {"RABBITMQ_LOGS", "-"},
        {"RABBITMQ_PID_FILE", folder_ + "/pid"}};
    std::vector<std::string> lines;
    for (const auto& [key, value] : all) lines.push_back(key + "=" + value);
    return lines;
  }

  // `output` is closed here.
  [[nodiscard]] pid_t spawn(std::vector<std::string> command, int output) const {
    auto variables = environment();
    std::vector<char*> words;
    for (auto& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    std::vector<char*> lines;
    for (auto& line : variables) lines.push_back(line.data());
    lines.push_back(nullptr);
    const pid_t pid = ::fork();
    SAMTALE_CHECK(pid >= 0, "a test may start a process");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setsid();  // What is typed at the terminal is for the test.
      if (::chdir("/") != 0) ::_exit(126);
      ::dup2(output, STDOUT_FILENO);
      ::dup2(output, STDERR_FILENO);
      ::execve(words[0], words.data(), lines.data());
      ::_exit(127);
    }
    ::close(output);
    return pid;
  }
  static void end(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  SystemClock clock_;
  const std::uint16_t port_ = free_port();
  const std::uint16_t between_nodes_port_ = free_port();
  const std::uint16_t mapper_port_ = free_port();
  std::string folder_;
  pid_t mapper_ = 0;
  pid_t pid_ = 0;
  int names_ = 0;
};

}  // namespace samtale::amqp

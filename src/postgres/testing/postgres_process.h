// PostgresProcess: a PostgreSQL server of one test program's own, in a folder of its own.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "postgres/connection.h"

namespace samtale::postgres {

// Listens on a socket in its folder only. What it acknowledges survives crash(), but no loss of
// power: fsync is off, for speed.
// Threads: crash() from any; the others, those who made it.
class PostgresProcess {
 public:
  // The one that the tests of a program share: making one takes two seconds. A test brings a schema
  // of its own (fresh_schema()).
  static PostgresProcess& shared() {
    static PostgresProcess process;
    return process;
  }

  PostgresProcess() {
    std::string name = (std::filesystem::temp_directory_path() / "postgres-test-XXXXXX").string();
    SAMTALE_CHECK(::mkdtemp(name.data()) != nullptr, "the folder for temporary files is writable");
    folder_ = name;
    // PostgreSQL does not run as root.
    if (::geteuid() == 0) {
      const auto* user = ::getpwnam("postgres");
      if (user == nullptr) user = ::getpwnam("nobody");
      SAMTALE_CHECK(user != nullptr, "there is a user postgres or nobody");
      user_ = user->pw_uid;
      group_ = user->pw_gid;
      SAMTALE_CHECK(::chown(folder_.c_str(), user_, group_) == 0, "root may give a folder away");
    }
    const pid_t made = spawn({binary("initdb"), "--pgdata=" + data(), "--auth=trust", "--no-sync",
                              "--username=admin", "--encoding=UTF8", "--locale=C"},
                             ::open("/dev/null", O_WRONLY | O_CLOEXEC));
    int status = 0;
    SAMTALE_CHECK(::waitpid(made, &status, 0) == made && status == 0,
                  "initdb makes a folder; install postgresql-15");
    start();
    const auto admin = connect("admin");
    SAMTALE_CHECK(admin->send("CREATE ROLE samtale LOGIN") &&
                      admin->send("GRANT CREATE ON DATABASE postgres TO samtale") &&
                      admin->sync(clock_.now() + std::chrono::seconds(30)),
                  "an administrator may make a user");
  }
  ~PostgresProcess() {
    stop();
    {
      const std::lock_guard lock(spawn_mutex_);
      is_ending_ = true;
    }
    spawn_changed_.notify_all();
    spawner_.join();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  PostgresProcess(const PostgresProcess&) = delete;
  PostgresProcess& operator=(const PostgresProcess&) = delete;

  // Of a user who is neither superuser nor beyond row-level security, unless it is "admin".
  [[nodiscard]] Address address(const std::string& user = "samtale") const {
    return {.url = "host=" + folder_ + " user=" + user + " dbname=postgres", .password = ""};
  }
  [[nodiscard]] std::string socket_path() const { return folder_ + "/.s.PGSQL.5432"; }
  [[nodiscard]] std::string fresh_schema() { return "test_" + std::to_string(++schemas_); }
  [[nodiscard]] std::unique_ptr<Connection> connect(const std::string& user = "samtale") {
    auto opened = Connection::open(address(user), clock_, clock_.now() + std::chrono::seconds(30));
    SAMTALE_CHECK(opened, "the server takes connections");
    return *std::move(opened);
  }

  // All its processes end at once and nothing is written that was not; then it starts again and
  // recovers from its log.
  void crash() {
    stop();
    start();
  }

 private:
  static std::string binary(const std::string& name) {
    return "/usr/lib/postgresql/15/bin/" + name;
  }
  [[nodiscard]] std::string data() const { return folder_ + "/data"; }

  // `output` is closed here.
  pid_t spawn(const std::vector<std::string>& command, int output) {
    std::unique_lock lock(spawn_mutex_);
    pid_t spawned = 0;
    to_do_ = [&] { spawned = fork_and_exec(command, output); };
    spawn_changed_.notify_all();
    spawn_changed_.wait(lock, [this] { return !to_do_; });
    return spawned;
  }
  // The kernel ends a child with the thread that forked it, so one thread does it, which lives as
  // long as this.
  void serve_spawns() {
    std::unique_lock lock(spawn_mutex_);
    while (true) {
      spawn_changed_.wait(lock, [this] { return to_do_ || is_ending_; });
      if (!to_do_) return;
      to_do_();
      to_do_ = {};
      spawn_changed_.notify_all();
    }
  }
  pid_t fork_and_exec(const std::vector<std::string>& command, int output) const {
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const pid_t pid = ::fork();
    SAMTALE_CHECK(pid >= 0, "a test may start a process");
    if (pid == 0) {
      if (user_ != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(group_) != 0 ||
                         ::setuid(user_) != 0 || ::chdir("/") != 0)) {
        ::_exit(126);
      }
      ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // After setuid, which forgets it.
      ::dup2(output, STDOUT_FILENO);
      ::dup2(output, STDERR_FILENO);
      ::execv(words[0], words.data());
      ::_exit(127);
    }
    ::close(output);
    return pid;
  }

  void start() {
    int said[2] = {};
    SAMTALE_CHECK(::pipe2(said, O_CLOEXEC) == 0, "a test may open a pipe");
    // What it logs must fit the pipe, for nobody reads it once the server is up.
    pid_ = spawn({binary("postgres"),
                  "-D",
                  data(),
                  "-k",
                  folder_,
                  "-c",
                  "listen_addresses=",
                  "-c",
                  "unix_socket_permissions=0777",
                  "-c",
                  "fsync=off",
                  "-c",
                  "full_page_writes=off",
                  "-c",
                  "autovacuum=off",
                  "-c",
                  "shared_buffers=32MB",
                  "-c",
                  "max_connections=50",
                  "-c",
                  "log_min_messages=log",
                  "-c",
                  "log_checkpoints=off",
                  "-c",
                  "log_min_error_statement=panic"},
                 said[1]);
    std::string text;
    char some[512];
    while (!text.contains("ready to accept connections")) {
      const auto count = ::read(said[0], some, sizeof some);
      if (count <= 0) std::fprintf(stderr, "%s\n", text.c_str());
      SAMTALE_CHECK(count > 0, "PostgreSQL starts");
      text.append(some, static_cast<std::size_t>(count));
    }
    output_ = said[0];
  }
  void stop() {
    ::kill(pid_, SIGQUIT);
    ::waitpid(pid_, nullptr, 0);
    ::close(output_);
  }

  SystemClock clock_;
  std::string folder_;
  uid_t user_ = 0;  // 0: our own.
  gid_t group_ = 0;
  pid_t pid_ = 0;
  int output_ = -1;
  int schemas_ = 0;
  std::mutex spawn_mutex_;
  std::condition_variable spawn_changed_;
  std::function<void()> to_do_;  // Both guarded by spawn_mutex_.
  bool is_ending_ = false;
  std::thread spawner_{[this] { serve_spawns(); }};
};

}  // namespace samtale::postgres

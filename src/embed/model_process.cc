#include "embed/model_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "base/check.h"

namespace samtale {
namespace {

std::unexpected<Error> failed(std::string_view call, int error) {
  return fail(ErrorCode::unavailable, std::string(call) + ": " + std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  const int fd_;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  // exec promises not to write; its signature is older than const.
  for (const auto& string : strings) out.push_back(const_cast<char*>(string.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment_without_ours() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("SAMTALE_")) out.emplace_back(*entry);
  }
  return out;
}

// Between fork and exec of a process with threads: async-signal-safe calls only.
[[noreturn]] void become(char* const* command, char* const* environment, int input, int output,
                         pid_t parent) {
  constexpr int kNotStarted = 127;  // As the shell says it.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNotStarted);  // It died before the line above.

  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);

  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  ::execvpe(command[0], command, environment);
  ::_exit(kNotStarted);
}

std::string describe(const siginfo_t& info) {
  if (info.si_code != CLD_EXITED) return "was killed by signal " + std::to_string(info.si_status);
  auto text = "exited with status " + std::to_string(info.si_status);
  if (info.si_status == 127) text += " (is the command installed and in PATH?)";
  return text;
}

}  // namespace

Result<std::unique_ptr<ModelProcess>> ModelProcess::start(const std::vector<std::string>& command,
                                                          const std::string& log_path) {
  if (command.empty()) {
    return fail(ErrorCode::invalid_argument, "no command is given that starts the model server");
  }
  const Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (input.get() < 0) return failed("open /dev/null", errno);
  const Descriptor output(
      ::open(log_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (output.get() < 0) return failed("open " + log_path, errno);
  const auto environment = environment_without_ours();
  const auto arguments = pointers(command);
  const auto variables = pointers(environment);
  const auto parent = ::getpid();

  // Not posix_spawn: it cannot set the signal of the parent's death.
  const auto pid = ::fork();
  if (pid < 0) return failed("fork", errno);
  if (pid == 0) {
    become(arguments.data(), variables.data(), input.get(), output.get(), parent);
  }
  ::setpgid(pid, pid);  // Whoever of the two comes first; fails once the child has done it.
  return std::unique_ptr<ModelProcess>(new ModelProcess(pid));
}

ModelProcess::~ModelProcess() { stop(Duration::zero()); }

const std::optional<std::string>& ModelProcess::ended() {
  if (!ended_) {
    siginfo_t info{};
    const auto got = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    SAMTALE_CHECK(got == 0 || errno == EINTR, "a child that nobody has reaped can be waited for");
    if (got == 0 && info.si_pid == pid_) reap();
  }
  return ended_;
}

void ModelProcess::stop(Duration grace) {
  if (ended()) return;
  if (grace > Duration::zero()) {
    ::kill(-pid_, SIGTERM);
    // Not by pidfd_open(): glibc 2.36 declares it without C linkage.
    const Descriptor exit(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    pollfd wait{.fd = exit.get(), .events = POLLIN, .revents = 0};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(grace);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (grace - seconds).count()};
    // No signal cuts the wait short: one is what usually makes us stop.
    sigset_t all;
    ::sigfillset(&all);
    ::ppoll(&wait, 1, &limit, &all);
  }
  reap();
}

// The group is killed before its leader is reaped: until then its number is nobody else's.
void ModelProcess::reap() {
  ::kill(-pid_, SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0) {
    SAMTALE_CHECK(errno == EINTR, "a child that nobody has reaped can be waited for");
  }
  ended_ = describe(info);
}

Result<std::uint16_t> find_free_port() {
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return failed("socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.get(), plain, size) != 0) return failed("bind 127.0.0.1", errno);
  if (::getsockname(socket.get(), plain, &size) != 0) return failed("getsockname", errno);
  return ntohs(address.sin_port);
}

Result<> bound_log(const std::string& path, std::uint64_t bytes_max) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size <= bytes_max) return {};
  // Copied and cut, not renamed: the server goes on writing to the file it has open.
  if (!error) {
    std::filesystem::copy_file(path, path + ".1", std::filesystem::copy_options::overwrite_existing,
                               error);
  }
  if (!error) std::filesystem::resize_file(path, 0, error);
  if (error) return fail(ErrorCode::unavailable, "cut the log " + path + ": " + error.message());
  return {};
}

}  // namespace samtale

// ModelProcess: a server process of somebody else's that lives no longer than we do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

namespace samtale {

// Runs in a process group of its own, with nothing of ours open, without our SAMTALE_* variables
// (secrets among them), standard input empty, output appended to a file (mode 0600).
// Threads: one, and it must live as long as the process: the kernel kills the process when the
//          thread that started it ends, however it ends (PR_SET_PDEATHSIG). That reaches the
//          process itself; one that a killed server had started on its own lives on.
class ModelProcess {
 public:
  // `command` is the program (looked for in PATH) and its arguments.
  // Errors: invalid_argument for an empty command, unavailable. A program that is not there is
  // found out later: the process ends with status 127.
  [[nodiscard]] static Result<std::unique_ptr<ModelProcess>> start(
      const std::vector<std::string>& command, const std::string& log_path);

  // Stops it without grace if it still runs.
  ~ModelProcess();
  ModelProcess(const ModelProcess&) = delete;
  ModelProcess& operator=(const ModelProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

  // How the process ended: "exited with status 1"; empty while it runs. Once it has, what was left
  // of its group is killed.
  [[nodiscard]] const std::optional<std::string>& ended();

  // SIGTERM to the group, SIGKILL if the process is still there after `grace`. Returns when it is
  // gone.
  void stop(Duration grace);

 private:
  explicit ModelProcess(pid_t pid) : pid_(pid) {}
  void reap();

  const pid_t pid_;
  std::optional<std::string> ended_;
};

// A TCP port of 127.0.0.1 that nothing listens on at this moment.
[[nodiscard]] Result<std::uint16_t> find_free_port();

// Keeps a log that others append to below `bytes_max`: a longer one is moved to "<path>.1", over
// the one there.
Result<> bound_log(const std::string& path, std::uint64_t bytes_max);

}  // namespace samtale

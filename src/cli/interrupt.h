// Interrupt: while it lives, Ctrl-C is noticed instead of ending the process. Internal.
#pragma once

#include <csignal>

namespace samtale::cli {

// Threads: of a process with one; what blocks a signal here does not block it elsewhere.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // True once for each time, looked for now and then.
  [[nodiscard]] bool has_come() const;

 private:
  sigset_t interrupt_{};
  sigset_t before_{};
};

}  // namespace samtale::cli

#include "cli/interrupt.h"

#include <ctime>

namespace samtale::cli {

Interrupt::Interrupt() {
  sigemptyset(&interrupt_);
  sigaddset(&interrupt_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt_, &before_);
}

Interrupt::~Interrupt() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

bool Interrupt::has_come() const {
  const timespec at_once{};
  return ::sigtimedwait(&interrupt_, nullptr, &at_once) == SIGINT;
}

}  // namespace samtale::cli

#include "sys/thread_priority.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace samtale {
namespace {

// sched_setattr(2); the C library has no declaration of it.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t slice_ns = 0;  // Kernels before 6.12 do not look at it.
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};

void set(const SchedulingAttributes& attributes) {
  static_cast<void>(::syscall(SYS_sched_setattr, 0, &attributes, 0U));
}

}  // namespace

void become_prompt_thread() { set({.slice_ns = 100'000}); }

void become_background_thread() {
  set({.policy = SCHED_BATCH, .nice = 10, .slice_ns = 20'000'000});
}

void become_maintenance_thread() {
  // Short slices: a background thread that wakes interrupts nobody, and waits for the end of one.
  set({.policy = SCHED_BATCH, .nice = 19, .slice_ns = 1'000'000});
}

}  // namespace samtale

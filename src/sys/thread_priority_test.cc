#include "sys/thread_priority.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <thread>

namespace samtale {
namespace {

struct Scheduling {
  int policy = 0;
  int nice = 0;
  bool operator==(const Scheduling&) const = default;
};

// A thread has its own; `getpriority` of "this process" tells that of the calling thread.
Scheduling of_this_thread() { return {::sched_getscheduler(0), ::getpriority(PRIO_PROCESS, 0)}; }

TEST(ThreadPriorityTest, a_background_thread_interrupts_nobody_and_so_do_those_it_makes) {
  Scheduling own;
  Scheduling of_child;
  std::jthread([&] {
    become_background_thread();
    own = of_this_thread();
    std::jthread([&] { of_child = of_this_thread(); }).join();
  }).join();

  EXPECT_EQ(own, (Scheduling{SCHED_BATCH, 10}));
  EXPECT_EQ(of_child, own);
}

TEST(ThreadPriorityTest, a_maintenance_thread_comes_after_those_of_the_background) {
  Scheduling own;
  std::jthread([&] {
    become_background_thread();
    become_maintenance_thread();
    own = of_this_thread();
  }).join();

  EXPECT_EQ(own, (Scheduling{SCHED_BATCH, 19}));
}

TEST(ThreadPriorityTest, a_prompt_thread_takes_no_more_than_its_share) {
  Scheduling own;
  std::jthread([&] {
    become_prompt_thread();
    own = of_this_thread();
  }).join();

  EXPECT_EQ(own.policy, SCHED_OTHER);
  EXPECT_EQ(own.nice, 0);
}

}  // namespace
}  // namespace samtale

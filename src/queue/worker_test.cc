#include "queue/worker.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "sim/memory_log.h"
#include "sys/clock.h"

namespace samtale {
namespace {

class RunWorkerTest : public testing::Test {
 protected:
  RunWorkerTest() {
    options_.bell = &bell_;
    options_.idle_pause = {};
    options_.look_every = std::chrono::hours(1);
  }

  // Looks for `work_`; the first look, which finds nothing, counts down.
  std::jthread start() {
    return std::jthread([this](const std::stop_token& stop) {
      const auto step = [this]() -> Result<std::size_t> {
        if (work_ > 0) {
          --work_;
          done_.count_down();
          return 1;
        }
        if (!has_looked_.exchange(true)) looked_.count_down();
        return 0;
      };
      run_worker("test", step, options_, clock_, log_, stop);
    });
  }

  Bell bell_;
  WorkerOptions options_;
  SystemClock clock_;
  MemoryLog log_;
  std::atomic<int> work_ = 0;
  std::atomic<bool> has_looked_ = false;
  std::latch looked_{1};
  std::latch done_{1};
};

TEST_F(RunWorkerTest, with_nothing_to_do_it_rests_until_the_bell_rings) {
  const auto worker = start();
  looked_.wait();

  work_ = 1;
  bell_.ring();

  done_.wait();
}

TEST_F(RunWorkerTest, finds_without_a_bell_what_comes_later) {
  options_.bell = nullptr;
  options_.idle_pause = std::chrono::milliseconds(1);
  const auto worker = start();
  looked_.wait();

  work_ = 1;

  done_.wait();
}

TEST_F(RunWorkerTest, finds_what_nobody_has_rung_for) {
  options_.look_every = std::chrono::milliseconds(1);
  const auto worker = start();
  looked_.wait();

  work_ = 1;

  done_.wait();
}

TEST_F(RunWorkerTest, ends_its_rest_when_it_is_to_stop) {
  auto worker = start();
  looked_.wait();

  worker.request_stop();
  worker.join();
}

}  // namespace
}  // namespace samtale

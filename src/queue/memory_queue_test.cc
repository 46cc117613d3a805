#include "queue/testing/memory_queue.h"

#include "queue/queue_charge_conformance.h"
#include "queue/queue_conformance.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

struct MemoryHarness {
  static constexpr std::size_t kJobsMax = 10'000;

  MemoryQueue& queue() { return queue_; }
  void enqueue_all(const std::vector<NewJob>& jobs) {
    for (const auto& job : jobs) ASSERT_TRUE(queue_.enqueue(job));
  }
  void advance(Duration length) { clock_.advance(length); }

  SimClock clock_;
  MemoryQueue queue_{clock_, kJobsMax};
};

INSTANTIATE_TYPED_TEST_SUITE_P(MemoryQueueTest, QueueConformance, MemoryHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryQueueTest, QueueChargeConformance, MemoryHarness);

}  // namespace
}  // namespace samtale

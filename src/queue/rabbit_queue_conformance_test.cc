// Goal:   a queue with a broker before it shows what every queue shows, through the broker.
// Method: the suites that the others pass. With a window another company waits for what lies in the
//         broker already, so a charge shows only after that: the suite that counts turns is run
//         without one.
#include "queue/queue_charge_conformance.h"
#include "queue/queue_conformance.h"
#include "queue/testing/rabbit_harness.h"

namespace samtale {
namespace {

template <std::size_t partitions, std::size_t window = 0>
class ThroughBroker : public RabbitHarness<partitions, window> {
 public:
  ~ThroughBroker() { EXPECT_FALSE(this->log().has("queue.broker_away")); }
};

using Harnesses = ::testing::Types<ThroughBroker<3>, ThroughBroker<1, 32>>;
INSTANTIATE_TYPED_TEST_SUITE_P(RabbitQueueTest, QueueConformance, Harnesses);
using WithoutWindow = ::testing::Types<ThroughBroker<3>>;
INSTANTIATE_TYPED_TEST_SUITE_P(RabbitQueueTest, QueueChargeConformance, WithoutWindow);

}  // namespace
}  // namespace samtale

#include "embed/adaptive_batch.h"

#include <gtest/gtest.h>

#include <random>

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

// An embedder that takes `fixed` for a call and `each` for a text.
struct Model {
  Duration fixed;
  Duration each;
  [[nodiscard]] Duration time(std::size_t size) const {
    return fixed + each * static_cast<std::int64_t>(size);
  }
};

void run(AdaptiveBatch& batch, const Model& model, int calls, std::size_t waiting = 1000) {
  for (int i = 0; i < calls; ++i) {
    const auto size = batch.next_size(waiting);
    batch.observe(size, model.time(size), true);
  }
}

TEST(AdaptiveBatchTest, sends_nothing_when_nothing_waits) {
  const AdaptiveBatch batch;

  EXPECT_EQ(batch.next_size(0), 0U);
}

TEST(AdaptiveBatchTest, reaches_the_largest_batch_of_a_fast_embedder_within_a_few_calls) {
  AdaptiveBatch batch({.size_max = 64});

  run(batch, {1ms, 10us}, 6);

  EXPECT_EQ(batch.next_size(1000), 64U);
}

TEST(AdaptiveBatchTest, stays_at_one_text_when_even_that_takes_longer_than_the_target) {
  AdaptiveBatch batch;

  run(batch, {0ms, 300ms}, 50);

  EXPECT_EQ(batch.next_size(1000), 1U);
}

TEST(AdaptiveBatchTest, does_not_grow_on_the_evidence_of_small_batches) {
  AdaptiveBatch batch;
  run(batch, {1ms, 1ms}, 2);
  const auto before = batch.size();

  run(batch, {1ms, 1ms}, 100, 1);

  EXPECT_EQ(batch.size(), before);
}

TEST(AdaptiveBatchTest, halves_after_a_failure_and_then_grows_one_at_a_time) {
  AdaptiveBatch batch;
  run(batch, {1ms, 1ms}, 5);
  ASSERT_EQ(batch.size(), 32U);

  batch.observe(32, 5ms, false);
  EXPECT_EQ(batch.size(), 16U);
  batch.observe(16, 5ms, true);

  EXPECT_EQ(batch.size(), 17U);
}

TEST(AdaptiveBatchTest, loses_at_most_half_to_one_slow_call) {
  AdaptiveBatch batch;
  run(batch, {1ms, 1ms}, 5);

  batch.observe(32, 60'000ms, true);

  EXPECT_EQ(batch.size(), 16U);
}

TEST(AdaptiveBatchTest, never_keeps_an_idle_embedder_waiting) {
  AdaptiveBatch batch;
  run(batch, {100ms, 1ms}, 5);

  EXPECT_EQ(batch.next_wait(1, false), 0ms);
  EXPECT_GT(batch.next_wait(1, true), 0ms);
  EXPECT_LE(batch.next_wait(1, true), 20ms);
  EXPECT_EQ(batch.next_wait(1000, true), 0ms);
}

TEST(AdaptiveBatchTest, settles_near_the_target_for_any_embedder) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    const Model model{Duration(random() % 100'000'000), Duration(100'000 + random() % 200'000'000)};
    AdaptiveBatch batch({.size_max = 256});

    run(batch, model, 400);

    const auto size = batch.size();
    ASSERT_GE(size, 1U);
    ASSERT_LE(size, 256U);
    EXPECT_TRUE(size == 1 || model.time(size - 1) <= 250ms) << "round " << round;
    EXPECT_TRUE(size == 256 || model.time(size * 2 + 1) > 250ms) << "round " << round;
  }
}

TEST(AdaptiveBatchTest, follows_an_embedder_that_becomes_slower) {
  AdaptiveBatch batch;
  run(batch, {1ms, 1ms}, 20);

  run(batch, {1ms, 100ms}, 20);

  EXPECT_LE(batch.size(), 3U);
}

}  // namespace
}  // namespace samtale

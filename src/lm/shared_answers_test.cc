// Goal: identical tasks are asked once, and nobody who waits is left behind.
// Method: threads on a clock that stands still; they sleep only where they wait for a flight.
#include "lm/shared_answers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "lm/testing/manual_clock.h"

namespace samtale {
namespace {

constexpr auto kOurs = CompanyId{1};
const Sha256 kKey = sha256("task");

SharedAnswers::Answer answer_of(const std::string& text) {
  return std::make_shared<const KeptAnswer>(text, "model");
}

class SharedAnswersTest : public testing::Test {
 protected:
  // One who joins, on a thread of its own.
  struct Joiner {
    std::optional<SharedAnswers::Answer> answer;
    std::stop_source stop;
    std::jthread thread;
  };

  SharedAnswers::Place enter(Priority priority = Priority::normal) {
    return shared_.enter(kKey, kOurs, priority);
  }
  std::unique_ptr<Joiner> join(Duration patience = std::chrono::minutes(1)) {
    auto joiner = std::make_unique<Joiner>();
    const auto place = enter();
    EXPECT_FALSE(place.leads);
    joiner->thread = std::jthread([this, place, patience, &joined = *joiner] {
      joined.answer = shared_.wait(*place.flight, clock_.now() + patience, joined.stop.get_token());
    });
    clock_.wait_for_sleepers(++sleepers_);
    return joiner;
  }

  ManualClock clock_;
  SharedAnswers shared_{clock_, 10'000, std::chrono::minutes(10)};
  std::size_t sleepers_ = 0;
};

TEST_F(SharedAnswersTest, gives_the_leaders_answer_to_all_who_wait_and_who_come_soon_after) {
  const auto leader = enter();
  ASSERT_TRUE(leader.leads);
  auto first = join();
  auto second = join();

  shared_.finish(*leader.flight, answer_of("yes"));
  first->thread.join();
  second->thread.join();

  EXPECT_EQ((**first->answer)->value, json::Value("yes"));
  EXPECT_EQ((**second->answer)->value, json::Value("yes"));
  EXPECT_EQ(enter().remembered->value, json::Value("yes"));
}

TEST_F(SharedAnswersTest, gives_a_failure_to_those_who_wait_and_to_nobody_after) {
  const auto leader = enter();
  auto joiner = join();

  shared_.finish(*leader.flight, fail(ErrorCode::corrupt, "broken"));
  joiner->thread.join();

  EXPECT_EQ(joiner->answer->error().code, ErrorCode::corrupt);
  EXPECT_TRUE(enter().leads);
}

TEST_F(SharedAnswersTest, lets_one_take_over_when_the_leader_leaves) {
  const auto leader = enter();
  auto joiner = join();

  shared_.leave(*leader.flight);
  joiner->thread.join();

  EXPECT_FALSE(joiner->answer.has_value());
  EXPECT_FALSE(enter().leads);
  shared_.finish(*leader.flight, answer_of("late"));
  EXPECT_EQ(enter().remembered->value, json::Value("late"));
}

TEST_F(SharedAnswersTest, ends_a_flight_that_nobody_waits_for) {
  const auto leader = enter();

  shared_.leave(*leader.flight);

  EXPECT_TRUE(enter().leads);
}

TEST_F(SharedAnswersTest, lets_a_joiner_go_without_ending_the_flight) {
  const auto leader = enter();
  auto late = join(std::chrono::seconds(1));
  auto stopped = join();

  clock_.advance(std::chrono::seconds(1));
  stopped->stop.request_stop();
  late->thread.join();
  stopped->thread.join();

  EXPECT_EQ(late->answer->error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(stopped->answer->error().code, ErrorCode::unavailable);
  sleepers_ = 0;
  auto patient = join();
  shared_.finish(*leader.flight, answer_of("yes"));
  patient->thread.join();
  EXPECT_TRUE(patient->answer->has_value());
}

TEST_F(SharedAnswersTest, makes_nobody_wait_for_what_is_less_urgent) {
  const auto bulk = enter(Priority::bulk);

  const auto critical = enter(Priority::critical);
  EXPECT_TRUE(critical.leads);
  EXPECT_FALSE(enter(Priority::normal).leads);
  shared_.finish(*bulk.flight, answer_of("bulk"));
  shared_.finish(*critical.flight, answer_of("critical"));

  EXPECT_EQ(enter().remembered->value, json::Value("critical"));
}

TEST_F(SharedAnswersTest, gives_nothing_from_before_it_forgot) {
  const auto before = enter(Priority::bulk);
  const auto urgent = enter(Priority::critical);
  auto joiner = join();

  shared_.forget(kOurs);
  const auto after = enter(Priority::critical);
  shared_.finish(*before.flight, answer_of("before"));
  shared_.finish(*urgent.flight, answer_of("urgent"));
  joiner->thread.join();

  EXPECT_TRUE(joiner->answer->has_value()) << "it asked before";
  EXPECT_TRUE(after.leads);
  EXPECT_FALSE(enter().leads) << "nothing is remembered; the flight of after goes on";
  EXPECT_EQ(enter().remembered, nullptr);
}

}  // namespace
}  // namespace samtale

#include "ingest/receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using testing::HasSubstr;

ReceivedEvent event(std::string id, std::string body, std::int64_t company = 1) {
  ReceivedEvent event;
  event.company = CompanyId{company};
  event.source = "chat";
  event.provider = "native";
  event.key = make_event_key("chat", id);
  event.body = std::move(body);
  return event;
}

class ReceiverTest : public testing::Test {
 protected:
  void SetUp() override { start(); }

  // What is not on disk is gone, and so is the memory of recent events.
  void start() {
    receiver.reset();
    log.reset();
    auto opened = open_accept_log(files, "log", log_options, clock, lines);
    ASSERT_TRUE(opened) << opened.error().message;
    log = *std::move(opened);
    receiver = std::make_unique<Receiver>(*log, nullptr, options);
    ASSERT_TRUE(receiver->recall());
  }

  Result<Accepted> receive(ReceivedEvent event) {
    std::optional<Result<Accepted>> answer;
    receiver->receive(std::move(event), [&](auto given) { answer = std::move(given); });
    while (!answer && log->step() > 0) {
    }
    return *std::move(answer);
  }

  SimRandom random{1};
  SimFiles files{random};
  SimClock clock;
  MemoryLog lines;
  AcceptLogOptions log_options{.segment_bytes = 16 << 10, .record_bytes_max = 4 << 10};
  ReceiverOptions options;
  std::unique_ptr<AcceptLog> log;
  std::unique_ptr<Receiver> receiver;
};

TEST_F(ReceiverTest, answers_only_once_the_event_is_on_disk) {
  bool is_answered = false;
  receiver->receive(event("e1", "hello"), [&](auto) { is_answered = true; });

  EXPECT_FALSE(is_answered);
  log->step();
  EXPECT_TRUE(is_answered);
}

TEST_F(ReceiverTest, answers_a_redelivery_without_writing_it_again) {
  const auto first = receive(event("e1", "hello"));
  const auto end = log->end();

  const auto again = receive(event("e1", "hello"));

  ASSERT_TRUE(first && again);
  EXPECT_FALSE(first->is_duplicate);
  EXPECT_TRUE(again->is_duplicate);
  EXPECT_EQ(again->event_id, first->event_id);
  EXPECT_EQ(log->end(), end);
}

TEST_F(ReceiverTest, refuses_an_id_used_again_with_another_body) {
  ASSERT_TRUE(receive(event("e1", "hello")));

  const auto other = receive(event("e1", "goodbye"));

  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::conflict);
  EXPECT_THAT(other.error().message, HasSubstr("another body"));
}

TEST_F(ReceiverTest, the_same_id_of_two_companies_is_two_events) {
  ASSERT_TRUE(receive(event("e1", "hello", 1)));

  const auto other = receive(event("e1", "goodbye", 2));

  ASSERT_TRUE(other);
  EXPECT_FALSE(other->is_duplicate);
}

TEST_F(ReceiverTest, recalls_the_last_events_after_a_restart) {
  ASSERT_TRUE(receive(event("e1", "hello")));

  start();

  EXPECT_TRUE(receive(event("e1", "hello"))->is_duplicate);
  EXPECT_EQ(receive(event("e1", "goodbye")).error().code, ErrorCode::conflict);
}

TEST_F(ReceiverTest, recalls_no_more_of_the_log_than_it_is_told) {
  options.recall_bytes = 1;
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(receive(event("e" + std::to_string(i), std::string(3'000, 'x'))));
  }

  start();

  EXPECT_TRUE(receive(event("e11", std::string(3'000, 'x')))->is_duplicate);
  EXPECT_FALSE(receive(event("e0", std::string(3'000, 'x')))->is_duplicate);
}

TEST_F(ReceiverTest, forgets_the_oldest_beyond_its_limit) {
  options.recent_max = 2;
  start();
  for (const auto* id : {"e1", "e2", "e3"}) ASSERT_TRUE(receive(event(id, "hello")));

  EXPECT_TRUE(receive(event("e3", "hello"))->is_duplicate);
  EXPECT_FALSE(receive(event("e1", "hello"))->is_duplicate);
}

}  // namespace
}  // namespace samtale

// Goal:   an event that was answered as replicated has its effect, once, whatever becomes of the
// node
//         that accepted it, and of the broker.
// Method: a real broker and a real PostgreSQL; a node's log on a simulated disk; the broker is
// killed.
#include "relay/replicated_events.h"

#include <gmock/gmock.h>

#include <array>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "accept/accept_log.h"
#include "amqp/testing/rabbit_process.h"
#include "ingest/jobs.h"
#include "ingest/normaliser.h"
#include "ingest/receiver.h"
#include "relay/event_message.h"
#include "relay/rabbit_replicator.h"
#include "sim/memory_log.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

using amqp::RabbitProcess;
using testing::HasSubstr;

class ReplicatedEventsTest : public ::testing::Test {
 protected:
  static constexpr CompanyId kCompany{1};

  ReplicatedEventsTest() : topology_(RabbitProcess::shared().fresh_name(), {}) {
    const auto made = check_topology(*RabbitProcess::shared().connect(), topology_, true, clock_,
                                     std::chrono::seconds(30));
    EXPECT_TRUE(made) << made.error().message;
    log_ = open_accept_log(files_, "log", {}, clock_, lines_).value();
    committer_ = std::jthread([this](const std::stop_token& stop) { log_->run(stop); });
    replicator_ = std::make_unique<RabbitReplicator>(
        store().log(), topology_, clock_, random_, lines_,
        ReplicatorOptions{.session = session(), .event_bytes_max = 100'000});
    publisher_ = std::jthread([this](const std::stop_token& stop) { replicator_->run(stop); });
    receiver_ = std::make_unique<Receiver>(*log_, replicator_.get());
  }
  ~ReplicatedEventsTest() override {
    committer_ = {};
    publisher_ = {};
    other_node_.reset();
    const auto connection = RabbitProcess::shared().connect();
    for (const auto& queue : topology_.all()) EXPECT_TRUE(connection->remove(queue.name, soon()));
  }

  static RabbitSessionOptions session() {
    return {.address = RabbitProcess::shared().address(),
            .timeout = std::chrono::seconds(30),
            .pause = {.base = Duration::zero(), .longest = Duration::zero()}};
  }
  [[nodiscard]] Instant soon() const { return clock_.now() + std::chrono::seconds(30); }
  PostgresStore& store() { return harness_.store(); }

  static ReceivedEvent event(const std::string& id, std::string body) {
    return {.company = kCompany,
            .source = "chat",
            .provider = "native",
            .key = make_event_key("chat", id),
            .received_at = from_us(1'000'000),
            .body = std::move(body)};
  }
  static std::string saying(const std::string& words) {
    return R"({"id":"c","append":true,"turns":[{"speaker":"customer","text":")" + words + R"("}]})";
  }
  Accepted receive(ReceivedEvent event) {
    std::promise<Result<Accepted>> answer;
    receiver_->receive(std::move(event), [&](auto given) { answer.set_value(std::move(given)); });
    auto given = answer.get_future().get();
    EXPECT_TRUE(given) << given.error().message;
    return given.value_or(Accepted());
  }

  // Until another node has taken this many events from the broker.
  void let_another_node_take(std::uint64_t count) {
    if (!other_node_) {
      other_node_ = std::make_unique<ReplicatedEvents>(store(), topology_, clock_, random_, lines_,
                                                       session());
    }
    const auto taken = [&] {
      const auto stats = other_node_->stats();
      return stats.applied + stats.passed + stats.parked;
    };
    for (const auto before = taken(); taken() < before + count;) ASSERT_TRUE(other_node_->step());
  }
  void let_the_own_log_take_all() {
    Normaliser normaliser(*log_, store(), store().partition_of(kCompany), lines_);
    while (normaliser.step().value() > 0) {
    }
  }
  void publish(const std::string& body) {
    const auto lane = topology_.event_lane(kCompany);
    const std::array messages = {amqp::Message{.queue = lane, .body = body}};
    ASSERT_TRUE(RabbitProcess::shared().connect()->publish(messages, soon()));
  }
  std::size_t messages_in(const std::string& queue) {
    return RabbitProcess::shared().connect()->waiting(queue, soon()).value();
  }
  std::size_t jobs(std::string_view kind) {
    return store().queue().take(kind, 10, std::chrono::minutes(1))->size();
  }
  void run(const std::string& statement) {
    auto transaction = store().database().begin({}).value();
    ASSERT_TRUE(transaction.run(statement));
    ASSERT_TRUE(transaction.commit());
  }
  std::size_t erasures() { return jobs(erase_kind(store().log())); }
  std::optional<StoredConversation> conversation() {
    return store().find_conversation(kCompany, make_conversation_id(kCompany, "chat", "c")).value();
  }
  std::vector<DeadLetter> dead_letters() {
    return store().queue().dead_letters(kCompany, {}, 10).value();
  }

  SystemClock clock_;
  SimRandom random_{1};
  SimFiles files_{random_};
  MemoryLog lines_;
  PostgresHarness<2> harness_;
  const RabbitTopology topology_;
  std::unique_ptr<AcceptLog> log_;
  std::unique_ptr<RabbitReplicator> replicator_;
  std::unique_ptr<Receiver> receiver_;
  std::unique_ptr<ReplicatedEvents> other_node_;
  std::jthread committer_;
  std::jthread publisher_;
};

TEST_F(ReplicatedEventsTest, have_their_effect_though_their_own_node_is_gone) {
  const auto accepted = receive(event("1", saying("my kettle leaks")));
  EXPECT_TRUE(accepted.is_replicated);

  let_another_node_take(1);

  ASSERT_TRUE(conversation());
  EXPECT_EQ(conversation()->conversation.turns.at(0).text, "my kettle leaks");
  EXPECT_EQ(jobs(kChunkJob), 1u);
  EXPECT_EQ(messages_in(topology_.event_lane(kCompany)), 0u);
  EXPECT_EQ(replicator_->stats().replicated, 1u);
}

TEST_F(ReplicatedEventsTest, have_it_once_when_their_own_node_reads_its_log_later) {
  receive(event("1", saying("my kettle leaks")));
  let_another_node_take(1);
  const auto before = conversation();

  let_the_own_log_take_all();

  EXPECT_EQ(conversation()->revision, before->revision);
  EXPECT_EQ(erasures(), 0u) << "its bytes are those of the only event there is";
  EXPECT_EQ(store().company_stats(kCompany)->events, 1);
}

TEST_F(ReplicatedEventsTest, are_let_go_of_when_their_own_node_was_faster) {
  receive(event("1", saying("my kettle leaks")));
  let_the_own_log_take_all();
  const auto before = conversation();

  let_another_node_take(1);

  EXPECT_EQ(other_node_->stats().passed, 1u);
  EXPECT_EQ(conversation()->revision, before->revision);
}

TEST_F(ReplicatedEventsTest, have_it_once_though_a_message_comes_twice) {
  const auto record = encode(event("1", saying("my kettle leaks")));
  const auto message =
      encode({.place = {.log = store().log(), .position = LogPosition{0}}, .payload = record});
  publish(message);
  publish(message);

  let_another_node_take(2);

  EXPECT_EQ(conversation()->revision, 1);
  EXPECT_EQ(erasures(), 0u);
}

TEST_F(ReplicatedEventsTest, erase_the_bytes_of_a_repeat_that_another_node_accepted) {
  receive(event("1", saying("my kettle leaks")));
  let_another_node_take(1);
  const auto record = encode(event("1", saying("my kettle leaks")));

  publish(encode({.place = {.log = LogId{99}, .position = LogPosition{0}}, .payload = record}));
  let_another_node_take(1);

  EXPECT_EQ(jobs(erase_kind(LogId{99})), 1u);
  EXPECT_EQ(conversation()->revision, 1);
}

TEST_F(ReplicatedEventsTest, are_one_dead_letter_if_they_cannot_have_an_effect_whoever_reads_them) {
  receive(event("1", R"({"id":"c","turns":"none"})"));

  let_another_node_take(1);
  let_the_own_log_take_all();

  ASSERT_EQ(dead_letters().size(), 1u);
  EXPECT_EQ(dead_letters()[0].kind, kEventJob);
}

TEST_F(ReplicatedEventsTest, stay_deleted_though_their_message_comes_later) {
  receive(event("1", saying("my kettle leaks")));
  const auto id = make_conversation_id(kCompany, "chat", "c");
  ASSERT_TRUE(store().write(store().partition_of(kCompany), [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.erase_conversation(kCompany, id));
    return {};
  }));

  let_another_node_take(1);

  EXPECT_FALSE(conversation());
  EXPECT_EQ(erasures(), 1u);
}

TEST_F(ReplicatedEventsTest, are_parked_if_nobody_can_read_them) {
  publish("no event");

  let_another_node_take(1);

  EXPECT_EQ(messages_in(topology_.parked().name), 1u);
  EXPECT_EQ(messages_in(topology_.event_lane(kCompany)), 0u);
}

TEST_F(ReplicatedEventsTest, come_again_when_the_database_did_not_take_them) {
  receive(event("1", saying("my kettle leaks")));
  run("ALTER TABLE conversations RENAME TO hidden");
  ReplicatedEvents unlucky(store(), topology_, clock_, random_, lines_, session());
  auto stepped = unlucky.step();
  while (stepped) stepped = unlucky.step();

  run("ALTER TABLE hidden RENAME TO conversations");

  EXPECT_EQ(unlucky.step().value(), 1u);
  EXPECT_TRUE(conversation());
}

TEST_F(ReplicatedEventsTest, say_that_they_lie_on_their_node_alone_while_the_broker_is_away) {
  receive(event("1", saying("my kettle leaks")));
  for (const auto& lane : topology_.event_lanes())
    RabbitProcess::shared().wait_until_kept(lane.name);
  RabbitProcess::shared().kill();

  const auto accepted = receive(event("2", saying("my toaster burns")));
  const auto repeated = receive(event("2", saying("my toaster burns")));
  const bool was_away = replicator_->is_away();
  RabbitProcess::shared().start();
  const auto later = receive(event("3", saying("my oven is cold")));

  EXPECT_FALSE(accepted.is_replicated);
  EXPECT_FALSE(repeated.is_replicated);
  EXPECT_TRUE(was_away);
  EXPECT_TRUE(later.is_replicated);
  EXPECT_FALSE(replicator_->is_away());
  let_another_node_take(2);
  EXPECT_EQ(conversation()->conversation.turns.size(), 2u) << "of 1 and 3";
  let_the_own_log_take_all();
  EXPECT_EQ(conversation()->conversation.turns.size(), 3u) << "the log is the spool";
}

TEST_F(ReplicatedEventsTest, stay_on_their_node_if_they_are_too_long) {
  const auto accepted = receive(event("1", saying(std::string(100'000, 'x'))));

  EXPECT_FALSE(accepted.is_replicated);
  EXPECT_EQ(replicator_->stats().kept_here, 1u);
  let_the_own_log_take_all();
  EXPECT_TRUE(conversation());
}

TEST_F(ReplicatedEventsTest, are_answered_all_when_their_node_stops) {
  std::vector<std::promise<bool>> answers(3000);
  for (auto& answer : answers) {
    replicator_->replicate(kCompany, LogPosition{}, "record",
                           [&](bool is_replicated) { answer.set_value(is_replicated); });
  }

  publisher_ = {};

  for (auto& answer : answers) EXPECT_TRUE(answer.get_future().get());
  std::optional<bool> late;
  replicator_->replicate(kCompany, LogPosition{}, "record",
                         [&](bool is_replicated) { late = is_replicated; });
  EXPECT_EQ(late, false);
}

TEST_F(ReplicatedEventsTest, are_left_to_whoever_has_a_copy_for_as_long_as_their_node_is_told) {
  receive(event("1", saying("my kettle leaks")));
  bool is_left = true;
  NormaliserOptions options;
  options.is_left = [&](WallTime) { return is_left; };
  Normaliser normaliser(*log_, store(), store().partition_of(kCompany), lines_, options);

  EXPECT_EQ(normaliser.step().value(), 0u);
  EXPECT_FALSE(conversation());
  is_left = false;
  EXPECT_EQ(normaliser.step().value(), 1u);
  EXPECT_TRUE(conversation());
}

}  // namespace
}  // namespace samtale

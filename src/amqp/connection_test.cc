#include "amqp/connection.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "amqp/testing/rabbit_process.h"

namespace samtale::amqp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(AmqpUrlTest, reads_its_parts) {
  const auto address = parse_url("amqp://me@broker.example:5673/of%2Fours");

  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->host, "broker.example");
  EXPECT_EQ(address->port, 5673);
  EXPECT_EQ(address->user, "me");
  EXPECT_EQ(address->vhost, "of/ours");
  EXPECT_EQ(parse_url("amqp://broker")->vhost, "/");
  EXPECT_EQ(parse_url("amqp://broker/")->vhost, "/");
}

TEST(AmqpUrlTest, says_that_and_whose_certificates_are_wanted) {
  const auto plain = parse_url("amqp://broker").value();
  const auto tls = parse_url("amqps://me@broker/ours").value();
  const auto own = parse_url("amqps://broker:5673?cacertfile=/etc/ca.pem").value();

  EXPECT_FALSE(plain.is_tls);
  EXPECT_TRUE(tls.is_tls);
  EXPECT_EQ(tls.port, 5671);
  EXPECT_EQ(tls.vhost, "ours");
  EXPECT_EQ(tls.authority_file, "");
  EXPECT_TRUE(own.is_tls);
  EXPECT_EQ(own.port, 5673);
  EXPECT_EQ(own.authority_file, "/etc/ca.pem");
}

TEST(AmqpUrlTest, says_what_is_wrong_with_one) {
  const auto message = [](const char* url) { return parse_url(url).error().message; };

  EXPECT_THAT(message("amqp://me:secret@broker"), HasSubstr("no password"));
  EXPECT_THAT(message("amqps://me:secret@broker"), HasSubstr("no password"));
  EXPECT_THAT(message("amqp://broker?cacertfile=/etc/ca.pem"), HasSubstr("amqps://"));
  EXPECT_THAT(message("http://broker"), HasSubstr("amqp://user@host"));
  EXPECT_THAT(message("amqp://broker:0"), HasSubstr("port"));
  EXPECT_THAT(message("amqp://broker:70000"), HasSubstr("amqp://user@host"));
}

TEST(AmqpBrokerTest, is_refused_where_it_is_too_old) {
  EXPECT_TRUE(check_broker("RabbitMQ", "3.10.8"));
  EXPECT_TRUE(check_broker("RabbitMQ", "4.0.0-rc.1"));
  EXPECT_TRUE(check_broker("another", "1.0"));

  for (const auto* old : {"3.9.29", "2.10", "3", "unknown", ""}) {
    const auto refused = check_broker("RabbitMQ", old);
    ASSERT_FALSE(refused) << old;
    EXPECT_THAT(refused.error().message, HasSubstr("3.10 is the oldest"));
  }
}

class AmqpConnectionTest : public ::testing::Test {
 protected:
  [[nodiscard]] Instant soon() const { return clock_.now() + std::chrono::seconds(30); }
  [[nodiscard]] static std::unique_ptr<Connection> connect() {
    return RabbitProcess::shared().connect();
  }
  void publish(Connection& connection, const std::vector<std::string>& bodies) {
    std::vector<Message> messages;
    for (const auto& body : bodies) messages.push_back({.queue = name_, .body = body});
    const auto published = connection.publish(messages, soon());
    ASSERT_TRUE(published) << published.error().message;
  }
  // The next `count`: the broker sends each in its own time.
  static std::vector<Delivery> take(Connection& connection, std::size_t count = 1) {
    std::vector<Delivery> all;
    while (all.size() < count) {
      auto arrived = connection.arrived();
      EXPECT_TRUE(arrived) << arrived.error().message;
      if (!arrived) break;
      std::ranges::move(*arrived, std::back_inserter(all));
    }
    return all;
  }
  static std::vector<std::string> bodies(const std::vector<Delivery>& deliveries) {
    std::vector<std::string> all;
    for (const auto& one : deliveries) all.push_back(one.body);
    return all;
  }

  SystemClock clock_;
  const std::string name_ = RabbitProcess::shared().fresh_name();
  const std::unique_ptr<Connection> connection_ = connect();
};

TEST_F(AmqpConnectionTest, delivers_what_was_published_in_its_order) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  const std::string long_one(Connection::kBodyBytesMax, 'x');
  publish(*connection_, {"a", "", long_one});

  ASSERT_TRUE(connection_->consume(name_, 10, soon()));
  const auto deliveries = take(*connection_, 3);

  EXPECT_THAT(bodies(deliveries), ElementsAre("a", "", long_one));
  EXPECT_EQ(deliveries.at(0).queue, name_);
  EXPECT_FALSE(deliveries.at(0).is_redelivered);
}

TEST_F(AmqpConnectionTest, cuts_what_is_longer_than_anything_of_ours) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  publish(*connection_, {std::string(3 * Connection::kBodyBytesMax, 'x'), "b"});

  ASSERT_TRUE(connection_->consume(name_, 10, soon()));
  const auto deliveries = take(*connection_, 2);

  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_EQ(deliveries[0].body.size(), Connection::kBodyBytesMax);
  EXPECT_EQ(deliveries[1].body, "b");
}

TEST_F(AmqpConnectionTest, takes_bodies_as_long_as_it_was_told) {
  const auto told = Connection::open(RabbitProcess::shared().address(), clock_, soon(), 200'000);
  ASSERT_TRUE(told) << told.error().message;
  ASSERT_TRUE((*told)->declare({.name = name_}, soon()));
  publish(**told, {std::string(200'000, 'x'), std::string(200'001, 'x')});

  ASSERT_TRUE((*told)->consume(name_, 10, soon()));
  const auto deliveries = take(**told, 2);

  EXPECT_EQ(deliveries.at(0).body.size(), 200'000u);
  EXPECT_EQ(deliveries.at(1).body.size(), 200'000u);
}

TEST_F(AmqpConnectionTest, refuses_what_a_full_queue_has_no_room_for_and_keeps_what_it_has) {
  ASSERT_TRUE(connection_->declare({.name = name_, .bytes_max = 1000}, soon()));
  const auto other = connect();
  const std::array messages = {Message{.queue = name_, .body = std::string(600, 'x')}};
  Result<> published{};
  std::size_t confirmed = 0;
  while (published) {
    published = other->publish(messages, soon());
    confirmed += published ? 1 : 0;
  }

  EXPECT_THAT(published.error().message, HasSubstr("cannot take it now"));
  EXPECT_GT(confirmed, 0u);
  ASSERT_TRUE(connection_->consume(name_, 100, soon()));
  EXPECT_EQ(take(*connection_, confirmed).size(), confirmed);
}

TEST_F(AmqpConnectionTest, sends_no_more_than_it_may_until_some_are_acknowledged) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  publish(*connection_, {"a", "b", "c", "d"});
  ASSERT_TRUE(connection_->consume(name_, 2, soon()));
  const auto first = take(*connection_, 2);
  ASSERT_THAT(bodies(first), ElementsAre("a", "b"));
  EXPECT_EQ(connection_->waiting(name_, soon()).value(), 2u);

  ASSERT_TRUE(connection_->acknowledge(std::array{first[1].tag}));

  const auto second = take(*connection_);
  ASSERT_THAT(bodies(second), ElementsAre("c"));
  ASSERT_TRUE(connection_->acknowledge(std::array{first[0].tag, second[0].tag}));
  EXPECT_THAT(bodies(take(*connection_)), ElementsAre("d"));
}

TEST_F(AmqpConnectionTest, hands_another_what_was_not_acknowledged) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  publish(*connection_, {"a", "b"});
  auto other = connect();
  ASSERT_TRUE(other->consume(name_, 2, soon()));
  const auto deliveries = take(*other, 2);
  ASSERT_EQ(deliveries.size(), 2u);
  ASSERT_TRUE(other->acknowledge(std::array{deliveries[0].tag}));

  other.reset();

  ASSERT_TRUE(connection_->consume(name_, 2, soon()));
  const auto again = take(*connection_);
  ASSERT_THAT(bodies(again), ElementsAre("b"));
  EXPECT_TRUE(again[0].is_redelivered);
}

TEST_F(AmqpConnectionTest, moves_what_is_handed_out_too_often_to_the_dead_letters) {
  const auto dead = name_ + ".dead";
  ASSERT_TRUE(connection_->declare({.name = dead}, soon()));
  ASSERT_TRUE(
      connection_->declare({.name = name_, .deliveries_max = 2, .dead_letters = dead}, soon()));
  publish(*connection_, {"poison"});

  for (int i = 0; i < 3; ++i) {
    const auto victim = connect();
    ASSERT_TRUE(victim->consume(name_, 1, soon()));
    ASSERT_THAT(bodies(take(*victim)), ElementsAre("poison"));
  }

  ASSERT_TRUE(connection_->consume(dead, 1, soon()));
  const auto buried = take(*connection_);
  ASSERT_EQ(buried.size(), 1u);
  EXPECT_EQ(buried[0].body, "poison");
  EXPECT_EQ(buried[0].queue, dead);
}

TEST_F(AmqpConnectionTest, refuses_to_publish_to_a_queue_that_is_not_there) {
  const std::array messages = {Message{.queue = name_, .body = "a"}};

  const auto refused = connection_->publish(messages, soon());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr(name_));
  EXPECT_FALSE(connect()->has_queue(name_, soon()).value());
}

TEST_F(AmqpConnectionTest, finds_a_queue_and_makes_none_by_looking) {
  EXPECT_FALSE(connection_->has_queue(name_, soon()).value());
  EXPECT_FALSE(connection_->has_queue(name_, soon()).value());

  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));

  EXPECT_TRUE(connection_->has_queue(name_, soon()).value());
  ASSERT_TRUE(connection_->remove(name_, soon()));
  EXPECT_FALSE(connection_->has_queue(name_, soon()).value());
  EXPECT_TRUE(connection_->remove(name_, soon())) << "it need not be there";
}

TEST_F(AmqpConnectionTest, tells_a_queue_of_other_limits_from_the_one_it_wants) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));

  const auto refused = connection_->declare({.name = name_, .deliveries_max = 7}, soon());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("x-delivery-limit"));
  EXPECT_TRUE(connection_->declare({.name = name_}, soon())) << "the connection goes on";
}

TEST_F(AmqpConnectionTest, ends_where_its_queue_is_taken_away) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  ASSERT_TRUE(connection_->consume(name_, 1, soon()));

  ASSERT_TRUE(connect()->remove(name_, soon()));

  auto arrived = connection_->arrived();
  while (arrived) arrived = connection_->arrived();
  EXPECT_THAT(arrived.error().message, HasSubstr("gone"));
  EXPECT_FALSE(connection_->is_usable());
}

TEST_F(AmqpConnectionTest, says_that_a_password_is_refused) {
  auto address = RabbitProcess::shared().address();
  address.password = "wrong";

  const auto refused = Connection::open(address, clock_, soon());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
}

TEST_F(AmqpConnectionTest, gives_up_by_the_deadline_where_the_broker_hangs) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  const std::array messages = {Message{.queue = name_, .body = "a"}};
  const auto short_time = [this] { return clock_.now() + std::chrono::milliseconds(100); };
  const auto code_of = [](const auto& done) { return done.error().code; };
  auto for_waiting = connect();
  RabbitProcess::shared().hang();

  const auto begin = clock_.now();
  const auto published = connection_->publish(messages, short_time());
  const auto counted = for_waiting->waiting(name_, short_time());
  const auto opened = Connection::open(RabbitProcess::shared().address(), clock_, short_time());
  const auto took = clock_.now() - begin;
  RabbitProcess::shared().go_on();

  EXPECT_EQ(code_of(published), ErrorCode::deadline_exceeded);
  EXPECT_EQ(code_of(counted), ErrorCode::deadline_exceeded);
  EXPECT_EQ(code_of(opened), ErrorCode::deadline_exceeded);
  EXPECT_LT(took, std::chrono::seconds(5));
  EXPECT_FALSE(connection_->is_usable());
}

TEST_F(AmqpConnectionTest, finds_confirmed_messages_again_after_the_broker_was_killed) {
  ASSERT_TRUE(connection_->declare({.name = name_}, soon()));
  publish(*connection_, {"a", "b"});
  RabbitProcess::shared().wait_until_kept(name_);

  RabbitProcess::shared().kill();
  const std::array messages = {Message{.queue = name_, .body = "c"}};
  EXPECT_FALSE(connection_->publish(messages, soon()));
  RabbitProcess::shared().start();

  const auto later = connect();
  const auto consumed = later->consume(name_, 10, soon());
  ASSERT_TRUE(consumed) << consumed.error().message;
  EXPECT_THAT(bodies(take(*later, 2)), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace samtale::amqp

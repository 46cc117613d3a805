#include "notify/webhook_sender.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/bytes.h"
#include "json/json.h"
#include "providers/provider.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "sys/testing/fake_http_client.h"
#include "sys/testing/socket_server.h"

namespace samtale {
namespace {

using namespace std::chrono_literals;
using testing::SizeIs;

class WebhookSenderTest : public testing::Test {
 protected:
  SubscriptionRecord subscription(std::string url = "https://example.com/hook") {
    SubscriptionRecord record;
    record.id = "sub_1";
    record.url = std::move(url);
    record.secrets = {{"whsec_" + base64(std::string(24, 'a')), std::nullopt}};
    return record;
  }
  SendReport send() { return sender.send(subscription(), "msg_1", "{}", {}); }
  Result<> verified(const SubscriptionRecord& record, const HttpCall& call) {
    return verify(*find_provider("standard-webhooks"),
                  std::vector<SigningSecret>{{record.secrets[0].secret, std::nullopt}},
                  {call.headers, call.body}, clock.wall_now());
  }
  static std::string header(const HttpCall& call, std::string_view name) {
    const auto found = std::ranges::find(call.headers, name, &HttpHeaders::value_type::first);
    return found == call.headers.end() ? "none" : found->second;
  }

  SimClock clock;
  SimRandom random{1};
  FakeHttpClient client;
  WebhookSender sender{client, clock, random};
};

TEST_F(WebhookSenderTest, signs_as_standard_webhooks_says) {
  client.then_answer(204, "");

  EXPECT_EQ(send().outcome, SendOutcome::delivered);

  ASSERT_THAT(client.calls(), SizeIs(1));
  const auto call = client.calls()[0];
  EXPECT_EQ(call.method, "POST");
  EXPECT_EQ(header(call, "webhook-id"), "msg_1");
  EXPECT_EQ(header(call, "webhook-timestamp"), std::to_string(to_us(clock.wall_now()) / 1'000'000));
  EXPECT_EQ(header(call, "content-type"), "application/json");
  EXPECT_TRUE(verified(subscription(), call));
}

TEST_F(WebhookSenderTest, signs_twice_while_a_secret_is_rotated) {
  client.then_answer(200, "");
  auto rotated = subscription();
  rotated.secrets.push_back({"whsec_" + base64(std::string(24, 'b')), clock.wall_now() + 1h});

  EXPECT_EQ(sender.send(rotated, "msg_1", "{}", {}).outcome, SendOutcome::delivered);

  const auto signatures = header(client.calls()[0], "webhook-signature");
  EXPECT_EQ(std::ranges::count(signatures, ' '), 1) << signatures;
  EXPECT_TRUE(verified(subscription(), client.calls()[0]));
}

TEST_F(WebhookSenderTest, sends_nothing_without_a_secret) {
  auto bare = subscription();
  bare.secrets.clear();

  EXPECT_EQ(sender.send(bare, "msg_1", "{}", {}).outcome, SendOutcome::failed);
  EXPECT_THAT(client.calls(), SizeIs(0));
}

TEST_F(WebhookSenderTest, tells_what_an_answer_means) {
  struct Case {
    int status;
    SendOutcome outcome;
  };
  for (const auto& [status, outcome] : {Case{200, SendOutcome::delivered},
                                        {299, SendOutcome::delivered},
                                        {300, SendOutcome::failed},
                                        {302, SendOutcome::failed},
                                        {400, SendOutcome::failed},
                                        {410, SendOutcome::gone},
                                        {500, SendOutcome::failed}}) {
    client.then_answer(status, "");
    const auto report = send();
    EXPECT_EQ(report.outcome, outcome) << status;
    EXPECT_EQ(report.status, status);
  }
}

TEST_F(WebhookSenderTest, reads_how_long_to_wait_from_429_and_503_alone) {
  for (const int status : {429, 503}) {
    client.then_answer(status, "", {{"retry-after", "70"}});
    EXPECT_EQ(send().wait, Duration(70s)) << status;
  }
  client.then_answer(500, "", {{"retry-after", "70"}});
  EXPECT_EQ(send().wait, std::nullopt);
}

TEST_F(WebhookSenderTest, says_stopped_only_if_it_was_told_to) {
  std::stop_source stopping;
  client.then_fail(ErrorCode::unavailable, "reset");
  EXPECT_EQ(sender.send(subscription(), "msg_1", "{}", stopping.get_token()).outcome,
            SendOutcome::failed);

  stopping.request_stop();
  client.then_fail(ErrorCode::unavailable, "stopped");

  EXPECT_EQ(sender.send(subscription(), "msg_1", "{}", stopping.get_token()).outcome,
            SendOutcome::stopped);
}

TEST_F(WebhookSenderTest, pings_with_an_id_of_its_own) {
  client.then_answer(200, "");
  client.then_answer(200, "");

  EXPECT_EQ(sender.ping(subscription())->status, 200);
  EXPECT_EQ(sender.ping(subscription())->status, 200);

  const auto calls = client.calls();
  EXPECT_EQ(*json::parse(calls[0].body)->find("type"), json::Value("ping"));
  EXPECT_NE(header(calls[0], "webhook-id"), header(calls[1], "webhook-id"));
  EXPECT_TRUE(verified(subscription(), calls[0]));
  EXPECT_EQ(calls[0].timeout, Duration(5s));
}

TEST_F(WebhookSenderTest, pings_one_at_a_time) {
  client.then([&](const HttpCall&) -> Result<HttpAnswer> {
    EXPECT_EQ(sender.ping(subscription()).error().code, ErrorCode::resource_exhausted);
    return HttpAnswer{200, {}, {}};
  });

  EXPECT_EQ(sender.ping(subscription())->outcome, SendOutcome::delivered);
}

// The receiver has said yes; that it goes on talking changes nothing.
TEST_F(WebhookSenderTest, takes_a_long_or_broken_answer_for_a_yes_if_it_began_with_one) {
  const auto real = make_http_client();
  const WebhookSender talking(*real, clock, random);
  const SocketServer endless([](const std::string&, const SocketServer::Connection& peer) {
    peer.answer("200 OK", std::string(200'000, 'x'));
    return true;
  });
  const SocketServer broken([](const std::string&, const SocketServer::Connection& peer) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return false;
  });

  for (const auto* server : {&endless, &broken}) {
    const auto report = talking.send(subscription(server->url()), "msg_1", "{}", {});
    EXPECT_EQ(report.outcome, SendOutcome::delivered) << report.cause;
  }
}

TEST_F(WebhookSenderTest, takes_a_long_refusal_for_a_refusal) {
  const auto real = make_http_client();
  const WebhookSender talking(*real, clock, random);
  const SocketServer server([](const std::string&, const SocketServer::Connection& peer) {
    peer.answer("500 No", std::string(200'000, 'x'));
    return true;
  });

  const auto report = talking.send(subscription(server.url()), "msg_1", "{}", {});

  EXPECT_EQ(report.outcome, SendOutcome::failed);
  EXPECT_EQ(report.cause.find("xxx"), std::string::npos) << report.cause;
}

}  // namespace
}  // namespace samtale

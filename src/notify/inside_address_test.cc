// Goal:   whatever a company names, nothing inside gets a connection.
// Method: a trap listens on 127.0.0.1; the real client is sent there past the rules for URLs, so
// that
//         the guard on addresses stands alone. A control shows that the trap can be reached.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>

#include <atomic>
#include <string>

#include "base/bytes.h"
#include "notify/public_address.h"
#include "notify/webhook_sender.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "sys/testing/socket_server.h"

namespace samtale {
namespace {

bool answer_ok(const std::string&, const SocketServer::Connection& peer) {
  peer.answer("200 OK", "");
  return true;
}

class InsideAddressTest : public testing::Test {
 protected:
  SendReport send(HttpClient& client, const std::string& url) {
    SubscriptionRecord record;
    record.url = url;
    record.secrets = {{"whsec_" + base64(std::string(24, 'a')), std::nullopt}};
    return WebhookSender(client, clock_, random_).send(record, "msg_1", "{}", {});
  }
  std::string trap_url(const std::string& host) const {
    return "http://" + host + ":" + std::to_string(trap.port()) + "/";
  }

  SocketServer trap{answer_ok};

 private:
  SimClock clock_;
  SimRandom random_{1};
};

TEST_F(InsideAddressTest, gets_no_connection_however_it_is_spelled) {
  const auto guarded = make_http_client({.may_connect = public_or({})});

  for (const auto* host : {"127.0.0.1",
                           "localhost",
                           "localhost.",
                           "LOCALHOST",
                           "2130706433",
                           "0x7f000001",
                           "0x7F.1",
                           "0177.0.0.1",
                           "017700000001",
                           "127.1",
                           "127.0.1",
                           "0",
                           "0.0.0.0",
                           "[::1]",
                           "[::]",
                           "[::ffff:127.0.0.1]",
                           "[::ffff:7f00:1]",
                           "[::127.0.0.1]",
                           "8.8.8.8@127.0.0.1",
                           "user:8.8.8.8@localhost",
                           "\xE2\x93\x9B\xE2\x93\x9E"
                           "calhost",
                           "127\xE3\x80\x82"
                           "0\xE3\x80\x82"
                           "0\xE3\x80\x82"
                           "1",
                           "%31%32%37.0.0.1"}) {
    const auto report = send(*guarded, trap_url(host));
    EXPECT_EQ(report.outcome, SendOutcome::failed) << host;
  }
  EXPECT_EQ(trap.connections(), 0);
}

TEST_F(InsideAddressTest, would_get_one_without_the_guard) {
  int reached = 0;
  for (const auto* host :
       {"127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "8.8.8.8@127.0.0.1"}) {
    const auto client = make_http_client();
    (void)send(*client, trap_url(host));
    EXPECT_EQ(trap.connections(), ++reached) << host;
  }
}

TEST_F(InsideAddressTest, gets_none_by_a_redirect) {
  const SocketServer outside([&](const std::string&, const SocketServer::Connection& peer) {
    peer.send("HTTP/1.1 307 Go\r\nLocation: " + trap_url("127.0.0.1") +
              "\r\nContent-Length: 0\r\n\r\n");
    return true;
  });
  // No guard: that nothing follows must hold by itself.
  const auto client = make_http_client();

  const auto report = send(*client, outside.url());

  EXPECT_EQ(report.outcome, SendOutcome::failed);
  EXPECT_EQ(report.status, 307);
  EXPECT_EQ(outside.connections(), 1);
  EXPECT_EQ(trap.connections(), 0);
}

// A resolver that says something public when asked first and 127.0.0.1 when asked again gains
// nothing: what is judged is the address that is connected to, each time.
TEST_F(InsideAddressTest, is_judged_again_at_each_connection) {
  std::atomic<int> asked = 0;
  const auto client =
      make_http_client({.may_connect = [&](const sockaddr&) { return asked++ == 0; }});
  const SocketServer closing([](const std::string&, const SocketServer::Connection& peer) {
    peer.answer("200 OK", "");
    return false;
  });

  EXPECT_EQ(send(*client, closing.url()).outcome, SendOutcome::delivered);
  EXPECT_EQ(send(*client, closing.url()).outcome, SendOutcome::failed);

  EXPECT_EQ(asked, 2);
  EXPECT_EQ(closing.connections(), 1);
}

TEST_F(InsideAddressTest, is_judged_for_each_address_of_a_name) {
  std::atomic<int> asked = 0;
  const auto guard = public_or({});
  const auto client = make_http_client({.may_connect = [&](const sockaddr& address) {
    ++asked;
    return guard(address);
  }});

  EXPECT_EQ(send(*client, trap_url("localhost")).outcome, SendOutcome::failed);
  EXPECT_EQ(send(*client, trap_url("[::1]")).outcome, SendOutcome::failed);

  EXPECT_GE(asked, 2);
  EXPECT_EQ(trap.connections(), 0);
}

TEST_F(InsideAddressTest, may_be_opened_by_the_operator) {
  const auto client = make_http_client({.may_connect = public_or({*parse_network("127.0.0.0/8")})});

  EXPECT_EQ(send(*client, trap_url("127.0.0.1")).outcome, SendOutcome::delivered);
  EXPECT_EQ(trap.connections(), 1);
}

}  // namespace
}  // namespace samtale

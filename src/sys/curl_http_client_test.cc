// Goal:   the HTTP client's promises to whoever cannot trust the other side.
// Method: a real server on a real socket. Where a call is to be ended from outside, the server says
//         when it has come far enough, so nothing waits for time to pass but what is about time.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "sys/http_client.h"
#include "sys/testing/socket_server.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

bool say_hello(const std::string&, const SocketServer::Connection& connection) {
  connection.answer("200 OK", "hello");
  return true;
}

// Waits for the client to give up.
bool say_nothing(const std::string&, const SocketServer::Connection& connection) {
  connection.wait_for_close();
  return false;
}

Duration took(const std::function<void()>& action) {
  const SystemClock clock;
  const auto begin = clock.now();
  action();
  return clock.now() - begin;
}

// Sets a variable of the environment for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

class CurlHttpClientTest : public testing::Test {
 protected:
  std::unique_ptr<HttpClient> http = make_http_client();
};

TEST_F(CurlHttpClientTest, keeps_its_connection_for_the_next_call) {
  const SocketServer server(say_hello);

  for (int i = 0; i < 5; ++i) {
    const auto answer = http->call({.url = server.url(), .body = "x"});
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "hello");
  }

  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlHttpClientTest, keeps_the_connections_of_64_callers_at_once) {
  constexpr int kCallers = 64;
  std::latch first(kCallers);
  std::latch second(kCallers);
  const SocketServer server([&](const std::string& request, const auto& connection) {
    (request.contains("/first") ? first : second).arrive_and_wait();
    connection.answer("200 OK", "");
    return true;
  });

  for (const auto* path : {"/first", "/second"}) {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] { EXPECT_TRUE(http->call({.url = server.url(path)})); });
    }
  }

  EXPECT_EQ(server.connections(), kCallers);
}

TEST_F(CurlHttpClientTest, hands_over_the_body_of_a_good_answer_as_it_comes) {
  std::string body;
  std::latch first_piece_taken(1);
  const SocketServer server([&](const std::string&, const auto& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
    first_piece_taken.wait();
    connection.send("later");
    return true;
  });

  const auto answer = http->call({.url = server.url(), .on_body = [&](std::string_view piece) {
                                    if (body.empty()) first_piece_taken.count_down();
                                    body += piece;
                                    return true;
                                  }});

  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(body, "firstlater");
  EXPECT_EQ(answer->body, "");
}

TEST_F(CurlHttpClientTest, keeps_the_body_of_a_refusal_together) {
  const SocketServer server([](const std::string&, const auto& connection) {
    connection.answer("429 Too Many Requests", "slower");
    return true;
  });

  const auto answer = http->call({.url = server.url(), .on_body = [](std::string_view) {
                                    ADD_FAILURE() << "handed over";
                                    return true;
                                  }});

  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 429);
  EXPECT_EQ(answer->body, "slower");
}

TEST_F(CurlHttpClientTest, ends_an_answer_that_its_receiver_does_not_want) {
  const SocketServer server(say_hello);

  const auto answer =
      http->call({.url = server.url(), .on_body = [](std::string_view) { return false; }});

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
}

TEST_F(CurlHttpClientTest, bounds_an_endless_answer_handed_over_or_not) {
  const SocketServer server([](const std::string&, const auto& connection) {
    connection.answer("200 OK", std::string(100'000, 'x'));
    return false;
  });
  std::size_t bytes = 0;

  const auto whole = http->call({.url = server.url(), .answer_bytes_max = 50'000});
  const auto pieces = http->call(
      {.url = server.url(), .answer_bytes_max = 50'000, .on_body = [&](std::string_view piece) {
         bytes += piece.size();
         return true;
       }});

  EXPECT_EQ(whole.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(pieces.error().code, ErrorCode::resource_exhausted);
  EXPECT_LE(bytes, 50'000U);
}

TEST_F(CurlHttpClientTest, bounds_endless_headers) {
  const SocketServer server([](const std::string&, const auto& connection) {
    connection.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 1000; ++i) connection.send("X: " + std::string(1000, 'x') + "\r\n");
    return false;
  });

  EXPECT_EQ(http->call({.url = server.url()}).error().code, ErrorCode::resource_exhausted);
}

TEST_F(CurlHttpClientTest, gives_a_silent_server_up) {
  const SocketServer server(say_nothing);
  Error error{};

  const auto waited = took([&] {
    error = http->call({.url = server.url(), .timeout = 60s, .silence_max = 100ms}).error();
  });

  EXPECT_EQ(error.code, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(error.message.contains("no byte for 100 ms")) << error.message;
  EXPECT_GE(waited, 100ms);
  EXPECT_LT(waited, 30s);
}

TEST_F(CurlHttpClientTest, does_not_take_a_slow_server_for_a_silent_one) {
  const SocketServer server([](const std::string&, const auto& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
      SystemClock().sleep_for(400ms, {});
      connection.send("x");
    }
    return true;
  });

  const auto answer = http->call({.url = server.url(), .silence_max = 1s});

  EXPECT_TRUE(answer) << answer.error().message;
}

TEST_F(CurlHttpClientTest, stops_at_once_when_told_to) {
  std::stop_source stop;
  SystemClock clock;
  Instant asked{};
  const SocketServer server([&](const std::string& request, const auto& connection) {
    asked = clock.now();
    stop.request_stop();
    return say_nothing(request, connection);
  });

  const auto answer = http->call({.url = server.url(), .timeout = 60s, .stop = stop.get_token()});
  const auto stopped = clock.now();

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(answer.error().message.ends_with("stopped")) << answer.error().message;
  EXPECT_LT(stopped - asked, 500ms);  // Without being woken it would be a second.
}

TEST_F(CurlHttpClientTest, sends_nothing_if_it_was_stopped_before) {
  const SocketServer server(say_hello);
  std::stop_source stop;
  stop.request_stop();

  const auto answer = http->call({.url = server.url(), .stop = stop.get_token()});

  EXPECT_TRUE(answer.error().message.ends_with("stopped")) << answer.error().message;
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(CurlHttpClientTest, stops_in_the_middle_of_an_endless_answer) {
  std::stop_source stop;
  const SocketServer server([&](const std::string&, const auto& connection) {
    connection.answer("200 OK", std::string(50'000'000, 'x'));
    return false;
  });

  const auto answer = http->call({.url = server.url(),
                                  .on_body =
                                      [&](std::string_view) {
                                        stop.request_stop();
                                        return true;
                                      },
                                  .stop = stop.get_token()});

  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().message.ends_with("stopped")) << answer.error().message;
}

TEST_F(CurlHttpClientTest, works_again_after_a_call_that_was_stopped) {
  std::stop_source stop;
  const SocketServer server([&](const std::string& request, const auto& connection) {
    if (request.contains("/hello")) return say_hello(request, connection);
    stop.request_stop();
    return say_nothing(request, connection);
  });

  EXPECT_FALSE(http->call({.url = server.url(), .stop = stop.get_token()}));

  EXPECT_EQ(http->call({.url = server.url("/hello")})->body, "hello");
}

TEST_F(CurlHttpClientTest, knows_whether_the_request_went_out) {
  std::unique_ptr<SocketServer> server = std::make_unique<SocketServer>(say_hello);
  const auto url = server->url();
  const SocketServer resetting([](const std::string&, const auto& connection) {
    connection.reset();
    return false;
  });
  bool answered = false;
  bool reset = false;
  bool refused = true;

  ASSERT_TRUE(http->call({.url = url, .body = "x", .was_sent = &answered}));
  server.reset();
  EXPECT_FALSE(http->call({.url = resetting.url(), .body = "x", .was_sent = &reset}));
  EXPECT_FALSE(http->call({.url = url, .body = "x", .was_sent = &refused}));

  EXPECT_TRUE(answered);
  EXPECT_TRUE(reset);
  EXPECT_FALSE(refused);
}

TEST(CurlHttpClientGuardTest, connects_to_nothing_that_it_may_not) {
  const SocketServer server(say_hello);
  std::vector<std::string> asked;
  const auto http = make_http_client({.may_connect = [&](const sockaddr& address) {
    char text[INET6_ADDRSTRLEN] = {};
    const void* bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    if (address.sa_family == AF_INET6) {
      bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    }
    asked.emplace_back(::inet_ntop(address.sa_family, bytes, text, sizeof text));
    return false;
  }});

  for (const auto* host : {"127.0.0.1", "localhost", "2130706433", "0x7f.1"}) {
    const auto answer =
        http->call({.url = "http://" + std::string(host) + ":" + std::to_string(server.port())});
    ASSERT_FALSE(answer) << host;
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(answer.error().message.contains("not to connect to")) << answer.error().message;
    ASSERT_FALSE(asked.empty()) << host;
    EXPECT_TRUE(asked.back() == "127.0.0.1" || asked.back() == "::1") << asked.back();
    asked.clear();
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST(CurlHttpClientGuardTest, asks_once_for_a_connection_that_it_keeps) {
  const SocketServer server(say_hello);
  int asked = 0;
  const auto http = make_http_client({.may_connect = [&](const sockaddr& address) {
    ++asked;
    return reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr == htonl(INADDR_LOOPBACK);
  }});

  for (int i = 0; i < 3; ++i) EXPECT_EQ(http->call({.url = server.url()})->body, "hello");

  EXPECT_EQ(asked, 1);
}

TEST(CurlHttpClientGuardTest, goes_round_no_proxy_of_the_environment) {
  const SocketServer proxy(say_hello);
  const SocketServer server([](const std::string&, const auto& connection) {
    connection.answer("200 OK", "direct");
    return true;
  });
  const Environment environment("http_proxy", proxy.url());
  const auto guarded = make_http_client({.may_connect = [](const sockaddr&) { return true; }});

  EXPECT_EQ(make_http_client()->call({.url = server.url()})->body, "hello");
  EXPECT_EQ(guarded->call({.url = server.url()})->body, "direct");
}

}  // namespace
}  // namespace samtale

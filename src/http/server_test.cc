// Goal:   what a client may count on, and what no client gets away with (F1-F7 of the fault list).
// Method: a real server on a port of its own and a client that sends exactly these bytes. Where a
//         deadline is at stake it is some milliseconds, and the test waits for the server to act.
#include <gtest/gtest.h>

#include <latch>
#include <random>
#include <regex>
#include <semaphore>
#include <thread>

#include "http/testing/running_server.h"

namespace samtale::http::testing {
namespace {

using std::chrono::milliseconds;

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

bool is_error(std::string_view answer, int status, std::string_view code) {
  return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ") &&
         answer.find("{\"code\":\"" + std::string(code) + "\",\"message\":\"") !=
             std::string_view::npos &&
         answer.find("\"request_id\":\"") != std::string_view::npos &&
         answer.find("\"retryable\":") != std::string_view::npos;
}

TEST(ServerTest, answers_with_length_date_type_and_request_id) {
  const RunningServer server(echo_routes());
  auto client = server.connect();

  client.send(post("/echo", "hello"));
  const auto answer = client.read_answer();

  EXPECT_TRUE(std::regex_match(
      answer, std::regex("HTTP/1\\.1 200 OK\r\n"
                         "Date: ..., \\d\\d ... \\d{4} \\d\\d:\\d\\d:\\d\\d GMT\r\n"
                         "Content-Type: application/json\r\nContent-Length: 5\r\n"
                         "X-Request-Id: [a-z2-7]{16}-1\r\n\r\nhello")))
      << answer;
}

TEST(ServerTest, gives_the_handler_the_request_taken_apart) {
  Request seen;
  const RunningServer server(
      {route("GET", "/v1/things/{id}", [&](const Request& request, Reply reply) {
        seen = request;
        reply({});
      })});
  auto client = server.connect();

  client.send(get("/v1/things/a%2Fb%20c?x=1%262&y=a+b&&z", "X-Thing: One\r\n"));
  client.read_answer();

  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, "/v1/things/a%2Fb%20c?x=1%262&y=a+b&&z");
  EXPECT_EQ(seen.path, "/v1/things/a/b c");
  EXPECT_EQ(*seen.param("id"), "a/b c");
  EXPECT_EQ(*seen.query_value("x"), "1&2");
  EXPECT_EQ(*seen.query_value("y"), "a b");
  EXPECT_EQ(*seen.query_value("z"), "");
  EXPECT_EQ(*seen.header("x-thing"), "One");
  EXPECT_TRUE(seen.peer.starts_with("127.0.0.1:"));
  EXPECT_FALSE(seen.is_local);
}

TEST(ServerTest, keeps_a_well_formed_request_id_and_replaces_another) {
  const RunningServer server(echo_routes());
  auto client = server.connect();

  client.send(get("/echo", "X-Request-Id: job-7.A_b\r\n"));
  const auto kept = client.read_answer();
  client.send(get("/echo", "X-Request-Id: a<b\r\n"));
  const auto replaced = client.read_answer();

  EXPECT_NE(kept.find("X-Request-Id: job-7.A_b\r\n"), std::string::npos);
  EXPECT_EQ(replaced.find("a<b"), std::string::npos);
  EXPECT_NE(replaced.find("X-Request-Id: "), std::string::npos);
}

TEST(ServerTest, knows_unknown_paths_from_wrong_methods) {
  const RunningServer server(echo_routes());
  auto client = server.connect();

  client.send(get("/nothing"));
  const auto unknown = client.read_answer();
  client.send("DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto wrong = client.read_answer();

  EXPECT_TRUE(is_error(unknown, 404, "not_found")) << unknown;
  EXPECT_TRUE(is_error(wrong, 405, "invalid_argument")) << wrong;
  EXPECT_NE(wrong.find("Allow: GET, HEAD, POST\r\n"), std::string::npos) << wrong;
}

TEST(ServerTest, answers_head_with_the_length_of_get_and_no_body) {
  const RunningServer server({route("GET", "/text", [](const Request&, Reply reply) {
    reply({.status = 200, .body = "12345", .content_type = "text/plain", .headers = {}});
  })});
  auto client = server.connect();

  client.send("HEAD /text HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = client.read_answer(true);
  client.send(get("/text"));
  const auto next = client.read_answer();

  EXPECT_NE(head.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(next.ends_with("\r\n\r\n12345")) << next;
}

TEST(ServerTest, sends_no_body_with_204) {
  const RunningServer server({route("GET", "/none", [](const Request&, Reply reply) {
    reply({.status = 204, .body = "x", .content_type = "text/plain", .headers = {}});
  })});
  auto client = server.connect();

  client.send(get("/none", "Connection: close\r\n"));
  const auto answer = client.read_to_end();

  EXPECT_TRUE(answer.ends_with("Connection: close\r\n\r\n")) << answer;
  EXPECT_EQ(answer.find("Content-"), std::string::npos);
}

TEST(ServerTest, never_lets_a_handler_break_the_framing_of_its_answer) {
  const RunningServer server({
      route("GET", "/split",
            [](const Request&, Reply reply) {
              Response response;
              response.headers.emplace_back("X-Name", "a\r\nSet-Cookie: b");
              reply(std::move(response));
            }),
      route("GET", "/length",
            [](const Request&, Reply reply) {
              Response response;
              response.headers.emplace_back("content-length", "99");
              reply(std::move(response));
            }),
  });
  auto client = server.connect();

  client.send(get("/split"));
  const auto split = client.read_answer();
  client.send(get("/length"));
  const auto length = client.read_answer();

  EXPECT_TRUE(is_error(split, 500, "internal")) << split;
  EXPECT_EQ(split.find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(length.find("99"), std::string::npos) << length;
  EXPECT_EQ(server.log().events(), std::vector<std::string>{"http.bad_answer"});
}

TEST(ServerTest, turns_a_dropped_reply_and_an_exception_into_500) {
  RunningServer server({
      route("GET", "/dropped", [](const Request&, Reply) {}),
      route("GET", "/thrown", [](const Request&, Reply) { throw std::runtime_error("secret"); }),
  });
  auto client = server.connect();

  client.send(get("/dropped"));
  const auto dropped = client.read_answer();
  client.send(get("/thrown"));
  const auto thrown = client.read_answer();
  server.stop();  // The line in the log may come after the answer.

  EXPECT_TRUE(is_error(dropped, 500, "internal")) << dropped;
  EXPECT_TRUE(is_error(thrown, 500, "internal")) << thrown;
  EXPECT_EQ(thrown.find("secret"), std::string::npos);
  EXPECT_EQ(server.log().events(), std::vector<std::string>{"http.handler_threw"});
}

TEST(ServerTest, answers_when_the_reply_comes_from_another_thread_later) {
  ReplyBox box;
  const RunningServer server(
      {route("POST", "/later", [&](const Request&, Reply reply) { box.put(std::move(reply)); })});
  std::vector<RawClient> clients;
  for (int i = 0; i < 32; ++i) clients.push_back(server.connect());

  for (auto& client : clients) client.send(post("/later", "x"));
  for (auto& reply : box.take(clients.size())) {
    reply({.status = 202, .body = "done", .content_type = "text/plain", .headers = {}});
  }

  for (auto& client : clients) EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\ndone"));
}

TEST(ServerTest, answers_pipelined_requests_in_order) {
  const RunningServer server(echo_routes(), {.io_threads = 2});
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += post("/echo", "<" + std::to_string(i) + ">");
  auto client = server.connect();

  client.send(requests);

  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\n<" + std::to_string(i) + ">"));
  }
}

TEST(ServerTest, reads_a_request_however_its_bytes_are_cut) {
  const RunningServer server(echo_routes());
  const auto whole = post("/echo", "plain") +
                     "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3;a=b\r\nchu\r\n4\r\nnked\r\n0\r\nX-Trailer: 1\r\n\r\n" +
                     get("/echo");
  std::mt19937_64 random(7);

  for (int round = 0; round < 30; ++round) {
    auto client = server.connect();
    for (std::size_t at = 0; at < whole.size();) {
      const auto size = 1 + random() % 40;
      client.send(std::string_view(whole).substr(at, size));
      at += size;
    }

    EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\nplain"));
    EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\nchunked"));
    EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
  }
}

TEST(ServerTest, answers_http_1_0_and_closes_unless_asked_to_keep) {
  const RunningServer server(echo_routes());
  auto client = server.connect();

  client.send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto kept = client.read_answer();
  client.send("GET /echo HTTP/1.0\r\n\r\n");
  const auto closed = client.read_to_end();

  EXPECT_NE(kept.find("Connection: keep-alive\r\n"), std::string::npos) << kept;
  EXPECT_NE(closed.find("Connection: close\r\n"), std::string::npos) << closed;
}

TEST(ServerTest, refuses_with_503_and_retry_after_when_the_queue_is_full) {
  std::latch busy(1);
  std::latch go_on(1);
  RunningServer server({route("GET", "/wait",
                              [&](const Request&, Reply reply) {
                                busy.count_down();
                                go_on.wait();
                                reply({});
                              }),
                        route("GET", "/echo", echo)},
                       {.handler_threads = 1, .handler_queue_max = 2});
  auto working = server.connect();
  working.send(get("/wait"));
  busy.wait();

  std::vector<RawClient> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(server.connect());
  for (auto& client : clients) client.send(get("/echo"));
  // Three of five are refused at once, whichever they are; the others wait for the busy thread.
  while (server.server().stats().refused_full < 3) std::this_thread::yield();
  go_on.count_down();

  int refused = 0;
  for (auto& client : clients) {
    const auto answer = client.read_answer();
    refused += is_error(answer, 503, "unavailable") && count(answer, "Retry-After: 1\r\n") == 1;
  }
  EXPECT_EQ(refused, 3);
  EXPECT_TRUE(working.read_answer().starts_with("HTTP/1.1 200"));
}

TEST(ServerTest, what_waits_for_long_leaves_a_thread_to_what_does_not) {
  std::latch released(1);
  std::counting_semaphore<> waiting(0);
  std::vector<Route> routes = {
      {.method = "GET",
       .pattern = "/slow",
       .handler =
           [&](const Request&, Reply reply) {
             waiting.release();
             released.wait();
             reply({.status = 200, .body = "slow"});
           }},
      {.method = "GET",
       .pattern = "/prompt",
       .handler = [](const Request&, Reply reply) { reply({.status = 202, .body = "p"}); },
       .is_prompt = true}};
  RunningServer running(std::move(routes), {.handler_threads = 3});
  std::vector<RawClient> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(running.connect());
    clients.back().send("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  for (int i = 0; i < 2; ++i) waiting.acquire();

  const auto prompt =
      running.last_exchange("GET /prompt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_TRUE(prompt.starts_with("HTTP/1.1 202")) << prompt;
  EXPECT_FALSE(waiting.try_acquire()) << "the third thread took no slow one";
  released.count_down();
  for (auto& client : clients) EXPECT_TRUE(client.read_to_end().ends_with("slow"));
}

TEST(ServerTest, answers_503_at_the_deadline_and_drops_the_late_reply) {
  ReplyBox box;
  const RunningServer server(
      {route("GET", "/never", [&](const Request&, Reply reply) { box.put(std::move(reply)); }),
       route("GET", "/echo", echo)},
      {.request_timeout = milliseconds(30)});
  auto client = server.connect();

  client.send(get("/never"));
  const auto late = client.read_answer();
  for (auto& reply : box.take(1)) {
    reply({.status = 200, .body = "too late", .content_type = "text/plain", .headers = {}});
  }
  client.send(get("/echo"));
  const auto next = client.read_answer();

  EXPECT_TRUE(is_error(late, 503, "deadline_exceeded")) << late;
  EXPECT_EQ(count(late, "Retry-After: 1\r\n"), 1u);
  EXPECT_EQ(next.find("too late"), std::string::npos) << next;
}

TEST(ServerTest, survives_a_reply_that_comes_after_its_end) {
  ReplyBox box;
  RunningServer server(
      {route("GET", "/never", [&](const Request&, Reply reply) { box.put(std::move(reply)); })});
  auto client = server.connect();
  client.send(get("/never"));
  auto replies = box.take(1);

  server.stop();

  replies[0]({});
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(ServerTest, tells_the_observer_about_each_answer) {
  std::mutex mutex;
  std::vector<std::string> told;
  const RunningServer server({route("GET", "/v1/{id}", echo)}, {}, [&](const Exchange& exchange) {
    const std::lock_guard lock(mutex);
    told.push_back(std::string(exchange.method) + " " + std::string(exchange.route) + " " +
                   std::string(exchange.path) + " " + std::string(exchange.request_id) + " " +
                   std::to_string(exchange.status));
  });
  auto client = server.connect();

  client.send(get("/v1/7", "X-Request-Id: a\r\n"));
  client.read_answer();
  client.send(get("/other", "X-Request-Id: b\r\nConnection: close\r\n"));
  client.read_to_end();

  const std::lock_guard lock(mutex);
  EXPECT_EQ(told, (std::vector<std::string>{"GET /v1/{id} /v1/7 a 200", "GET  /other b 404"}));
}

TEST(ServerTest, turns_connections_away_above_their_limit) {
  const RunningServer server(echo_routes(), {.connections_max = 2});
  auto first = server.connect();
  auto second = server.connect();
  first.send(get("/echo"));
  first.read_answer();
  second.send(get("/echo"));
  second.read_answer();

  const auto answer = server.connect().read_to_end();

  EXPECT_TRUE(is_error(answer, 503, "unavailable")) << answer;
  EXPECT_EQ(count(answer, "Retry-After: 1\r\n"), 1u);
}

TEST(ServerTest, says_which_address_is_in_use) {
  RunningServer first(echo_routes());
  for (const std::size_t io_threads : {1, 3}) {
    SystemClock clock;
    SystemRandom random;
    MemoryLog log;
    const auto second =
        make_server(echo_routes(), {.port = first.server().port(), .io_threads = io_threads}, clock,
                    random, log, {});

    const auto started = second->start();

    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(started.error().message.starts_with(
        "127.0.0.1:" + std::to_string(first.server().port()) + " is in use"))
        << started.error().message;
  }
}

TEST(DrainTest, finishes_what_is_in_flight_and_refuses_new_connections) {
  ReplyBox box;
  RunningServer server(
      {route("GET", "/later", [&](const Request&, Reply reply) { box.put(std::move(reply)); }),
       route("GET", "/echo", echo)});
  auto working = server.connect();
  auto idle = server.connect();
  idle.send(get("/echo"));
  idle.read_answer();
  working.send(get("/later"));
  auto replies = box.take(1);

  bool is_drained = false;
  std::jthread draining([&] { is_drained = server.server().drain(std::chrono::seconds(20)); });
  while (server.connect().is_connected()) std::this_thread::yield();
  const auto idle_end = idle.read_to_end();
  replies[0]({});
  const auto answer = working.read_to_end();
  draining.join();

  EXPECT_TRUE(is_drained);
  EXPECT_EQ(idle_end, "");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_EQ(count(answer, "Connection: close\r\n"), 1u);
}

TEST(DrainTest, says_so_when_the_time_is_over) {
  ReplyBox box;
  RunningServer server(
      {route("GET", "/never", [&](const Request&, Reply reply) { box.put(std::move(reply)); })},
      {.write_timeout = milliseconds(40)});
  auto client = server.connect();
  client.send(get("/never"));
  const auto replies = box.take(1);

  EXPECT_FALSE(server.server().drain(milliseconds(50)));
}

TEST(DrainTest, still_answers_the_request_an_idle_connection_was_about_to_send) {
  RunningServer server(echo_routes(), {}, {}, std::make_unique<StoppedClock>());
  auto client = server.connect();
  client.send(get("/echo"));
  client.read_answer();

  std::jthread draining([&] { server.server().drain(std::chrono::seconds(20)); });
  while (server.connect().is_connected()) std::this_thread::yield();
  client.send(post("/echo", "last words"));

  EXPECT_TRUE(client.read_to_end().ends_with("Connection: close\r\n\r\nlast words"));
}

}  // namespace
}  // namespace samtale::http::testing

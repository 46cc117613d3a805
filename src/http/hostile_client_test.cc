// Goal:   F1-F7 of the fault list: no client makes the server misread, hang, grow or fall over.
// Method: as in server_test.cc. "Nothing after is parsed" is tested by a good request
//         behind the bad one: it must not be answered.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <thread>

#include "http/testing/running_server.h"

namespace samtale::http::testing {
namespace {

using std::chrono::milliseconds;
using std::string_literals::operator""s;

constexpr std::string_view kChunked =
    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

int status(std::string_view answer) {
  return answer.size() < 12 ? 0 : std::stoi(std::string(answer.substr(9, 3)));
}

std::size_t answers(std::string_view text) {
  constexpr std::string_view kInEach = "\r\nX-Request-Id: ";
  std::size_t found = 0;
  for (auto at = text.find(kInEach); at != std::string_view::npos;
       at = text.find(kInEach, at + 1)) {
    ++found;
  }
  return found;
}

// The server must answer `bytes` with `expected`, close, and answer nothing that comes after.
void expect_refused(const RunningServer& server, std::string_view bytes, int expected) {
  const auto answer = server.exchange(std::string(bytes) + post("/echo", "smuggled"));

  EXPECT_EQ(status(answer), expected) << bytes << "\n" << answer;
  EXPECT_EQ(answers(answer), 1u) << bytes << "\n" << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("smuggled"), std::string::npos) << answer;
}

TEST(HostileClientTest, f1_refuses_a_declared_body_above_the_limit_before_reading_it) {
  const RunningServer server(echo_routes(), {.body_bytes_max = 1000});

  const auto answer =
      server.exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");

  EXPECT_EQ(status(answer), 413);
}

TEST(HostileClientTest, f1_refuses_a_chunked_body_above_the_limit) {
  const RunningServer server(echo_routes(), {.body_bytes_max = 1000});
  std::string body;
  for (int i = 0; i < 11; ++i) body += "64\r\n" + std::string(100, 'x') + "\r\n";

  const auto answer = server.exchange(std::string(kChunked) + "\r\n" + body);

  EXPECT_EQ(status(answer), 413);
}

TEST(HostileClientTest, f1_takes_a_body_of_exactly_the_limit) {
  const RunningServer server(echo_routes(), {.body_bytes_max = 1000});
  auto client = server.connect();

  client.send(post("/echo", std::string(1000, 'x')));

  EXPECT_EQ(status(client.read_answer()), 200);
}

TEST(HostileClientTest, f1_stops_expanding_a_gzip_bomb_at_the_limit) {
  const RunningServer server(echo_routes(), {.body_bytes_max = 100'000});
  const auto bomb = gzip(std::string(8 << 20, '\0'));
  ASSERT_LT(bomb.size(), 100'000u);

  const auto answer = server.last_exchange(post("/echo", bomb, "Content-Encoding: gzip\r\n"));

  EXPECT_EQ(status(answer), 413);
}

TEST(HostileClientTest, f1_expands_gzip_and_refuses_what_is_none) {
  const RunningServer server(echo_routes());
  const auto packed = gzip("packed ") + gzip("text");
  const std::string header = "Content-Encoding: gzip\r\n";

  const auto good = server.last_exchange(post("/echo", packed, header));
  const auto cut = server.last_exchange(post("/echo", packed.substr(0, packed.size() - 3), header));
  const auto garbage = server.last_exchange(post("/echo", "no gzip at all", header));
  const auto unknown = server.last_exchange(post("/echo", "x", "Content-Encoding: br\r\n"));

  EXPECT_TRUE(good.ends_with("\r\n\r\npacked text")) << good;
  EXPECT_EQ(status(cut), 400);
  EXPECT_EQ(status(garbage), 400);
  EXPECT_EQ(status(unknown), 415);
}

TEST(HostileClientTest, f1_bounds_the_memory_of_all_bodies_together) {
  const RunningServer server(echo_routes(), {.buffered_bytes_max = 100'000});
  auto holding = server.connect();
  holding.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90001\r\n\r\n" +
               std::string(90'000, 'x'));
  std::string answer;
  do {
    answer = server.last_exchange(post("/echo", std::string(20'000, 'y')));
  } while (status(answer) == 200);  // Until the server has read what the first one sent.

  holding.send("x");

  EXPECT_EQ(status(answer), 503) << answer;
  EXPECT_EQ(status(holding.read_answer()), 200);
}

TEST(HostileClientTest, f2_refuses_a_head_above_the_limit) {
  const RunningServer server(echo_routes());
  const std::string start = "GET /echo HTTP/1.1\r\nHost: x\r\n";
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "a:\r\n";

  EXPECT_EQ(status(server.exchange(start + "X-Long: " + std::string(1 << 20, 'x'))), 431);
  EXPECT_EQ(status(server.exchange(start + many)), 431);
  EXPECT_EQ(status(server.exchange(std::string(1 << 20, 'x'))), 431);
  EXPECT_EQ(status(server.exchange("GET /" + std::string(65'536, 'x') + " HTTP/1.1\r\n")), 431);
}

TEST(HostileClientTest, f3_refuses_every_shape_of_request_smuggling) {
  const RunningServer server(echo_routes());
  const std::string start = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::vector<std::string> shapes = {
      start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
      start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      start + "Content-Length: 5, 5\r\n\r\nhello",
      start + "Content-Length: +5\r\n\r\nhello",
      start + "Content-Length: -5\r\n\r\nhello",
      start + "Content-Length: 0x5\r\n\r\nhello",
      start + "Content-Length: \r\n\r\n",
      start + "Content-Length: 99999999999999999999999\r\n\r\n",
      start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start +
          "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
      start + "X-A: b\r\n\tfolded\r\nContent-Length: 0\r\n\r\n",
      start + "X-A: b\rContent-Length: 0\r\n\r\n",
      start + "X-A: b\nContent-Length: 0\r\n\r\n",
      start + "X-A: b\0c\r\nContent-Length: 0\r\n\r\n"s,
      start + "X A: b\r\n\r\n",
      start + ": b\r\n\r\n",
      start + " Content-Length: 0\r\n\r\n",
      start + "no colon\r\n\r\n",
      "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n",
      "POST /echo HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
      "POST  /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
      "POST /echo  HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
      "POST\t/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
      "PO(ST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
      "POST /echo\r\nHost: x\r\n\r\n",
      "\r\n\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
      "\x16\x03\x01\x02\n\x01\r\n\r\n",
  };

  for (const auto& shape : shapes) expect_refused(server, shape, 400);
}

TEST(HostileClientTest, f3_refuses_chunks_that_others_may_read_differently) {
  const RunningServer server(echo_routes());
  for (const std::string_view chunks :
       {"10000000000000000\r\nx\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
        "-1\r\nx\r\n0\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n", "0x1\r\nx\r\n0\r\n\r\n",
        "1 \nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n", "1\r\nxy\r\n0\r\n\r\n", "1\r\nx0\r\n\r\n",
        "\r\n1\r\nx\r\n0\r\n\r\n", "1;a=b\nc\r\nx\r\n0\r\n\r\n", "1;\x01\r\nx\r\n0\r\n\r\n",
        "g\r\n\r\n", "1\r\nx\r\n0\r\nbad trailer\r\n\r\n", "1\r\nx\r\n0;a\nb\r\n\r\n"}) {
    expect_refused(server, std::string(kChunked) + "\r\n" + std::string(chunks), 400);
  }
}

TEST(HostileClientTest, f3_bounds_chunk_headers_and_trailers) {
  const RunningServer server(echo_routes());
  const auto start = std::string(kChunked) + "\r\n";

  EXPECT_EQ(status(server.exchange(start + "1;a=" + std::string(100'000, 'x'))), 400);
  EXPECT_EQ(status(server.exchange(start + "0\r\nX-T: " + std::string(100'000, 'x'))), 400);
}

TEST(HostileClientTest, f4_closes_on_slow_heads_bodies_and_silence) {
  const RunningServer server(echo_routes(), {.header_timeout = milliseconds(40),
                                             .body_timeout = milliseconds(40),
                                             .idle_timeout = milliseconds(40)});
  auto idle = server.connect();
  idle.send(get("/echo"));
  idle.read_answer();

  EXPECT_EQ(status(server.exchange("GET /echo HTTP/1.1\r\nHost")), 408);
  EXPECT_EQ(
      status(server.exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")),
      408);
  EXPECT_EQ(server.exchange(""), "");
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST(HostileClientTest, f4_dripping_bytes_does_not_extend_the_deadline_of_a_head) {
  const RunningServer server(
      echo_routes(), {.header_timeout = milliseconds(60), .write_timeout = milliseconds(60)});
  auto client = server.connect();

  while (client.send("a")) std::this_thread::yield();  // Ends when the server has closed.

  SUCCEED();
}

TEST(HostileClientTest, f4_drops_a_client_that_does_not_read) {
  RunningServer server({route("GET", "/large",
                              [](const Request&, Reply reply) {
                                Response response;
                                response.body.assign(64 << 20, 'x');
                                reply(std::move(response));
                              }),
                        route("GET", "/echo", echo)},
                       {.write_timeout = milliseconds(40)});
  auto slow = server.connect();
  slow.send(get("/large"));
  const auto head = slow.read_until("\r\n\r\n");

  while (server.server().stats().connections > 0) {
    std::this_thread::yield();
  }

  EXPECT_EQ(status(head), 200);
  EXPECT_LT(slow.read_to_end().size(), 64u << 20);
}

TEST(HostileClientTest, f4_two_hundred_slow_clients_leave_the_others_alone) {
  const RunningServer server(echo_routes());
  std::vector<RawClient> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(server.connect());
    slow.back().send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx");
  }

  const auto answer = server.last_exchange(post("/echo", "quick"));

  EXPECT_TRUE(answer.ends_with("\r\n\r\nquick")) << answer;
}

TEST(HostileClientTest, a8_answers_503_without_descriptors_and_recovers) {
  const RunningServer server(echo_routes());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::dup(STDERR_FILENO);
  ::close(lowest_free);
  const rlimit room_for_the_client{.rlim_cur = static_cast<rlim_t>(lowest_free) + 1,
                                   .rlim_max = before.rlim_max};

  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &room_for_the_client), 0);
  const auto without = server.exchange("");
  const auto again = server.exchange("");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  const auto after = server.last_exchange(get("/echo"));

  EXPECT_EQ(status(without), 503) << without;
  EXPECT_EQ(status(again), 503) << again;
  EXPECT_EQ(status(after), 200) << after;
  EXPECT_EQ(server.log().events().front(), "http.no_descriptors");
}

TEST(HostileClientTest, f5_answers_a_client_that_closed_its_half) {
  const RunningServer server(echo_routes());

  EXPECT_TRUE(server.last_exchange(post("/echo", "all")).ends_with("\r\n\r\nall"));
  EXPECT_EQ(status(server.last_exchange(post("/echo", "all").substr(0, 50))), 400);
}

TEST(HostileClientTest, f5_says_continue_only_before_a_body_it_will_take) {
  const RunningServer server(echo_routes(), {.body_bytes_max = 10});
  const std::string start = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n";
  auto client = server.connect();

  client.send(start + "Content-Length: 5\r\n\r\n");
  const auto interim = client.read_answer();
  client.send("hello");
  const auto answer = client.read_answer();

  EXPECT_EQ(interim, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nhello")) << answer;
  EXPECT_EQ(status(server.exchange(start + "Content-Length: 11\r\n\r\n")), 413);
  EXPECT_EQ(status(server.exchange(
                "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n")),
            417);
}

TEST(HostileClientTest, f5_has_an_answer_for_every_method_and_upgrade) {
  const RunningServer server(echo_routes());
  auto client = server.connect();
  for (const std::string_view line : {"OPTIONS /echo", "OPTIONS *", "CONNECT example.com:443",
                                      "TRACE /echo", "PATCH /echo", "BREW /echo"}) {
    client.send(std::string(line) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = client.read_answer();

    EXPECT_EQ(status(answer), 405) << line;
    EXPECT_NE(answer.find("Allow: GET, HEAD, POST\r\n"), std::string::npos) << answer;
  }

  client.send(get("/echo", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_EQ(status(client.read_answer()), 200);  // Served as if it had not asked.
  EXPECT_EQ(status(server.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), 505);
}

TEST(HostileClientTest, f6_refuses_paths_that_are_no_paths) {
  const RunningServer server({route("GET", "/v1/{id}", echo), route("GET", "/", echo)});
  auto client = server.connect();
  for (const std::string_view path :
       {"/v1/..", "/../etc/passwd", "/v1/%2e%2e", "/v1/.", "/v1/%2E", "/v1/a%00b", "/v1/%c0%ae",
        "/v1/%ed%a0%80", "/v1/%ff", "/v1/%4", "/v1/%", "/v1/%zz", "/v1/a#b", "/v1/a?q=%ff",
        "/v1/a?q=%0", "v1/a", "?a"}) {
    client.send(get(path));
    EXPECT_EQ(status(client.read_answer()), 400) << path;
  }
  for (const std::string_view path : {"//v1/a", "/v1/", "/v1/a/", "/v1//", "/v1/a/b", "/v1%2fa"}) {
    client.send(get(path));
    EXPECT_EQ(status(client.read_answer()), 404) << path;
  }
  for (const std::string_view path : {"/v1/...", "/v1/%2e%2e%2e", "/v1/%E4%BD%A0", "/v1/a%252e",
                                      "http://host/v1/a", "http://host", "HTTPS://host:1/v1/a?b"}) {
    client.send(get(path));
    EXPECT_EQ(status(client.read_answer()), 200) << path;
  }
}

TEST(HostileClientTest, f7_ignores_ranges_however_many) {
  const RunningServer server(echo_routes());
  auto client = server.connect();
  std::string ranges = "Range: bytes=";
  for (int i = 0; i < 1'500; ++i) ranges += "0-" + std::to_string(i) + ",";

  client.send(get("/echo", ranges + "0-1\r\n"));

  EXPECT_EQ(status(client.read_answer()), 200);
}

}  // namespace
}  // namespace samtale::http::testing

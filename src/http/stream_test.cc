// Goal:   bodies that are handled while they arrive: pieces, back-pressure, limits, broken ends.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>

#include "http/testing/running_server.h"

namespace samtale::http::testing {
namespace {

using std::chrono::milliseconds;
using Done = std::move_only_function<void(std::string)>;

// What a stream was given.
struct Seen {
  std::mutex mutex;
  std::string text;
  std::vector<std::size_t> sizes;
  std::size_t ends_inside_a_line = 0;
  std::atomic<int> alive = 0;
};

// Answers each piece with the number of its lines; "drop" drops the answer, "" gives none.
class CountingStream final : public BodyStream {
 public:
  explicit CountingStream(Seen& seen) : seen_(seen) { ++seen_.alive; }
  ~CountingStream() override { --seen_.alive; }

  void piece(std::string_view lines, bool is_last, Done done) override {
    {
      const std::lock_guard lock(seen_.mutex);
      seen_.text += lines;
      seen_.sizes.push_back(lines.size());
      seen_.ends_inside_a_line += !is_last && !lines.ends_with('\n');
    }
    if (lines == "drop\n") return;
    if (lines == "throw\n") throw std::runtime_error("no");
    done(std::to_string(std::count(lines.begin(), lines.end(), '\n')) +
         (is_last ? " end\n" : "\n"));
  }

 private:
  Seen& seen_;
};

Route counting(Seen& seen) {
  Route out;
  out.method = "POST";
  out.pattern = "/lines";
  out.handler = echo;
  out.stream = [&seen](const Request& head) {
    StreamDecision decision;
    if (head.header("x-refuse")) {
      decision.response.status = 401;
      return decision;
    }
    decision.stream = std::make_unique<CountingStream>(seen);
    decision.response.content_type = "application/x-ndjson";
    return decision;
  };
  return out;
}

constexpr std::string_view kHead =
    "POST /lines HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson; charset=utf-8\r\n";

std::string chunk(std::string_view text) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + std::string(text) + "\r\n";
}

TEST(StreamTest, answers_each_piece_before_the_next_is_sent) {
  Seen seen;
  const RunningServer server({counting(seen)});
  auto client = server.connect();

  client.send(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n" + chunk("{}\n{}\n{"));
  const auto head = client.read_until("\r\n\r\n");
  const auto first = client.read_until("2\n\r\n");
  client.send(chunk("}\n"));
  const auto second = client.read_until("1\n\r\n");
  client.send(chunk("{}") + "0\r\n\r\n");
  const auto last = client.read_until("0\r\n\r\n");

  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
  EXPECT_NE(head.find("Content-Type: application/x-ndjson\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << head;
  EXPECT_EQ(first, "2\r\n2\n\r\n");
  EXPECT_EQ(second, "2\r\n1\n\r\n");
  EXPECT_EQ(last, "6\r\n0 end\n\r\n0\r\n\r\n");
  EXPECT_EQ(seen.text, "{}\n{}\n{}\n{}");
}

TEST(StreamTest, leaves_the_connection_open_for_the_next_request) {
  Seen seen;
  const RunningServer server({counting(seen)});
  auto client = server.connect();

  client.send(std::string(kHead) + "Content-Length: 2\r\n\r\na\n" + post("/lines", "whole"));
  client.read_until("0\r\n\r\n");

  EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\nwhole"));
}

TEST(StreamTest, gives_an_empty_body_one_empty_last_piece) {
  Seen seen;
  const RunningServer server({counting(seen)});
  auto client = server.connect();

  client.send(std::string(kHead) + "Content-Length: 0\r\n\r\n");

  EXPECT_TRUE(client.read_until("0\r\n\r\n").ends_with("6\r\n0 end\n\r\n0\r\n\r\n"));
}

TEST(StreamTest, cuts_a_large_body_at_line_ends_into_pieces_of_a_mebibyte) {
  Seen seen;
  const RunningServer server({counting(seen)});
  std::string body;
  for (int i = 0; body.size() < (8u << 20); ++i)
    body.append(static_cast<std::size_t>(i % 3000), 'x') += '\n';
  const std::string long_line(3u << 20, 'y');
  body += long_line + "\n" + body.substr(0, 1u << 20);
  auto client = server.connect();

  client.send(std::string(kHead) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
              body);
  client.read_until(" end\n");

  EXPECT_EQ(seen.text, body);
  EXPECT_EQ(seen.ends_inside_a_line, 0u);
  std::sort(seen.sizes.begin(), seen.sizes.end());
  EXPECT_GE(seen.sizes.back(), long_line.size());
  EXPECT_LE(seen.sizes[seen.sizes.size() - 2], 1u << 20);
}

TEST(StreamTest, refuses_from_the_head_before_the_body_is_read) {
  Seen seen;
  const RunningServer server({counting(seen)});

  const auto answer = server.exchange(std::string(kHead) +
                                      "X-Refuse: 1\r\nExpect: 100-continue\r\nContent-Length: "
                                      "1000\r\n\r\n");

  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401")) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
}

TEST(StreamTest, expands_gzip_within_the_limit_of_the_stream) {
  Seen seen;
  const RunningServer server({counting(seen)}, {.stream_bytes_max = 3u << 20});
  const auto send = [&](std::size_t size) {
    std::string text;
    while (text.size() < size) text += std::string(99, 'x') + "\n";
    std::string packed(compressBound(text.size()) + 64, '\0');
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(text.data());
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return server.last_exchange(std::string(kHead) + "Content-Encoding: gzip\r\nContent-Length: " +
                                std::to_string(packed.size()) + "\r\n\r\n" + packed);
  };

  const auto good = send(2'900'000);
  const auto size = seen.text.size();
  const auto bad = send(4'000'000);

  EXPECT_EQ(size, 2'900'000u);
  EXPECT_TRUE(good.ends_with("\r\n0\r\n\r\n")) << good;
  EXPECT_NE(bad.find("{\"code\":\"invalid_argument\""), std::string::npos) << bad;
  EXPECT_FALSE(bad.ends_with("\r\n0\r\n\r\n"));
}

TEST(StreamTest, refuses_a_line_above_the_limit_of_a_body) {
  Seen seen;
  const RunningServer server({counting(seen)}, {.body_bytes_max = 100'000});

  const auto answer = server.exchange(std::string(kHead) + "Content-Length: 10000000\r\n\r\n" +
                                      std::string(200'000, 'x'));

  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413")) << answer;
}

TEST(StreamTest, ends_without_a_last_chunk_when_it_breaks_after_the_head) {
  Seen seen;
  const RunningServer server({counting(seen)});
  for (const std::string_view end : {"drop\n", "throw\n"}) {
    auto client = server.connect();
    client.send(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n" + chunk("{}\n"));
    client.read_until("1\n\r\n");

    client.send(chunk(end));
    const auto rest = client.read_to_end();

    EXPECT_NE(rest.find("{\"code\":\"internal\""), std::string::npos) << rest;
    EXPECT_FALSE(rest.ends_with("\r\n0\r\n\r\n"));
  }
}

TEST(StreamTest, breaks_when_the_client_stops_in_the_middle) {
  Seen seen;
  const RunningServer server({counting(seen)}, {.body_timeout = milliseconds(40)});
  auto silent = server.connect();
  auto gone = server.connect();

  silent.send(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n" + chunk("{}\n{"));
  gone.send(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n" + chunk("{}\n{"));
  gone.end_sending();

  EXPECT_NE(silent.read_to_end().find("\"code\":\"deadline_exceeded\""), std::string::npos);
  EXPECT_NE(gone.read_to_end().find("ended inside a request"), std::string::npos);
}

TEST(StreamTest, lives_until_its_last_answer_and_not_longer) {
  // A stream whose answer comes after the client, and the server, have gone.
  struct HeldStream final : BodyStream {
    HeldStream(Seen& the_seen, std::mutex& mutex, std::vector<Done>& held)
        : seen(the_seen), held_mutex(mutex), held_(held) {
      ++seen.alive;
    }
    ~HeldStream() override { --seen.alive; }
    void piece(std::string_view, bool, Done done) override {
      const std::lock_guard lock(held_mutex);
      held_.push_back(std::move(done));
    }
    Seen& seen;
    std::mutex& held_mutex;
    std::vector<Done>& held_;
  };
  Seen seen;
  std::mutex mutex;
  std::vector<Done> held;
  Route held_route = counting(seen);
  held_route.stream = [&](const Request&) {
    StreamDecision decision;
    decision.stream = std::make_unique<HeldStream>(seen, mutex, held);
    return decision;
  };
  RunningServer server({held_route}, {.request_timeout = milliseconds(30)});

  const auto answer = server.last_exchange(std::string(kHead) + "Content-Length: 3\r\n\r\n{}\n");
  server.stop();

  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_EQ(seen.alive, 1);
  held.at(0)("late");
  held.clear();
  EXPECT_EQ(seen.alive, 0);
}

TEST(StreamTest, sends_http_1_0_the_answers_without_chunks) {
  Seen seen;
  const RunningServer server({counting(seen)});

  const auto answer = server.exchange(
      "POST /lines HTTP/1.0\r\nContent-Type: application/x-ndjson\r\nContent-Length: 2\r\n\r\na\n");

  EXPECT_TRUE(answer.ends_with("Connection: close\r\n\r\n1 end\n")) << answer;
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
}

TEST(DispatchTest, runs_a_stream_piece_by_piece_and_joins_the_answers) {
  Seen seen;
  const std::vector<Route> routes = {counting(seen)};
  Request request;
  request.method = "POST";
  request.target = "/lines";
  request.headers = {{"content-type", "application/x-ndjson"}};
  while (request.body.size() < (5u << 19)) request.body += "line\n";

  const auto response = dispatch(routes, request);

  EXPECT_EQ(seen.text, request.body);
  EXPECT_EQ(seen.sizes.size(), 3u);
  EXPECT_TRUE(response.body.ends_with(" end\n"));
}

TEST(DispatchTest, answers_like_the_server) {
  const auto routes = echo_routes();
  Request request;
  request.method = "POST";
  request.target = "/echo?a=b";
  request.body = "hello";
  Request unknown;
  unknown.method = "GET";
  unknown.target = "/none";

  EXPECT_EQ(dispatch(routes, request).body, "hello");
  EXPECT_EQ(dispatch(routes, unknown).status, 404);
  EXPECT_EQ(dispatch({route("GET", "/none", [](const Request&, Reply) {})}, unknown).status, 500);
}

}  // namespace
}  // namespace samtale::http::testing

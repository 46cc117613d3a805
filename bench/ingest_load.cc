// Rooms: base
//
// Sends signed Standard Webhooks over keep-alive connections, one outstanding on each, and times
// the answers; or measures what the disk allows. Bounded in time and count. Used by bench/ingest.
//
//   ingest_load send PORT PATH SECRET CONNECTIONS SECONDS BYTES MAX_EVENTS FIRST_ID
//                    CONVERSATIONS
//   ingest_load ceiling FOLDER GROUP SECONDS BYTES
//
// "send" builds and signs what it will send before the clock starts, so that on a machine shared
// with the server little but the server's own work is measured.
//
// "ceiling" appends GROUP records of BYTES to a preallocated file and calls fdatasync, in a loop:
// the most that any log can make durable when GROUP senders wait for their answers. The physical
// floor is the disk's flush.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto place = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place),
                   values.end());
  return values[place];
}

struct Connection {
  int fd = -1;
  std::string out;
  std::size_t sent = 0;
  std::string in;
  Clock::time_point begin;
};

struct Load {
  std::string path;
  std::string key;
  std::size_t bytes = 0;
  long next_id = 0;
  long conversations = 0;  // The events are about so many, in turn.
  std::string filler;
  std::vector<std::string> prepared;  // The next ones, the last of them first.

  void prepare(long count) {
    prepared.clear();
    for (long i = 0; i < count; ++i) prepared.push_back(make_request());
    std::ranges::reverse(prepared);
  }

  std::string request() {
    if (prepared.empty()) return make_request();
    auto next = std::move(prepared.back());
    prepared.pop_back();
    return next;
  }

  // One event: a conversation of two turns, padded to `bytes`.
  std::string make_request() {
    const auto id = std::to_string(next_id++);
    std::string body = R"({"type":"conversation.ended","data":{"id":"load-)" +
                       std::to_string(next_id % conversations) +
                       R"(","channel":"chat","language":"en","turns":[{"speaker":"customer",)"
                       R"("text":"My parcel number )" +
                       id + R"( never arrived, can you look?"},{"speaker":"agent","text":")";
    const std::string tail = R"("}]}})";
    if (body.size() + tail.size() < bytes) {
      body.append(filler, 0, bytes - body.size() - tail.size());
    }
    body += tail;
    const auto now = std::to_string(std::time(nullptr));
    const auto name = "msg_" + id;
    const auto seal = samtale::base64(samtale::hmac_sha256(key, name + "." + now + "." + body));
    return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
           "webhook-id: " + name + "\r\nwebhook-timestamp: " + now + "\r\nwebhook-signature: v1," +
           seal + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
};

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SAMTALE_CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
                "the server listens");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

// The status if `in` holds a whole answer (which is then removed); 0 if not yet.
int take_answer(std::string& in) {
  const auto head = in.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  const auto at = in.find("Content-Length: ");
  SAMTALE_CHECK(at != std::string::npos && at < head, "every answer has a length");
  const auto length = std::strtoul(in.c_str() + at + 16, nullptr, 10);
  if (in.size() < head + 4 + length) return 0;
  const int status = std::atoi(in.c_str() + 9);
  in.erase(0, head + 4 + length);
  return status;
}

void send_some(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const auto put = ::send(connection.fd, connection.out.data() + connection.sent,
                            connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (put <= 0) return;
    connection.sent += static_cast<std::size_t>(put);
  }
}

void start_request(Connection& connection, Load& load) {
  connection.out = load.request();
  connection.sent = 0;
  connection.begin = Clock::now();
  send_some(connection);
}

int run_send(char** argv) {
  const int port = std::atoi(argv[0]);
  Load load;
  load.path = argv[1];
  std::string_view secret = argv[2];
  if (secret.starts_with("whsec_")) secret.remove_prefix(6);
  load.key = samtale::unbase64(secret).value_or("");
  const auto connections = static_cast<std::size_t>(std::atoi(argv[3]));
  const double limit_s = std::atof(argv[4]);
  load.bytes = static_cast<std::size_t>(std::atol(argv[5]));
  const long events_max = std::atol(argv[6]);
  load.next_id = std::atol(argv[7]);
  load.conversations = std::atol(argv[8]);
  while (load.filler.size() < load.bytes) {
    load.filler += "I see it left our warehouse on Monday and waits at the depot; sorry for that. ";
  }

  // More than any server sends back on such a machine; the rest would be made as it goes.
  constexpr double kPreparedPerSecond = 16'000;
  load.prepare(std::min(events_max, static_cast<long>(limit_s * kPreparedPerSecond)));

  const int poll = epoll_create1(0);
  std::vector<Connection> all(connections);
  const auto begin = Clock::now();
  long started = 0;
  for (std::size_t i = 0; i < connections; ++i) {
    all[i].fd = connect_to(port);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = i}};
    epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    start_request(all[i], load);
    ++started;
  }
  long accepted = 0;
  long refused = 0;
  std::size_t open = connections;
  std::vector<double> latencies;
  std::vector<epoll_event> events(connections);
  char buffer[65536];
  while (open > 0) {
    const int ready = epoll_wait(poll, events.data(), static_cast<int>(events.size()), 10'000);
    SAMTALE_CHECK(ready > 0, "the server answers within ten seconds");
    for (int i = 0; i < ready; ++i) {
      auto& connection = all[events[static_cast<std::size_t>(i)].data.u64];
      send_some(connection);
      for (ssize_t got = 0; (got = recv(connection.fd, buffer, sizeof buffer, 0)) > 0;) {
        connection.in.append(buffer, static_cast<std::size_t>(got));
      }
      const int status = take_answer(connection.in);
      if (status == 0) continue;
      latencies.push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - connection.begin).count());
      ++(status == 202 ? accepted : refused);
      if (seconds_since(begin) < limit_s && started < events_max) {
        start_request(connection, load);
        ++started;
      } else {
        --open;
      }
    }
  }
  const double took = seconds_since(begin);
  std::printf(
      "{\"accepted\":%ld,\"refused\":%ld,\"seconds\":%.3f,\"accepts_per_s\":%.0f,"
      "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
      accepted, refused, took, static_cast<double>(accepted) / took, percentile(latencies, .5),
      percentile(latencies, .99), percentile(latencies, 1));
  return 0;
}

int run_ceiling(char** argv) {
  const std::string path = std::string(argv[0]) + "/ceiling.tmp";
  const auto group = static_cast<std::size_t>(std::atoi(argv[1]));
  const double limit_s = std::atof(argv[2]);
  const auto block = group * static_cast<std::size_t>(std::atol(argv[3]));
  constexpr std::size_t kFile = std::size_t{64} << 20;
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600);
  SAMTALE_CHECK(fd >= 0, "the folder can be written to");
  const std::string zeros(std::size_t{1} << 20, '\0');
  for (std::size_t at = 0; at < kFile; at += zeros.size()) {
    SAMTALE_CHECK(write(fd, zeros.data(), zeros.size()) > 0, "there is room on the disk");
  }
  fsync(fd);
  const std::string bytes(block, 'x');
  long groups = 0;
  std::vector<double> syncs;
  const auto begin = Clock::now();
  while (seconds_since(begin) < limit_s) {
    const auto at = static_cast<std::size_t>(groups) % (kFile / block) * block;
    const auto start = Clock::now();
    SAMTALE_CHECK(pwrite(fd, bytes.data(), block, static_cast<off_t>(at)) > 0, "the disk writes");
    SAMTALE_CHECK(fdatasync(fd) == 0, "the disk flushes");
    syncs.push_back(seconds_since(start) * 1e3);
    ++groups;
  }
  const double took = seconds_since(begin);
  close(fd);
  unlink(path.c_str());
  std::printf("{\"ceiling_per_s\":%.0f,\"sync_p50_ms\":%.3f,\"sync_p99_ms\":%.3f}\n",
              static_cast<double>(groups) * static_cast<double>(group) / took,
              percentile(syncs, .5), percentile(syncs, .99));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 11 && std::strcmp(argv[1], "send") == 0) return run_send(argv + 2);
  if (argc == 6 && std::strcmp(argv[1], "ceiling") == 0) return run_ceiling(argv + 2);
  std::fputs(
      "usage: ingest_load send PORT PATH SECRET CONNECTIONS SECONDS BYTES MAX_EVENTS FIRST_ID "
      "CONVERSATIONS\n"
      "       ingest_load ceiling FOLDER GROUP SECONDS BYTES\n",
      stderr);
  return 2;
}

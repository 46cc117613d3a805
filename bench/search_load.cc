// Rooms: base postgres
//
// Asks for the nearest of each vector of a file, from several clients at once, each over one
// connection that stays, and times the answers. Used by bench/pgvector_peer.py.
//
//   search_load http|http-new PORT KEY FILE DIMENSION CLIENTS SECONDS
//   search_load postgres URL SQL SETTINGS FILE DIMENSION CLIENTS SECONDS
//
// FILE has DIMENSION little-endian 32-bit floats a query. "http" sends POST /v1/search with the
// vector; "http-new" one that was never asked for, its first number moved by a ten-thousandth at
// the most. "postgres" runs SETTINGS, prepares SQL, whose $1 is the vector as pgvector's binary and
// whose first column is an id, and executes that. Everything that is sent is made before the clock
// starts. Prints {"queries_per_s", "p50_ms", "p99_ms", "answers": ids found, a list a query}.
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"

namespace {

using Clock = std::chrono::steady_clock;
using Ids = std::vector<std::string>;

class Peer {
 public:
  virtual ~Peer() = default;
  virtual Ids ask(std::size_t query) = 0;
};

std::vector<std::vector<float>> read_vectors(const char* path, std::size_t dimension) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const auto row_bytes = dimension * sizeof(float);
  SAMTALE_CHECK(!bytes.empty() && bytes.size() % row_bytes == 0, "the file has whole vectors");
  std::vector<std::vector<float>> vectors(bytes.size() / row_bytes);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    vectors[i].resize(dimension);
    std::memcpy(vectors[i].data(), bytes.data() + i * row_bytes, row_bytes);
  }
  return vectors;
}

constexpr std::string_view kBodyBegin = R"({"limit":10,"chunks":1,"mode":"vector","vector":[)";
constexpr int kFirstWidth = 16;

// Always as wide, so that another can take its place.
std::string first_number(float value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%*.12f", kFirstWidth, static_cast<double>(value));
  return digits;
}

std::string http_request(std::string_view key, const std::vector<float>& vector) {
  std::string body(kBodyBegin);
  body += first_number(vector[0]) + ',';
  char digits[32];
  for (const float value : std::span(vector).subspan(1)) {
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    body.append(digits, end.ptr) += ',';
  }
  body.back() = ']';
  body += '}';
  return "POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " +
         std::string(key) +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class HttpPeer final : public Peer {
 public:
  HttpPeer(int port, const std::vector<std::string>& requests, bool is_new)
      : requests_(requests), is_new_(is_new), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SAMTALE_CHECK(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
                  "the server listens");
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  ~HttpPeer() override { ::close(fd_); }

  Ids ask(std::size_t query) override {
    auto request = requests_[query];
    if (is_new_) move_first_number(request);
    for (std::size_t sent = 0; sent < request.size();) {
      const auto put = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      SAMTALE_CHECK(put > 0, "the server keeps the connection");
      sent += static_cast<std::size_t>(put);
    }
    const auto body = read_answer();
    Ids ids;
    constexpr std::string_view kId = R"("external_id":")";
    for (auto at = body.find(kId); at != std::string::npos; at = body.find(kId, at)) {
      at += kId.size();
      ids.push_back(body.substr(at, body.find('"', at) - at));
    }
    return ids;
  }

 private:
  void move_first_number(std::string& request) {
    const auto at = request.find(kBodyBegin) + kBodyBegin.size();
    std::uniform_real_distribution<float> moved(0, 1e-4F);
    const auto value = std::strtof(request.c_str() + at, nullptr) + moved(random_);
    request.replace(at, kFirstWidth, first_number(value));
  }

  std::string read_answer() {
    std::string in;
    std::size_t end = 0;  // Of the answer, once its head is there.
    std::size_t head = 0;
    char buffer[65536];
    while (end == 0 || in.size() < end) {
      const auto got = ::recv(fd_, buffer, sizeof buffer, 0);
      SAMTALE_CHECK(got > 0, "the server answers");
      in.append(buffer, static_cast<std::size_t>(got));
      const auto head_end = in.find("\r\n\r\n");
      if (end != 0 || head_end == std::string::npos) continue;
      const auto length = in.find("Content-Length: ");
      SAMTALE_CHECK(in.starts_with("HTTP/1.1 200") && length < head_end, "the search succeeds");
      head = head_end + 4;
      end = head + std::strtoul(in.c_str() + length + 16, nullptr, 10);
    }
    return in.substr(head);
  }

  const std::vector<std::string>& requests_;
  const bool is_new_;
  std::mt19937 random_{std::random_device()()};
  const int fd_;
};

template <class Number>
void append_big_endian(std::string& bytes, Number value) {
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> shift & 0xFF);
  }
}

// As pgvector's vector_recv takes it: dimension, nothing, the floats.
std::string pgvector_binary(const std::vector<float>& vector) {
  std::string bytes;
  append_big_endian(bytes, static_cast<std::uint16_t>(vector.size()));
  append_big_endian(bytes, std::uint16_t{0});
  for (const float value : vector) append_big_endian(bytes, std::bit_cast<std::uint32_t>(value));
  return bytes;
}

class PostgresPeer final : public Peer {
 public:
  PostgresPeer(const char* url, const char* sql, const char* settings,
               const std::vector<std::string>& queries)
      : queries_(queries), connection_(::PQconnectdb(url), &::PQfinish) {
    SAMTALE_CHECK(::PQstatus(connection_.get()) == CONNECTION_OK, "the database answers");
    expect(Answer(::PQexec(connection_.get(), settings), &::PQclear), PGRES_COMMAND_OK);
    expect(Answer(::PQprepare(connection_.get(), "nearest", sql, 0, nullptr), &::PQclear),
           PGRES_COMMAND_OK);
  }

  Ids ask(std::size_t query) override {
    const char* const value = queries_[query].data();
    const int length = static_cast<int>(queries_[query].size());
    const int is_binary = 1;
    const Answer answer(
        ::PQexecPrepared(connection_.get(), "nearest", 1, &value, &length, &is_binary, is_binary),
        &::PQclear);
    expect(answer, PGRES_TUPLES_OK);
    Ids ids;
    for (int i = 0; i < ::PQntuples(answer.get()); ++i) {
      ids.emplace_back(::PQgetvalue(answer.get(), i, 0),
                       static_cast<std::size_t>(::PQgetlength(answer.get(), i, 0)));
    }
    return ids;
  }

 private:
  using Answer = std::unique_ptr<PGresult, decltype(&::PQclear)>;

  void expect(const Answer& answer, ExecStatusType status) const {
    if (::PQresultStatus(answer.get()) == status) return;
    std::fputs(::PQerrorMessage(connection_.get()), stderr);
    std::exit(1);
  }

  const std::vector<std::string>& queries_;
  const std::unique_ptr<PGconn, decltype(&::PQfinish)> connection_;
};

struct Load {
  std::size_t queries = 0;
  std::size_t clients = 0;
  double seconds = 0;
  std::function<std::unique_ptr<Peer>()> connect;
};

double percentile(std::vector<double>& values, double share) {
  const auto place = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place),
                   values.end());
  return values[place];
}

// Each query once, which also warms what is asked; then all clients, for so long and at least once.
int measure(const Load& load) {
  std::vector<Ids> answers;
  const auto first = load.connect();
  for (std::size_t i = 0; i < load.queries; ++i) answers.push_back(first->ask(i));

  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < load.clients; ++i) {
    peers.push_back(load.connect());
    (void)peers.back()->ask(0);
  }
  std::vector<std::vector<double>> took_ms(load.clients);
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration<double>(load.seconds);
  for (std::size_t i = 0; i < load.clients; ++i) {
    threads.emplace_back([&, i] {
      auto before = begin;
      do {
        (void)peers[i]->ask(next++ % load.queries);
        const auto after = Clock::now();
        took_ms[i].push_back(std::chrono::duration<double, std::milli>(after - before).count());
        before = after;
      } while (before < end);
    });
  }
  threads.clear();
  const std::chrono::duration<double> took = Clock::now() - begin;

  std::vector<double> all_ms;
  for (const auto& some : took_ms) all_ms.insert(all_ms.end(), some.begin(), some.end());
  std::printf(R"({"queries_per_s":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,"answers":[)",
              static_cast<double>(all_ms.size()) / took.count(), percentile(all_ms, .5),
              percentile(all_ms, .99));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    std::fputs(i == 0 ? "[" : ",[", stdout);
    for (std::size_t k = 0; k < answers[i].size(); ++k) {
      std::printf("%s\"%s\"", k == 0 ? "" : ",", answers[i][k].c_str());
    }
    std::fputs("]", stdout);
  }
  std::puts("]}");
  return 0;
}

// `words`: FILE DIMENSION CLIENTS SECONDS.
Load load_of(char** words, const std::function<std::string(const std::vector<float>&)>& encode,
             std::vector<std::string>& queries) {
  const auto dimension = static_cast<std::size_t>(std::atol(words[1]));
  for (const auto& vector : read_vectors(words[0], dimension)) queries.push_back(encode(vector));
  return {.queries = queries.size(),
          .clients = static_cast<std::size_t>(std::atol(words[2])),
          .seconds = std::atof(words[3]),
          .connect = {}};
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> queries;
  const bool is_new = std::strcmp(argc > 1 ? argv[1] : "", "http-new") == 0;
  if (argc == 8 && (is_new || std::strcmp(argv[1], "http") == 0)) {
    auto load = load_of(
        argv + 4, [&](const auto& vector) { return http_request(argv[3], vector); }, queries);
    load.connect = [&] { return std::make_unique<HttpPeer>(std::atoi(argv[2]), queries, is_new); };
    return measure(load);
  }
  if (argc == 9 && std::strcmp(argv[1], "postgres") == 0) {
    auto load = load_of(argv + 5, pgvector_binary, queries);
    load.connect = [&] {
      return std::make_unique<PostgresPeer>(argv[2], argv[3], argv[4], queries);
    };
    return measure(load);
  }
  std::fputs(
      "usage: search_load http|http-new PORT KEY FILE DIMENSION CLIENTS SECONDS\n"
      "       search_load postgres URL SQL SETTINGS FILE DIMENSION CLIENTS SECONDS\n",
      stderr);
  return 2;
}

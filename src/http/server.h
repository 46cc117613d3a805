// HttpServer: HTTP/1.1 (RFC 9110, RFC 9112) over TCP, TLS and a local socket. Knows no feature.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/random.h"

namespace samtale::http {

struct Request {
  std::string method;
  std::string target;  // As sent: "/v1/search?limit=3".
  std::string path;    // Percent-decoded once, "." and ".." refused, valid UTF-8, no NUL.
  std::vector<std::pair<std::string, std::string>> query;    // Decoded, in order.
  std::vector<std::pair<std::string, std::string>> headers;  // Names in lower case, in order.
  std::vector<std::pair<std::string, std::string>> params;   // What {name} in the route matched.
  std::string body;                                          // De-chunked and de-compressed.
  std::string peer;       // "127.0.0.1:53124", or "local" for the local socket.
  std::string id;         // The request id: from X-Request-Id if well-formed, else made here.
  bool is_local = false;  // Came over the local socket: the operator of this machine.
  Instant deadline{};

  // The first header of that (lower-case) name, or null.
  [[nodiscard]] const std::string* header(std::string_view name) const;
  [[nodiscard]] const std::string* param(std::string_view name) const;
  [[nodiscard]] const std::string* query_value(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  // Framing is the server's: Connection, Content-Length, Date, Transfer-Encoding and X-Request-Id
  // are skipped. A name or value that cannot stand in a header makes the answer a 500.
  std::vector<std::pair<std::string, std::string>> headers;
};

// Called exactly once, from any thread, possibly after the handler has returned (an accepted event
// is answered when it is on disk). Dropped without a call: the client gets 500.
using Reply = std::move_only_function<void(Response)>;

// Runs on a handler thread. What it throws becomes a 500.
using Handler = std::function<void(const Request&, Reply)>;

// A body that is handled while it arrives: called for consecutive pieces in order, one at a time;
// each piece ends at a line end (the last may not, and may be empty). A piece is 1 MiB at most,
// unless a single line is longer (up to the route's body_bytes_max). What `done` is given is sent
// at once; nothing is read on until then. Dropping `done` ends the stream with an error. Threads:
// `piece` runs on a handler thread, another one each time; `done` from any thread. Memory:  `lines`
// stays valid until `done` was called or dropped, and the stream until after that
//          (if the client went away it is destroyed then, without a last piece).
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  virtual void piece(std::string_view lines, bool is_last,
                     std::move_only_function<void(std::string answer)> done) = 0;
};
// Decides from the head. Either a stream, or the response that refuses.
struct StreamDecision {
  std::unique_ptr<BodyStream> stream;
  Response response;  // The head of the answer (its body unused), or the refusal if no stream.
};

struct Route {
  std::string method;   // "GET"
  std::string pattern;  // "/v1/conversations/{id}"; a part in braces matches one path part.
  Handler handler;
  // If set and the request's content type is application/x-ndjson, used instead of `handler`.
  std::function<StreamDecision(const Request& head)> stream;
  std::size_t body_bytes_max = 0;  // 0: the server's limit.
  // Its handler waits for nothing that may be away. The others may hold all handler threads but
  // one.
  bool is_prompt = false;
};

struct TlsOptions {
  std::string certificate_file;  // PEM, chain included.
  std::string key_file;          // PEM.
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0 lets the system choose.
  std::string local_socket;   // Path; empty: none. Made with mode 0600.
  std::optional<TlsOptions> tls;
  std::size_t io_threads = 1;
  std::size_t handler_threads = 4;
  std::size_t handler_queue_max = 1024;  // Requests; more get 503 with Retry-After.
  std::size_t connections_max = 4096;
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = std::size_t{16} << 20;  // After decompression.
  std::size_t stream_bytes_max = std::size_t{4} << 30;
  std::size_t buffered_bytes_max = std::size_t{1} << 30;  // Of all bodies at once; more get 503.
  Duration header_timeout = std::chrono::seconds(10);     // From the first byte to the last header.
  Duration body_timeout = std::chrono::seconds(60);     // For the body, or each piece of a stream.
  Duration request_timeout = std::chrono::seconds(30);  // For the handler's answer.
  Duration write_timeout = std::chrono::seconds(30);    // For each 64 KiB of an answer.
  Duration idle_timeout = std::chrono::seconds(75);     // Between requests of a connection.
};

// What the server counts; read by metrics.
struct ServerStats {
  std::uint64_t connections = 0;  // Open now.
  std::uint64_t in_flight = 0;
  std::uint64_t queued = 0;
  std::uint64_t refused_full = 0;  // 503: queue, connections, buffered bytes or descriptors full.
};

// Told after each answer, on an I/O thread: be quick. `route` is the pattern, or "" if none
// matched; `took` counts from the last byte of the head to the last byte of the answer; bytes as on
// the wire before TLS.
struct Exchange {
  std::string_view method;
  std::string_view route;
  std::string_view path;
  std::string_view request_id;
  std::string_view peer;
  int status = 0;
  std::size_t request_bytes = 0;
  std::size_t response_bytes = 0;
  Duration took{};
};
using Observer = std::function<void(const Exchange&)>;

// Order:   one request of a connection at a time, so pipelined requests are answered in order.
// Threads: start, drain and the destructor from one thread; stats from any.
class Server {
 public:
  virtual ~Server() = default;  // Stops at once.

  // Listens. Errors: unavailable ("127.0.0.1:8080 is in use"), invalid_argument (bad certificate).
  virtual Result<> start() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  // Stops accepting, answers what is in flight with "Connection: close", returns when all is done
  // or `limit` has passed (false).
  virtual bool drain(Duration limit) = 0;
  [[nodiscard]] virtual ServerStats stats() const = 0;
};

// Errors from a bad route table are CHECK failures. What is passed in must outlive the server.
[[nodiscard]] std::unique_ptr<Server> make_server(std::vector<Route> routes, ServerOptions options,
                                                  const Clock& clock, Random& random, Log& log,
                                                  Observer observer);

// Matches and runs a request on the calling thread, without a network: what the command line uses
// when no server runs. `target` says where to; path, query and params are filled in from it. Waits
// for the reply.
[[nodiscard]] Response dispatch(const std::vector<Route>& routes, Request request);

}  // namespace samtale::http

// HttpClient: requests to other people's servers, each with a deadline and a limit.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

namespace samtale {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpCall {
  std::string method = "POST";
  std::string url;          // http:// or https://; never followed to another place (no redirects).
  std::string unix_socket;  // If set, connects to this socket instead of the URL's host.
  HttpHeaders headers;
  std::string body;
  Duration timeout = std::chrono::seconds(30);           // Of the whole exchange.
  std::size_t answer_bytes_max = std::size_t{64} << 20;  // More is an error, not a cut.
  // If set, the body of a 2xx answer is handed over as it comes and `HttpAnswer::body` stays empty
  // (it counts against answer_bytes_max all the same); false ends the exchange (error:
  // unavailable). Called on the thread of call(); must not throw.
  std::function<bool(std::string_view piece)> on_body;
  Duration
      silence_max{};     // If not zero: no byte sent or received for so long is deadline_exceeded.
  std::stop_token stop;  // Ends the exchange early; error: unavailable, "stopped".
  // If set, told before call() returns, also with an error, whether the whole request was handed to
  // the network: then the other side may have acted on it.
  bool* was_sent = nullptr;
};

struct HttpAnswer {
  int status = 0;
  HttpHeaders headers;  // Names in lower case.
  std::string body;
};

// Threads: any method from any thread; calls block.
class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // Any status is an answer. Errors: unavailable (refused, reset, name or certificate wrong),
  // deadline_exceeded, resource_exhausted (the answer passes its limit).
  [[nodiscard]] virtual Result<HttpAnswer> call(const HttpCall& call) = 0;
};

struct HttpClientOptions {
  // Asked for each address that a name was resolved to, right before it is connected to; where it
  // says no, nothing is sent there (error: unavailable). A client with this guard uses no proxy.
  // Called from any thread that calls, several at once; must not throw. Empty: any address.
  std::function<bool(const sockaddr& address)> may_connect;
};

// libcurl with connections kept alive between calls.
[[nodiscard]] std::unique_ptr<HttpClient> make_http_client(HttpClientOptions options = {});

}  // namespace samtale

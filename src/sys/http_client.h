// HttpClient: requests to other people's servers, each with a deadline and a limit.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
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

// libcurl with connections kept alive between calls.
[[nodiscard]] std::unique_ptr<HttpClient> make_http_client();

}  // namespace samtale

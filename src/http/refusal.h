// Refusal: why the server itself turns a request away, and the answer that says so.
#pragma once

#include <string>
#include <string_view>

#include "http/server.h"

namespace samtale::http {

struct Refusal {
  int status;
  std::string message;     // ASCII of ours without quotes; never what the peer sent.
  std::string allow = {};  // For 405: the methods of this path.
  std::string code = {};   // Empty: what the status stands for.
};

// {"code","message","request_id","retryable"}; every 503 carries Retry-After.
[[nodiscard]] Response to_response(const Refusal& refusal, std::string_view request_id);

}  // namespace samtale::http

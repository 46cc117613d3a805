// What a head asks for and whether it may: decided once, before a byte of the body is read.
#pragma once

#include <cstddef>
#include <expected>
#include <string_view>

#include "http/refusal.h"
#include "http/request_reader.h"
#include "http/router.h"

namespace samtale::http {

struct Plan {
  const Route* route = nullptr;
  std::size_t body_bytes_max = 0;  // For a stream: of one line.
  bool is_stream = false;
  bool is_gzip = false;
  bool expects_continue = false;
};

// Fills in `request` from the head (whose strings it takes) as far as it can, and finds the route.
// Errors: refusals 400, 404, 405, 413, 415, 417.
[[nodiscard]] std::expected<Plan, Refusal> plan_request(Head& head, const Router& router,
                                                        const ServerOptions& options,
                                                        Request& request);

// True for a request id we take from a peer: it goes into logs and answers.
[[nodiscard]] bool is_request_id(std::string_view text);

// True if the Content-Type of the request is application/x-ndjson.
[[nodiscard]] bool is_ndjson(const Request& request);

}  // namespace samtale::http

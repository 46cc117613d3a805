// Answers: how results and errors become HTTP responses.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/server.h"
#include "json/json.h"
#include "sys/http_client.h"

namespace samtale::api {

// The one table of codes and statuses. A malformed body is 400; see malformed().
[[nodiscard]] int http_status(ErrorCode code);

[[nodiscard]] http::Response ok(const json::Value& body, int status = 200);
// 204: done, and there is nothing to say about it.
[[nodiscard]] http::Response done();
// What another node has answered, as it is.
[[nodiscard]] http::Response passed_on(HttpAnswer answer);
// {"code","message","request_id","retryable"}; 429 and 503 carry Retry-After. What went wrong
// inside (unavailable, deadline_exceeded, corrupt) is told to the log, not to the caller.
[[nodiscard]] http::Response failure(const Error& error, const http::Request& request);
[[nodiscard]] http::Response failure(const Error& error, std::string_view request_id, int status);
// 503: it can be answered soon, and `message` tells the caller what is waited for.
[[nodiscard]] http::Response not_yet(std::string_view message, const http::Request& request);
inline constexpr std::string_view kNotOpen = "the index of the company is being opened; try again";
// 400: the body is not what it says it is.
[[nodiscard]] http::Response malformed(const Error& error, const http::Request& request);
// The error as a value, for an item of a batch.
[[nodiscard]] json::Value error_value(const Error& error);

}  // namespace samtale::api

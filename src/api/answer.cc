#include "api/answer.h"

#include <utility>

namespace samtale::api {
namespace {

// Paths, SQL and peers' addresses are the operator's business.
std::string public_message(const Error& error) {
  switch (error.code) {
    case ErrorCode::unavailable:
      return "not available right now; try again";
    case ErrorCode::deadline_exceeded:
      return "no answer in time; try again";
    case ErrorCode::corrupt:
      return "stored data is damaged; the operator's log has the details";
    default:
      return error.message;
  }
}

}  // namespace

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return 422;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::permission_denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::resource_exhausted:
      return 429;
    case ErrorCode::deadline_exceeded:
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::corrupt:
      return 500;
  }
  return 500;
}

http::Response ok(const json::Value& body, int status) {
  http::Response response;
  response.status = status;
  response.body = json::dump(body);
  return response;
}

http::Response done() {
  http::Response response;
  response.status = 204;
  return response;
}

json::Value error_value(const Error& error) {
  return json::Object{{"code", name(error.code)},
                      {"message", public_message(error)},
                      {"retryable", retryable(error.code)}};
}

http::Response passed_on(HttpAnswer answer) {
  http::Response response;
  response.status = answer.status;
  response.body = std::move(answer.body);
  for (auto& [name, value] : answer.headers) {
    if (name == "content-type") response.content_type = std::move(value);
    if (name == "retry-after") response.headers.emplace_back("Retry-After", std::move(value));
    if (name == "samtale-sequence") {
      response.headers.emplace_back("Samtale-Sequence", std::move(value));
    }
  }
  return response;
}

namespace {

http::Response failure(json::Value value, std::string_view request_id, int status) {
  value.set("request_id", request_id);
  auto response = ok(value, status);
  if (status == 429 || status == 503) response.headers.emplace_back("Retry-After", "1");
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

http::Response failure(const Error& error, std::string_view request_id, int status) {
  return failure(error_value(error), request_id, status);
}

http::Response not_yet(std::string_view message, const http::Request& request) {
  const Error error{ErrorCode::unavailable, {}};
  auto value = error_value(error);
  value.set("message", message);
  return failure(std::move(value), request.id, http_status(error.code));
}

http::Response failure(const Error& error, const http::Request& request) {
  return failure(error, request.id, http_status(error.code));
}

http::Response malformed(const Error& error, const http::Request& request) {
  return failure(error, request.id, 400);
}

}  // namespace samtale::api

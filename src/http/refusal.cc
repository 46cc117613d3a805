#include "http/refusal.h"

#include "base/result.h"

namespace samtale::http {
namespace {

std::string_view code_of(int status) {
  switch (status) {
    case 404:
      return name(ErrorCode::not_found);
    case 408:
      return name(ErrorCode::deadline_exceeded);
    case 500:
      return "internal";
    case 503:
      return name(ErrorCode::unavailable);
    default:
      return name(ErrorCode::invalid_argument);
  }
}

}  // namespace

Response to_response(const Refusal& refusal, std::string_view request_id) {
  const bool may_retry = refusal.status == 408 || refusal.status == 503;
  Response response;
  response.status = refusal.status;
  response.body.append("{\"code\":\"")
      .append(refusal.code.empty() ? code_of(refusal.status) : refusal.code)
      .append("\",\"message\":\"")
      .append(refusal.message)
      .append("\",\"request_id\":\"")
      .append(request_id)
      .append("\",\"retryable\":")
      .append(may_retry ? "true}" : "false}");
  if (!refusal.allow.empty()) response.headers.emplace_back("Allow", refusal.allow);
  if (refusal.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace samtale::http

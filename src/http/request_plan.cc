#include "http/request_plan.h"

#include <algorithm>
#include <optional>
#include <string>

#include "http/target.h"

namespace samtale::http {
namespace {

bool equal_ignoring_case(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

Refusal method_refusal(std::string allow) {
  return {405, "this path does not take this method; see the Allow header", std::move(allow)};
}

std::expected<Router::Match, Refusal> find_route(const Router& router, Request& request) {
  // Targets of these two are no paths (RFC 9112, section 3.2.3 and 3.2.4).
  if (request.method == "CONNECT" || request.target == "*") {
    return std::unexpected(method_refusal(router.all_methods()));
  }
  auto target = parse_target(request.target);
  if (!target) return std::unexpected(Refusal{400, std::move(target).error().message});
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  auto match = router.match(request.method, target->raw_path);
  if (match.route) return match;
  if (match.allow.empty()) {
    return std::unexpected(Refusal{404, "there is nothing at this path; see /openapi.json"});
  }
  return std::unexpected(method_refusal(std::move(match.allow)));
}

std::optional<Refusal> check_encodings(const Head& head, const Request& request, Plan& plan) {
  if (const auto* encoding = request.header("content-encoding"); encoding && head.has_body) {
    plan.is_gzip = equal_ignoring_case(*encoding, "gzip");
    if (!plan.is_gzip && !equal_ignoring_case(*encoding, "identity")) {
      return Refusal{415, "the only Content-Encoding taken is gzip"};
    }
  }
  if (const auto* expect = request.header("expect"); expect && !head.is_http_1_0) {
    if (!equal_ignoring_case(*expect, "100-continue")) {
      return Refusal{417, "the only expectation taken is 100-continue"};
    }
    plan.expects_continue = head.has_body;
  }
  return std::nullopt;
}

}  // namespace

bool is_request_id(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool is_ndjson(const Request& request) {
  const auto* type = request.header("content-type");
  if (!type) return false;
  auto media = std::string_view(*type).substr(0, type->find(';'));
  while (media.ends_with(' ')) media.remove_suffix(1);
  return equal_ignoring_case(media, "application/x-ndjson");
}

std::expected<Plan, Refusal> plan_request(Head& head, const Router& router,
                                          const ServerOptions& options, Request& request) {
  request.method = std::move(head.method);
  request.target = std::move(head.target);
  request.headers = std::move(head.headers);
  if (const auto* id = request.header("x-request-id"); id && is_request_id(*id)) request.id = *id;

  auto match = find_route(router, request);
  if (!match) return std::unexpected(std::move(match).error());
  request.params = std::move(match->params);
  Plan plan{.route = match->route};
  plan.is_stream = plan.route->stream && (!plan.route->handler || is_ndjson(request));
  plan.body_bytes_max =
      plan.route->body_bytes_max > 0 ? plan.route->body_bytes_max : options.body_bytes_max;
  if (plan.is_stream && !is_ndjson(request)) {
    return std::unexpected(Refusal{415, "this path takes application/x-ndjson"});
  }
  if (auto refusal = check_encodings(head, request, plan)) {
    return std::unexpected(*std::move(refusal));
  }
  const auto bytes_max = plan.is_stream ? options.stream_bytes_max : plan.body_bytes_max;
  if (head.body_bytes > bytes_max) {
    return std::unexpected(Refusal{
        413, "the body is larger than " + std::to_string(bytes_max) + " bytes; send it in parts"});
  }
  return plan;
}

}  // namespace samtale::http

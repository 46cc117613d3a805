#include <algorithm>

#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"

namespace samtale::api {
namespace {

bool is_this_machine(const http::Request& request) {
  const auto address = address_of(request);
  return request.is_local || address.starts_with("127.") || address == "::1" ||
         address == "[::1]" || address == "::ffff:127.0.0.1";
}

}  // namespace

void get_healthz(const Context&, const Call&, http::Reply reply) {
  reply(ok(json::Object{{"status", "ok"}}));
}

void get_readyz(const Context& context, const Call&, http::Reply reply) {
  const auto why = context.parts.not_ready();
  if (why.empty()) return reply(ok(json::Object{{"status", "ready"}}));
  auto response = ok(json::Object{{"status", "not ready"}, {"cause", why}}, 503);
  response.headers.emplace_back("Retry-After", "1");
  reply(std::move(response));
}

void get_metrics(const Context& context, const Call& call, http::Reply reply) {
  if (!context.options.metrics_open && !is_this_machine(call.request)) {
    return reply(failure({ErrorCode::not_found, "there is nothing at this path"}, call.request));
  }
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = context.parts.metrics.text();
  reply(std::move(response));
}

void get_openapi(const Context& context, const Call&, http::Reply reply) {
  reply(ok(openapi_document(context.options)));
}

void get_asset(const Context& context, const Call& call, http::Reply reply) {
  const auto& path = call.request.path == "/" ? std::string("/index.html") : call.request.path;
  const auto found = std::ranges::find(context.options.assets, path, &Asset::path);
  if (found == context.options.assets.end()) {
    return reply(failure({ErrorCode::not_found, "there is nothing at this path"}, call.request));
  }
  http::Response response;
  response.content_type = found->content_type;
  response.body = found->bytes;
  response.headers = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
       "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"}};
  reply(std::move(response));
}

}  // namespace samtale::api

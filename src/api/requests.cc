#include "api/requests.h"

#include <charconv>

#include "api/answer.h"

namespace samtale::api {

Result<json::Value> read_json(const http::Request& request) {
  const auto* type = request.header("content-type");
  if (type != nullptr && !type->starts_with("application/json") &&
      type->find("+json") == std::string::npos) {
    return fail(ErrorCode::invalid_argument,
                "Content-Type must be application/json; got " + type->substr(0, 80));
  }
  return json::parse(request.body, {.bytes_max = request.body.size(), .depth_max = 64});
}

Result<json::Value> read_optional_json(const http::Request& request) {
  if (request.body.empty()) return json::Value(json::Object{});
  return read_json(request);
}

Result<std::int64_t> query_integer(const http::Request& request, std::string_view name,
                                   std::int64_t otherwise, std::int64_t least, std::int64_t most) {
  const auto* text = request.query_value(name);
  if (text == nullptr) return otherwise;
  std::int64_t value = 0;
  const auto* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error == std::errc() && stop == end && value >= least && value <= most) return value;
  return fail(ErrorCode::invalid_argument,
              "?" + std::string(name) + ": must be an integer from " + std::to_string(least) +
                  " to " + std::to_string(most) + "; got \"" + text->substr(0, 40) + "\"");
}

Result<std::optional<WallTime>> query_time(const http::Request& request, std::string_view name) {
  const auto* text = request.query_value(name);
  if (text == nullptr || text->empty()) return std::nullopt;
  const auto time = parse_time(*text);
  if (time) return time;
  return fail(ErrorCode::invalid_argument,
              "?" + std::string(name) +
                  ": must be a time as in RFC 3339, like 2026-11-23T08:00:00Z; got \"" +
                  text->substr(0, 40) + "\"");
}

std::string query_text(const http::Request& request, std::string_view name) {
  const auto* text = request.query_value(name);
  return text == nullptr ? std::string() : *text;
}

void refuse(const Context& context, const Call& call, const Error& error, http::Reply reply) {
  if (error.code == ErrorCode::unavailable || error.code == ErrorCode::deadline_exceeded ||
      error.code == ErrorCode::corrupt) {
    context.parts.log.warn("api.failed", {{"request_id", call.request.id},
                                          {"path", call.request.path},
                                          {"code", std::string(samtale::name(error.code))},
                                          {"error", error.message}});
  }
  reply(failure(error, call.request));
}

json::Value summary_of(const ConversationSummary& summary) {
  const auto& head = summary.head;
  json::Object object{{"id", text(head.id)},       {"external_id", head.external_id},
                      {"source", head.source},     {"channel", head.channel},
                      {"language", head.language}, {"title", head.title},
                      {"status", head.status}};
  if (head.started_at) object.emplace_back("started_at", format_time(*head.started_at));
  object.emplace_back("turn_count", summary.turns);
  object.emplace_back("received_at", format_time(summary.received_at));
  return object;
}

std::string address_of(const http::Request& request) {
  return request.peer.substr(0, request.peer.rfind(':'));
}

}  // namespace samtale::api

#include "api/requests.h"

#include <algorithm>
#include <charconv>
#include <chrono>

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

Result<std::string> query_date(const http::Request& request, std::string_view name,
                               std::string otherwise) {
  const auto* text = request.query_value(name);
  if (text == nullptr || text->empty()) return otherwise;
  constexpr std::size_t kLength = 10;
  if (text->size() == kLength && parse_time(*text + "T00:00:00Z")) return *text;
  return fail(ErrorCode::invalid_argument, "?" + std::string(name) +
                                               ": must be a date like 2026-11-23; got \"" +
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

void write_summary(const ConversationSummary& summary, json::Writer& out) {
  const auto& head = summary.head;
  out.member("id", text(head.id));
  out.member("external_id", head.external_id);
  out.member("source", head.source);
  out.member("channel", head.channel);
  out.member("language", head.language);
  out.member("title", head.title);
  out.member("status", head.status);
  if (head.started_at) out.member("started_at", format_time(*head.started_at));
  out.member("turn_count", static_cast<std::int64_t>(summary.turns));
  out.member("received_at", format_time(summary.received_at));
}

void write_cursor(std::string_view cursor, json::Writer& out) {
  out.key("next_cursor");
  cursor.empty() ? out.value(nullptr) : out.value(cursor);
}

json::Value to_json(const AnalysisOverride& override_) {
  auto result = json::parse(override_.result);
  json::Object object{{"result", result ? std::move(*result) : json::Value()},
                      {"by", override_.by},
                      {"note", override_.note},
                      {"made_at", format_time(override_.made_at)},
                      {"revision", override_.revision}};
  const auto* score = object.front().second.find("score");
  if (score != nullptr && score->as_number()) object.emplace_back("score", json::Value(*score));
  return object;
}

json::Value to_json(const StoredAnalysis& analysis, std::span<const AnalysisOverride> overrides) {
  json::Object object{{"analyzer", analysis.analyzer},
                      {"version", analysis.version},
                      {"method", analysis.method},
                      {"revision", analysis.revision},
                      {"created_at", format_time(analysis.created_at)}};
  json::Array labels(analysis.labels.begin(), analysis.labels.end());
  object.emplace_back("labels", std::move(labels));
  if (analysis.score) object.emplace_back("score", *analysis.score);
  auto result = json::parse(analysis.result);
  object.emplace_back("result", result ? std::move(*result) : json::Value());
  const auto said = std::ranges::find(overrides, analysis.analyzer, &AnalysisOverride::analyzer);
  if (said != overrides.end()) object.emplace_back("override", to_json(*said));
  return object;
}

Result<StoredConversation> find_named(const Context& context, const Call& call) {
  const auto id = parse_conversation_id(*call.request.param("id"));
  if (id) {
    SAMTALE_TRY(auto found, context.parts.store.find_conversation(call.caller->company(), *id));
    if (found) return std::move(*found);
  }
  return fail(ErrorCode::not_found, "there is no such conversation");
}

std::string address_of(const http::Request& request) {
  return request.peer.substr(0, request.peer.rfind(':'));
}

}  // namespace samtale::api

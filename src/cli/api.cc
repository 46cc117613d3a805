#include <algorithm>
#include <cctype>
#include <charconv>

#include "cli/context.h"

namespace samtale::cli {
namespace {

// Larger than any answer of the API: listings have pages, and conversations a limit.
constexpr json::ReadLimits kAnswerLimits{.bytes_max = std::size_t{64} << 20, .depth_max = 128};

ErrorCode code_of(std::string_view text, int status) {
  for (const auto code :
       {ErrorCode::invalid_argument, ErrorCode::unauthenticated, ErrorCode::permission_denied,
        ErrorCode::not_found, ErrorCode::conflict, ErrorCode::resource_exhausted,
        ErrorCode::deadline_exceeded, ErrorCode::unavailable, ErrorCode::corrupt}) {
    if (name(code) == text) return code;
  }
  if (status == 404) return ErrorCode::not_found;
  if (status == 429) return ErrorCode::resource_exhausted;
  return status >= 500 ? ErrorCode::unavailable : ErrorCode::invalid_argument;
}

}  // namespace

std::string escaped(std::string_view part) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

Result<http::Response> Api::exchange(const ApiCall& call) const {
  http::Request request;
  request.method = call.method;
  request.path = call.path;
  request.target = call.path;
  for (const auto& [name, value] : call.query) {
    request.target += (request.query.empty() ? "?" : "&") + escaped(name) + "=" + escaped(value);
    request.query.emplace_back(name, value);
  }
  request.headers = call.headers;
  if (!call.body.empty()) request.headers.emplace_back("content-type", call.content_type);
  if (!call.company.empty() && !is_remote_) {
    request.headers.emplace_back("x-samtale-company", call.company);
  }
  request.body = call.body;
  return transport_(std::move(request));
}

Result<json::Value> value_of(const http::Response& response) {
  constexpr int kNothingToSay = 204;
  if (response.status == kNothingToSay) return json::Value();
  auto body = json::parse(response.body, kAnswerLimits);
  if (response.status < 400) {
    if (!body) return std::unexpected(std::move(body).error().during("the server's answer"));
    return std::move(*body);
  }
  const auto message = body ? text_at(*body, "message") : std::string();
  return fail(code_of(body ? text_at(*body, "code") : std::string(), response.status),
              message.empty() ? "the server answered " + std::to_string(response.status) : message);
}

Result<json::Value> Api::call(const ApiCall& call) const {
  SAMTALE_TRY(const auto response, exchange(call));
  return value_of(response);
}

Result<json::Value> Api::get(std::string path, std::string company) const {
  ApiCall wanted;
  wanted.path = std::move(path);
  wanted.company = std::move(company);
  return call(wanted);
}

Result<json::Value> Api::post(std::string path, std::string company, json::Object body) const {
  ApiCall wanted;
  wanted.method = "POST";
  wanted.path = std::move(path);
  wanted.company = std::move(company);
  wanted.body = json::dump(json::Value(std::move(body)));
  return call(wanted);
}

Duration retry_after(const http::Response& response) {
  constexpr int kLongest = 60;
  int seconds = 1;
  for (const auto& [name, value] : response.headers) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == "retry-after") std::from_chars(value.data(), value.data() + value.size(), seconds);
  }
  return std::chrono::seconds(std::clamp(seconds, 1, kLongest));
}

std::string text_at(const json::Value& value, std::string_view key) {
  const auto* const found = value.find(key);
  const auto* const text = found == nullptr ? nullptr : found->as_string();
  return text == nullptr ? std::string() : *text;
}

std::int64_t int_at(const json::Value& value, std::string_view key) {
  const auto* const found = value.find(key);
  const auto* const number = found == nullptr ? nullptr : found->as_int();
  return number == nullptr ? 0 : *number;
}

double number_at(const json::Value& value, std::string_view key) {
  const auto* const found = value.find(key);
  return found == nullptr ? 0 : found->as_number().value_or(0);
}

const json::Array& array_at(const json::Value& value, std::string_view key) {
  static const json::Array kNone;
  const auto* const found = value.find(key);
  const auto* const array = found == nullptr ? nullptr : found->as_array();
  return array == nullptr ? kNone : *array;
}

}  // namespace samtale::cli

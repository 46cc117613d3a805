#include "http/response_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace samtale::http {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Other";
  }
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
}

bool is_framing(std::string_view name) {
  constexpr std::array<std::string_view, 5> kOurs = {"connection", "content-length", "date",
                                                     "transfer-encoding", "x-request-id"};
  return std::any_of(kOurs.begin(), kOurs.end(), [name](std::string_view ours) {
    return std::equal(name.begin(), name.end(), ours.begin(), ours.end(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
  });
}

bool is_sendable(const Response& response) {
  return response.status >= 200 && response.status <= 599 && is_value(response.content_type) &&
         std::all_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
           return is_token(header.first) && is_value(header.second);
         });
}

void append_number(std::size_t number, int base, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

}  // namespace

bool may_have_body(int status) { return status != 204 && status != 304; }

bool append_head(const Response& response, const AnswerFrame& frame, std::string& out) {
  if (!is_sendable(response)) return false;
  out.append("HTTP/1.1 ");
  append_number(static_cast<std::size_t>(response.status), 10, out);
  out.append(" ").append(reason(response.status)).append("\r\nDate: ").append(frame.date);
  if (may_have_body(response.status)) {
    if (!response.content_type.empty()) {
      out.append("\r\nContent-Type: ").append(response.content_type);
    }
    if (!frame.is_chunked) {
      out.append("\r\nContent-Length: ");
      append_number(response.body.size(), 10, out);
    } else if (!frame.is_http_1_0) {
      out.append("\r\nTransfer-Encoding: chunked");
    }
  }
  for (const auto& [name, value] : response.headers) {
    if (!is_framing(name)) out.append("\r\n").append(name).append(": ").append(value);
  }
  out.append("\r\nX-Request-Id: ").append(frame.request_id);
  if (!frame.keep_alive) {
    out.append("\r\nConnection: close");
  } else if (frame.is_http_1_0) {
    out.append("\r\nConnection: keep-alive");
  }
  out.append("\r\n\r\n");
  return true;
}

void append_chunk(std::string_view bytes, std::string& out) {
  if (bytes.empty()) return;
  append_number(bytes.size(), 16, out);
  out.append("\r\n").append(bytes).append("\r\n");
}

std::string http_date(WallTime time) {
  // Not strftime: its names follow the locale.
  constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  std::array<char, 64> text;
  const int size = std::snprintf(
      text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
      kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
      kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace samtale::http

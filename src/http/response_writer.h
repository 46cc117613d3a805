// Answers as bytes.
#pragma once

#include <string>
#include <string_view>

#include "http/server.h"
#include "sys/clock.h"

namespace samtale::http {

struct AnswerFrame {
  std::string_view date;  // From http_date().
  std::string_view request_id;
  bool is_http_1_0 = false;
  bool keep_alive = true;
  bool is_head = false;     // The request was HEAD: the length of the body without the body.
  bool is_chunked = false;  // The body follows in chunks, or until the end for HTTP/1.0.
};

// Appends status line and headers. False, and `out` as it was, if the response cannot be sent: its
// status is not final, or a header would break the framing.
[[nodiscard]] bool append_head(const Response& response, const AnswerFrame& frame,
                               std::string& out);

// True if a response with that status has a body (RFC 9110 section 6.4.1).
[[nodiscard]] bool may_have_body(int status);

void append_chunk(std::string_view bytes, std::string& out);  // Nothing for no bytes.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
[[nodiscard]] std::string http_date(WallTime time);

}  // namespace samtale::http

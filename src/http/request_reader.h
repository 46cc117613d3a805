// RequestReader: the bytes of a connection, read as HTTP/1.1 requests and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/refusal.h"

namespace samtale::http {

struct Head {
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;  // Names in lower case.
  bool is_http_1_0 = false;
  bool keep_alive = false;
  bool has_body = false;
  std::optional<std::uint64_t> body_bytes = {};  // Empty if chunked.
};

// Beast's parser, with what it lets pass refused: each is a way to make a proxy and us see
// different requests in the same bytes. After a refusal nothing more of the connection may be read.
// Errors: as refusals: 400, 431, 505.
// Source: RFC 9112; RFC 9110 sections 5.5 and 7.2.
class RequestReader {
 public:
  explicit RequestReader(std::size_t header_bytes_max);
  ~RequestReader();

  // Reads the head of the next request. Returns the bytes it took from the front of `input`; 0 if
  // the head is not all there yet: call again with the same bytes and more.
  [[nodiscard]] std::expected<std::size_t, Refusal> read_head(std::string_view input, Head& head);

  // Appends to `out` what `input` has of the body, without the chunks around it. Returns the bytes
  // it took; call again with the rest and more until is_done().
  [[nodiscard]] std::expected<std::size_t, Refusal> read_body(std::string_view input,
                                                              std::string& out);

  // The last head and its body were read in full.
  [[nodiscard]] bool is_done() const;

 private:
  struct Parser;

  [[nodiscard]] std::expected<std::size_t, Refusal> find_head_end(std::string_view input);
  [[nodiscard]] std::optional<Refusal> check(Head& head) const;

  const std::size_t header_bytes_max_;
  std::size_t line_start_ = 0;  // Of the head that is coming in: all lines before are fine.
  std::size_t scanned_ = 0;
  std::size_t lines_ = 0;
  std::unique_ptr<Parser> parser_;
};

}  // namespace samtale::http

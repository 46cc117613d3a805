#include "http/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>

namespace samtale::http {
namespace {

namespace beast = boost::beast;
using BeastError = beast::error_code;
using BeastText = beast::string_view;

constexpr std::size_t kHeadersMax = 128;  // Browsers behind proxies send about 40.

std::string_view view(BeastText text) { return {text.data(), text.size()}; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// RFC 3986 section 3.2.2, with port.
bool is_host(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~%!$&'()*+;=:[]").find(c) != std::string_view::npos;
  });
}

// A request line that is well-formed but for a version that we do not speak.
bool has_other_version(std::string_view head) {
  const auto line = head.substr(0, head.find('\r'));
  if (std::count(line.begin(), line.end(), ' ') != 2 || line.size() < 9) return false;
  const auto version = line.substr(line.size() - 9);
  return version.starts_with(" HTTP/") && version[7] == '.' && is_digits(version.substr(6, 1)) &&
         is_digits(version.substr(8, 1));
}

Refusal refusal_of(const BeastError& error, std::string_view bytes) {
  if (error == beast::http::error::bad_version && has_other_version(bytes)) {
    return {505, "this server speaks HTTP/1.1 and HTTP/1.0"};
  }
  return {400, "this is not a well-formed HTTP request: " + error.message()};
}

}  // namespace

struct RequestReader::Parser final : beast::http::basic_parser<true> {
  Head* head = nullptr;  // While the head is read.
  std::string* body = nullptr;
  bool is_over = false;

  Parser() {
    // The limits are ours, so that each gets its own answer.
    header_limit(std::uint32_t{1} << 30);
    body_limit(boost::none);
    eager(true);
  }

  void on_request_impl(beast::http::verb /*known*/, BeastText method, BeastText target, int version,
                       BeastError& /*error*/) override {
    head->method = view(method);
    head->target = view(target);
    head->is_http_1_0 = version == 10;
  }
  void on_field_impl(beast::http::field /*known*/, BeastText name, BeastText value,
                     BeastError& /*error*/) override {
    // Trailers are dropped, as RFC 9110 section 6.5.1 advises.
    if (head) head->headers.emplace_back(lower(view(name)), view(value));
  }
  std::size_t on_body_impl(BeastText bytes, BeastError& /*error*/) override {
    body->append(view(bytes));
    return bytes.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t /*left*/, BeastText bytes,
                                 BeastError& /*error*/) override {
    body->append(view(bytes));
    return bytes.size();
  }
  void on_finish_impl(BeastError& /*error*/) override { is_over = true; }
  void on_response_impl(int, BeastText, int, BeastError&) override {}
  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  void on_chunk_header_impl(std::uint64_t, BeastText, BeastError&) override {}
};

RequestReader::RequestReader(std::size_t header_bytes_max) : header_bytes_max_(header_bytes_max) {}
RequestReader::~RequestReader() = default;

bool RequestReader::is_done() const { return !parser_ || parser_->is_over; }

std::expected<std::size_t, Refusal> RequestReader::find_head_end(std::string_view input) {
  const auto refuse = [](const char* why) { return std::unexpected(Refusal{400, why}); };
  input = input.substr(0, header_bytes_max_);  // What lies behind must not change the answer.
  while (true) {
    const auto newline = input.find('\n', scanned_);
    if (newline == std::string_view::npos) break;
    const auto line = input.substr(line_start_, newline - line_start_);
    if (line.empty() || line.back() != '\r') return refuse("a line of the head ends in a bare LF");
    if (line.find('\r') + 1 != line.size()) return refuse("a line of the head has a bare CR in it");
    if (line.front() == ' ' || line.front() == '\t') {
      return refuse("a line of the head begins with white space");
    }
    line_start_ = scanned_ = newline + 1;
    if (line.size() > 1) {
      ++lines_;
    } else if (lines_ > 0) {
      return scanned_;
    } else if (scanned_ > 2) {
      return refuse("the request begins with empty lines");  // One is allowed.
    }
    if (lines_ > kHeadersMax) {
      return std::unexpected(Refusal{431, "the head has more than 128 lines; send fewer"});
    }
  }
  scanned_ = input.size();
  if (scanned_ == header_bytes_max_) {
    return std::unexpected(Refusal{431, "the head does not end within " +
                                            std::to_string(header_bytes_max_) +
                                            " bytes; send shorter or fewer headers"});
  }
  return 0;
}

std::optional<Refusal> RequestReader::check(Head& head) const {
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t encodings = 0;
  for (const auto& [name, value] : head.headers) {
    if (name == "host") {
      ++hosts;
      if (!is_host(value)) return Refusal{400, "the Host header is not a host"};
    } else if (name == "content-length") {
      ++lengths;
      if (!is_digits(value)) return Refusal{400, "the Content-Length is not a number"};
    } else if (name == "transfer-encoding") {
      ++encodings;
      if (lower(value) != "chunked") {
        return Refusal{400, "the only Transfer-Encoding taken is exactly chunked"};
      }
    }
  }
  if (lengths + encodings > 1) {
    return Refusal{400, "the length of the body is given twice"};
  }
  if (encodings > 0 && head.is_http_1_0) {
    return Refusal{400, "HTTP/1.0 has no Transfer-Encoding"};
  }
  if (hosts > 1 || (hosts == 0 && !head.is_http_1_0)) {
    return Refusal{400, "an HTTP/1.1 request has exactly one Host header"};
  }
  return std::nullopt;
}

std::expected<std::size_t, Refusal> RequestReader::read_head(std::string_view input, Head& head) {
  const auto end = find_head_end(input);
  if (!end) return std::unexpected(end.error());
  if (*end == 0) return 0;
  line_start_ = scanned_ = lines_ = 0;

  parser_ = std::make_unique<Parser>();
  parser_->head = &head;
  const auto text = input.substr(input.starts_with("\r\n") ? 2 : 0);
  const auto size = *end - (input.size() - text.size());
  BeastError error;
  const auto taken = parser_->put({text.data(), size}, error);
  parser_->head = nullptr;
  if (error) return std::unexpected(refusal_of(error, text));
  if (auto refusal = check(head)) return std::unexpected(*std::move(refusal));
  if (taken != size || !parser_->is_header_done()) {
    return std::unexpected(Refusal{400, "the head does not end where its empty line is"});
  }
  head.keep_alive = parser_->keep_alive();
  head.has_body = !parser_->is_over;
  if (const auto length = parser_->content_length()) head.body_bytes = *length;
  return *end;
}

std::expected<std::size_t, Refusal> RequestReader::read_body(std::string_view input,
                                                             std::string& out) {
  parser_->body = &out;
  std::size_t all = 0;
  while (!is_done() && all < input.size()) {
    // In windows, so that what is too long does not depend on how the bytes arrive.
    const auto window = input.substr(all, header_bytes_max_);
    BeastError error;
    const auto taken = parser_->put({window.data(), window.size()}, error);
    if (error && error != beast::http::error::need_more) {
      return std::unexpected(refusal_of(error, window));
    }
    all += taken;
    if (taken > 0) continue;
    if (window.size() < header_bytes_max_) break;
    return std::unexpected(Refusal{400, "a chunk header or the trailers are too long"});
  }
  return all;
}

}  // namespace samtale::http

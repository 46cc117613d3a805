// Bodies of requests: whole ones, and those that are handled while they arrive.
#include <algorithm>
#include <utility>

#include "http/connection.h"
#include "http/response_writer.h"

namespace samtale::http {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kStepBytes = 65536;

std::string too_large(const char* what, std::size_t bytes_max) {
  return std::string(what) + " is larger than " + std::to_string(bytes_max) +
         " bytes; send it in parts";
}

}  // namespace

void Connection::read_body() {
  set_deadline(state_.options.body_timeout);
  phase_ = Phase::body;
  if (!current_.plan.expects_continue || !unread().empty()) return go_on();
  output_ = "HTTP/1.1 100 Continue\r\n\r\n";
  send(After::read_body);
}

bool Connection::advance_body() {
  if (!reader_.is_done() && !unread().empty()) {
    const auto taken = reader_.read_body(unread(), body_.raw);
    if (!taken) {
      refuse(taken.error(), true);
      return true;
    }
    current_.request_bytes += *taken;
    consume(*taken);
  }
  if (body_.stream) return advance_stream();

  const auto bytes_max = current_.plan.body_bytes_max;
  auto refusal = expand(request_.body, bytes_max + 1);
  if (!refusal && request_.body.size() > bytes_max) {
    refusal = Refusal{413, too_large("the body", bytes_max)};
  }
  if (!refusal && !hold(request_.body.size())) {
    refusal = Refusal{503, "the server holds as many bodies as it may"};
  }
  if (refusal) {
    refuse(*refusal, true);
    return true;
  }
  if (!is_body_complete()) return false;
  submit_request(false);
  return true;
}

std::optional<Refusal> Connection::expand(std::string& out, std::size_t out_max) {
  auto raw = std::string_view(body_.raw);
  if (!body_.inflater) {
    const auto step = raw.substr(0, out_max - std::min(out_max, out.size()));
    out.append(step);
    raw.remove_prefix(step.size());
  } else if (const auto done = body_.inflater->expand(raw, out, out_max); !done) {
    return Refusal{400, done.error().message};
  }
  body_.raw.erase(0, body_.raw.size() - raw.size());
  const bool is_cut_off = body_.inflater && reader_.is_done() && body_.raw.empty() &&
                          !body_.inflater->has_more() && !body_.inflater->is_complete();
  if (is_cut_off) return Refusal{400, "the gzip body ends too early"};
  return std::nullopt;
}

bool Connection::is_body_complete() const {
  return reader_.is_done() && body_.raw.empty() && !(body_.inflater && body_.inflater->has_more());
}

bool Connection::hold(std::size_t bytes) {
  const auto all = state_.buffered_bytes.fetch_add(bytes - body_.held) + bytes - body_.held;
  body_.held = bytes;
  if (all <= state_.options.buffered_bytes_max) return true;
  state_.refused_full.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void Connection::submit_request(bool is_stream_head) {
  phase_ = Phase::handling;
  set_deadline(state_.options.request_timeout);
  request_.deadline = deadline_;
  current_.flow = flow_of(request_);
  host_.submit({.route = current_.plan.route,
                .ticket = host_.ticket({id_, exchange_}),
                .work = std::move(request_),
                .is_stream_head = is_stream_head,
                .flow = current_.flow});
}

void Connection::on_decision(StreamDecision decision) {
  if (!decision.stream) return answer(std::move(decision.response));
  body_.stream = std::move(decision.stream);
  body_.answer_head = std::move(decision.response);
  body_.answer_head.body.clear();
  read_body();
}

bool Connection::advance_stream() {
  do {
    const auto before = body_.lines.size();
    auto refusal = expand(body_.lines, before + kStepBytes);
    body_.total += body_.lines.size() - before;
    const auto line_end = std::string_view(body_.lines).substr(before).rfind('\n');
    if (line_end != std::string_view::npos) body_.whole_lines = before + line_end + 1;
    if (!refusal && body_.whole_lines == 0 && body_.lines.size() > current_.plan.body_bytes_max) {
      refusal = Refusal{413, too_large("a line", current_.plan.body_bytes_max)};
    }
    if (!refusal && body_.total > state_.options.stream_bytes_max) {
      refusal = Refusal{413, too_large("the body", state_.options.stream_bytes_max)};
    }
    if (!refusal && !hold(body_.lines.size())) {
      refusal = Refusal{503, "the server holds as many bodies as it may"};
    }
    if (refusal) {
      refuse(*refusal, true);
      return true;
    }
    const bool is_full = body_.lines.size() + kStepBytes > kPieceBytes;
    if (body_.whole_lines > 0 && is_full && !is_body_complete()) {
      submit_piece(false);
      return true;
    }
  } while (!body_.raw.empty() || (body_.inflater && body_.inflater->has_more()));

  // What is here goes now; on a fast connection more is here, and a piece is a better batch.
  const bool is_last = is_body_complete();
  if (!is_last && (!is_drained_ || body_.whole_lines == 0)) return false;
  submit_piece(is_last);
  return true;
}

void Connection::submit_piece(bool is_last) {
  auto piece = std::make_shared<Piece>(body_.stream, std::move(body_.lines), is_last);
  const auto size = is_last ? piece->lines.size() : body_.whole_lines;
  body_.lines = piece->lines.substr(size);
  piece->lines.resize(size);
  body_.whole_lines = 0;
  body_.is_last_piece = is_last;
  phase_ = Phase::handling;
  set_deadline(state_.options.request_timeout);
  host_.submit({.route = current_.plan.route,
                .ticket = host_.ticket({id_, exchange_}),
                .work = std::move(piece),
                .flow = current_.flow});
}

void Connection::on_piece_answer(std::string text) {
  ++exchange_;  // The next piece is another question.
  if (!body_.is_answering && (!text.empty() || body_.is_last_piece)) {
    current_.keep_alive = current_.keep_alive && !current_.is_http_1_0 && !host_.is_draining();
    if (!append_answer_head(body_.answer_head, true)) {
      return refuse({500, "the answer could not be sent; see the log of the server"});
    }
    body_.is_answering = true;
  }
  if (current_.is_http_1_0) {
    output_.append(text);
  } else {
    append_chunk(text, output_);
    if (body_.is_last_piece) output_.append(kLastChunk);
  }
  if (!body_.is_last_piece) return send(After::read_body);
  send(current_.keep_alive ? After::next_request : After::close);
}

// The status is long sent: the error is the last line, and the missing end of the chunks says that
// this is not all.
void Connection::break_stream(const Refusal& refusal) {
  auto line = to_response(refusal, current_.id).body + "\n";
  if (current_.is_http_1_0) {
    output_ = std::move(line);
  } else {
    append_chunk(line, output_);
  }
  current_.status = refusal.status;
  send(After::linger);
}

}  // namespace samtale::http

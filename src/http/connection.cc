#include "http/connection.h"

#include <algorithm>
#include <utility>

#include "http/response_writer.h"

namespace samtale::http {
namespace {

constexpr std::size_t kKeptInputBytes = 4096;    // More is given back between requests.
constexpr std::size_t kCopiedBodyBytes = 16384;  // Up to here one write is cheaper than no copy.
constexpr std::size_t kWriteStepBytes = 65536;   // What a client must take within write_timeout.
constexpr int kDiscardReads = 16;                // A turn, so that other connections get theirs.
constexpr Duration kLinger = std::chrono::seconds(2);

}  // namespace

Connection::Connection(ServerState& state, ConnectionHost& host, Watch& watch, std::uint64_t id,
                       std::unique_ptr<Transport> transport, std::string peer)
    : state_(state),
      host_(host),
      watch_(watch),
      id_(id),
      transport_(std::move(transport)),
      peer_(std::move(peer)),
      reader_(state.options.header_bytes_max) {
  state_.connections.fetch_add(1, std::memory_order_relaxed);
  state_.hold_open();
}

Connection::~Connection() {
  if (phase_ != Phase::closed) let_go();
}

void Connection::start() {
  set_deadline(state_.options.header_timeout);
  watch_.when_readable();
}

void Connection::on_readable() {
  if (phase_ == Phase::handshake) return shake_hands();
  if (phase_ == Phase::writing) return write_on();
  if (phase_ == Phase::lingering) return discard();
  if (!is_reading()) return;
  is_drained_ = false;
  go_on();
}

void Connection::on_writable() {
  if (phase_ == Phase::writing) return write_on();
  on_readable();
}

void Connection::on_answer(Answer answer) {
  if (phase_ != Phase::handling || answer.exchange != ExchangeId{id_, exchange_}) return;
  if (auto* response = std::get_if<Response>(&answer.content)) {
    this->answer(std::move(*response));
  } else if (const auto* refusal = std::get_if<Refusal>(&answer.content)) {
    refuse(*refusal);
  } else if (auto* decision = std::get_if<StreamDecision>(&answer.content)) {
    on_decision(std::move(*decision));
  } else {
    on_piece_answer(std::move(std::get<PieceAnswer>(answer.content).text));
  }
}

void Connection::on_tick(Instant now) {
  if (now < deadline_) return;
  switch (phase_) {
    case Phase::head:
      return refuse({408, "the head of the request took too long"}, true);
    case Phase::body:
      return refuse({408, "the body of the request took too long"}, true);
    case Phase::handling:
      return refuse({503,
                     "the request was not answered in time; it may still be done",
                     {},
                     "deadline_exceeded"});
    default:
      return close();
  }
}

void Connection::on_drain(Duration idle_grace) {
  if (phase_ != Phase::idle && phase_ != Phase::handshake) return;
  deadline_ = std::min(deadline_, state_.clock.now() + idle_grace);
}

void Connection::shake_hands() {
  switch (transport_->handshake().status) {
    case IoStatus::ok:
      phase_ = Phase::idle;
      is_drained_ = false;
      return go_on();
    case IoStatus::want_read:
      return watch_.when_readable();
    case IoStatus::want_write:
      return watch_.when_writable();
    default:
      return close();
  }
}

void Connection::go_on() {
  // An answer that is written at once comes back here: the loop below takes up its next request.
  if (std::exchange(is_going_on_, true)) return;
  while (is_reading()) {
    advance();
    if (!is_reading()) break;
    if (is_input_over_) {
      end_of_input();
    } else if (is_drained_) {
      watch_.when_readable();
      break;
    } else {
      receive();
    }
  }
  is_going_on_ = false;
}

void Connection::receive() {
  const auto scratch = host_.scratch();
  const auto got = transport_->read(scratch);
  is_drained_ = got.is_drained;
  switch (got.status) {
    case IoStatus::ok:
      input_.append(scratch.data(), got.bytes);
      break;
    case IoStatus::want_read:
      is_drained_ = true;
      break;
    case IoStatus::want_write:
      is_drained_ = true;
      watch_.when_writable();
      break;
    case IoStatus::closed:
      is_input_over_ = true;
      is_drained_ = true;
      break;
    case IoStatus::failed:
      close();
      break;
  }
}

void Connection::advance() {
  bool moved = true;
  while (moved && is_reading()) {
    moved = phase_ == Phase::body ? advance_body() : advance_head();
  }
}

bool Connection::advance_head() {
  if (unread().empty()) return false;
  if (phase_ == Phase::idle) {
    phase_ = Phase::head;
    current_.started = state_.clock.now();
    set_deadline(state_.options.header_timeout);
  }
  Head head;
  const auto taken = reader_.read_head(unread(), head);
  if (!taken) {
    refuse(taken.error(), true);
    return true;
  }
  if (*taken == 0) return false;
  current_.request_bytes = *taken;
  consume(*taken);
  begin_request(std::move(head));
  return true;
}

void Connection::consume(std::size_t bytes) {
  input_at_ += bytes;
  if (input_at_ < input_.size()) return;
  input_.clear();
  input_at_ = 0;
  if (input_.capacity() > kKeptInputBytes) input_.shrink_to_fit();
}

void Connection::begin_request(Head head) {
  state_.in_flight.fetch_add(1, std::memory_order_relaxed);
  current_.is_counted = true;
  current_.started = state_.clock.now();
  current_.is_http_1_0 = head.is_http_1_0;
  current_.keep_alive = head.keep_alive;
  const auto body_bytes = head.body_bytes;
  const bool has_body = head.has_body;
  auto plan = plan_request(head, state_.router, state_.options, request_);
  if (request_.id.empty()) request_.id = host_.make_request_id();
  current_.id = request_.id;
  current_.method = request_.method;
  current_.path = request_.path;
  if (!plan) return refuse(plan.error());
  current_.plan = *plan;
  request_.peer = peer_;
  request_.is_local = peer_ == "local";
  if (plan->is_gzip) body_.inflater = std::make_unique<Inflater>();
  if (plan->is_stream) return submit_request(true);
  if (!has_body) return submit_request(false);
  request_.body.reserve(std::min<std::size_t>(body_bytes.value_or(0), kWriteStepBytes));
  read_body();
}

void Connection::end_of_input() {
  if (phase_ == Phase::idle) return close();
  refuse({400, "the connection ended inside a request"}, true);
}

void Connection::discard() {
  for (int i = 0; i < kDiscardReads; ++i) {
    const auto got = transport_->read(host_.scratch());
    if (got.status == IoStatus::closed || got.status == IoStatus::failed) return close();
    if (got.status != IoStatus::ok) break;
  }
  watch_.when_readable();
}

void Connection::refuse(const Refusal& refusal, bool must_close) {
  if (body_.is_answering) return break_stream(refusal);
  if (current_.id.empty()) current_.id = host_.make_request_id();
  answer(to_response(refusal, current_.id), must_close);
}

void Connection::answer(Response response, bool must_close) {
  const bool is_body_unread = must_close || !reader_.is_done();
  current_.keep_alive = current_.keep_alive && !is_body_unread && !host_.is_draining();
  if (!append_answer_head(response, false)) {
    state_.log.error("http.bad_answer", {{"path", current_.path},
                                         {"status", std::to_string(response.status)},
                                         {"request_id", current_.id}});
    return answer(
        to_response({500, "the answer could not be sent; see the log of the server"}, current_.id),
        must_close);
  }
  if (current_.method == "HEAD" || !may_have_body(response.status)) {
    response.body.clear();
  } else if (response.body.size() <= kCopiedBodyBytes) {
    output_.append(response.body);
  } else {
    output_body_ = std::move(response.body);
  }
  if (current_.keep_alive) return send(After::next_request);
  send(is_body_unread || !unread().empty() ? After::linger : After::close);
}

bool Connection::append_answer_head(const Response& response, bool is_chunked) {
  current_.status = response.status;
  return append_head(response,
                     {.date = host_.date(),
                      .request_id = current_.id,
                      .is_http_1_0 = current_.is_http_1_0,
                      .keep_alive = current_.keep_alive,
                      .is_chunked = is_chunked},
                     output_);
}

void Connection::send(After after) {
  phase_ = Phase::writing;
  after_ = after;
  extended_at_ = 0;
  set_deadline(state_.options.write_timeout);
  write_on();
}

void Connection::write_on() {
  while (written_ < output_.size() + output_body_.size()) {
    const auto rest = written_ < output_.size()
                          ? std::string_view(output_).substr(written_)
                          : std::string_view(output_body_).substr(written_ - output_.size());
    const auto sent = transport_->write(rest);
    switch (sent.status) {
      case IoStatus::ok:
        written_ += sent.bytes;
        break;
      case IoStatus::want_write:
        return watch_.when_writable();
      case IoStatus::want_read:
        return watch_.when_readable();
      default:
        return close();
    }
    if (written_ - extended_at_ >= kWriteStepBytes) {
      extended_at_ = written_;
      set_deadline(state_.options.write_timeout);
    }
  }
  written();
}

void Connection::written() {
  current_.response_bytes += written_;
  written_ = 0;
  output_.clear();
  if (output_.capacity() > 2 * kCopiedBodyBytes) output_.shrink_to_fit();
  output_body_ = {};
  if (after_ == After::read_body) {
    phase_ = Phase::body;
    set_deadline(state_.options.body_timeout);
    return go_on();
  }
  finish_exchange();
  if (after_ == After::next_request) {
    phase_ = Phase::idle;
    set_deadline(state_.options.idle_timeout);
    return go_on();
  }
  if (after_ == After::close) return close();
  transport_->shut_write();
  input_ = {};
  input_at_ = 0;
  phase_ = Phase::lingering;
  set_deadline(std::min(kLinger, state_.options.write_timeout));
  discard();
}

void Connection::finish_exchange() {
  ++exchange_;
  if (std::exchange(current_.is_counted, false)) {
    state_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  }
  if (state_.observer) {
    state_.observer({.method = current_.method,
                     .route = current_.plan.route ? current_.plan.route->pattern : "",
                     .path = current_.path,
                     .request_id = current_.id,
                     .peer = peer_,
                     .status = current_.status,
                     .request_bytes = current_.request_bytes,
                     .response_bytes = current_.response_bytes,
                     .took = state_.clock.now() - current_.started});
  }
  state_.buffered_bytes.fetch_sub(body_.held, std::memory_order_relaxed);
  body_ = {};
  request_ = {};
  current_ = {};
}

void Connection::set_deadline(Duration from_now) { deadline_ = state_.clock.now() + from_now; }

void Connection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  let_go();
  watch_.close();
}

void Connection::let_go() {
  if (current_.is_counted) state_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  state_.buffered_bytes.fetch_sub(body_.held, std::memory_order_relaxed);
  body_ = {};
  state_.connections.fetch_sub(1, std::memory_order_relaxed);
  state_.let_go();
}

}  // namespace samtale::http

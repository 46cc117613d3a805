// Connection: one client, from its first byte to the last; what HTTP/1.1 says happens in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/inflater.h"
#include "http/outbox.h"
#include "http/request_plan.h"
#include "http/request_reader.h"
#include "http/server_state.h"
#include "http/transport.h"

namespace samtale::http {

// The socket of a connection as its loop watches it.
class Watch {
 public:
  virtual ~Watch() = default;
  virtual void when_readable() = 0;  // Calls on_readable() once. Asked twice is asked once.
  virtual void when_writable() = 0;
  virtual void close() = 0;  // Calls nothing more and destroys the connection soon, not yet.
};

// What connections need of the loop they live on.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  virtual void submit(Job job) = 0;  // on_answer() follows, later.
  [[nodiscard]] virtual Ticket ticket(ExchangeId exchange) = 0;
  [[nodiscard]] virtual std::string make_request_id() = 0;
  [[nodiscard]] virtual std::string_view date() = 0;
  [[nodiscard]] virtual std::span<char> scratch() = 0;  // To read into, used up before returning.
  [[nodiscard]] virtual bool is_draining() const = 0;
};

// Order:   one request at a time: the next is not looked at until the answer is written, and while
//          a handler works nothing is read. Deadlines are looked at when the loop calls on_tick().
// Threads: that of its loop.
// Memory:  input of one read beyond what is needed; a body up to its limit, counted in
//          ServerState::buffered_bytes.
// Source:  RFC 9112.
class Connection {
 public:
  Connection(ServerState& state, ConnectionHost& host, Watch& watch, std::uint64_t id,
             std::unique_ptr<Transport> transport, std::string peer);
  ~Connection();

  void start();
  void on_readable();
  void on_writable();
  void on_answer(Answer answer);
  void on_tick(Instant now);
  void on_drain(Duration idle_grace);  // Closes if no request begins in that time.

 private:
  enum class Phase : std::uint8_t {
    handshake,
    idle,  // Between requests.
    head,  // Part of a head is here.
    body,
    handling,  // A handler has it.
    writing,
    lingering,  // All is answered; reads on so that the peer sees the answer before a reset.
    closed,
  };
  enum class After : std::uint8_t { next_request, read_body, linger, close };

  // One request and its answer.
  struct Current {
    std::string method;
    std::string path;
    std::string id;
    Plan plan;
    Instant started{};
    std::size_t flow = 0;
    std::size_t request_bytes = 0;
    std::size_t response_bytes = 0;
    int status = 0;
    bool is_http_1_0 = false;
    bool keep_alive = false;
    bool is_counted = false;  // In ServerState::in_flight.
  };
  struct Body {
    std::string raw;  // Without chunks, not expanded yet.
    std::unique_ptr<Inflater> inflater;
    std::size_t held = 0;  // Counted in ServerState::buffered_bytes.
    // Of a stream:
    std::shared_ptr<BodyStream> stream;
    Response answer_head;
    bool is_answering = false;  // The head is sent.
    bool is_last_piece = false;
    std::string lines;
    std::size_t whole_lines = 0;  // Bytes of `lines` up to its last line end.
    std::size_t total = 0;
  };

  [[nodiscard]] bool is_reading() const {
    return phase_ == Phase::idle || phase_ == Phase::head || phase_ == Phase::body;
  }
  [[nodiscard]] std::string_view unread() const {
    return std::string_view(input_).substr(input_at_);
  }

  void shake_hands();
  void go_on();    // Reads and works until something is missing.
  void receive();  // One read.
  void advance();
  bool advance_head();  // False: more input is needed.
  bool advance_body();
  bool advance_stream();
  void consume(std::size_t bytes);
  void begin_request(Head head);
  void end_of_input();
  void discard();

  void read_body();
  [[nodiscard]] std::optional<Refusal> expand(std::string& out, std::size_t out_max);
  [[nodiscard]] bool is_body_complete() const;
  [[nodiscard]] bool hold(std::size_t bytes);
  void submit_request(bool is_stream_head);

  void on_decision(StreamDecision decision);
  void submit_piece(bool is_last);
  void on_piece_answer(std::string text);
  void break_stream(const Refusal& refusal);

  // `must_close`: the rest of the input is not read as requests. Always so for a bad body, lest it
  // depend on how much of it was there.
  void refuse(const Refusal& refusal, bool must_close = false);
  void answer(Response response, bool must_close = false);
  [[nodiscard]] bool append_answer_head(const Response& response, bool is_chunked);
  void send(After after);
  void write_on();
  void written();
  void finish_exchange();
  void set_deadline(Duration from_now);
  void close();
  void let_go();

  ServerState& state_;
  ConnectionHost& host_;
  Watch& watch_;
  const std::uint64_t id_;
  const std::unique_ptr<Transport> transport_;
  const std::string peer_;

  Phase phase_ = Phase::handshake;
  Instant deadline_{};
  bool is_going_on_ = false;
  bool is_drained_ = true;  // Nothing more to read until the socket says so.
  bool is_input_over_ = false;
  std::string input_;
  std::size_t input_at_ = 0;
  RequestReader reader_;

  std::uint64_t exchange_ = 0;
  Current current_;
  Request request_;
  Body body_;

  After after_ = After::close;
  std::string output_;
  std::string output_body_;
  std::size_t written_ = 0;  // Of both.
  std::size_t extended_at_ = 0;
};

}  // namespace samtale::http

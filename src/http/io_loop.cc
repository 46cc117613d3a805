#include "http/io_loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "base/bytes.h"
#include "base/check.h"
#include "http/connection.h"
#include "http/response_writer.h"

namespace samtale::http {
namespace {

namespace asio = boost::asio;
using AsioError = boost::system::error_code;
// With the executor as a type: the type-erased default costs half a microsecond a request.
using Executor = asio::io_context::executor_type;
using Socket = asio::posix::basic_stream_descriptor<Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

constexpr std::size_t kScratchBytes = 65536;
constexpr int kAcceptsAtOnce = 64;

// An eighth of the shortest limit: late by no more than that, and cheap (no timer per request).
Duration sweep_interval(const ServerOptions& options) {
  const auto shortest =
      std::min({options.header_timeout, options.body_timeout, options.request_timeout,
                options.write_timeout, options.idle_timeout});
  return std::clamp<Duration>(shortest / 8, std::chrono::milliseconds(5),
                              std::chrono::milliseconds(250));
}

class AsioLoop final : public IoLoop, public ConnectionHost {
 public:
  explicit AsioLoop(ServerState& state);
  ~AsioLoop() override;

  void listen(Listener listener, TlsContext* tls) override;
  Result<> start() override;
  void drain(Instant deadline, Duration idle_grace) override;

  void submit(Job job) override;
  Ticket ticket(ExchangeId exchange) override { return {outbox_, exchange}; }
  std::string make_request_id() override;
  std::string_view date() override;
  std::span<char> scratch() override { return scratch_; }
  bool is_draining() const override { return is_draining_; }

 private:
  struct Acceptor {
    Acceptor(asio::io_context& io, Listener the_listener, TlsContext* the_tls)
        : listener(std::move(the_listener)), tls(the_tls), socket(io) {}
    Listener listener;
    TlsContext* const tls;
    Socket socket;  // A duplicate, to be waited for.
    bool is_waiting = false;
  };
  // A connection and its socket.
  struct Entry final : Watch {
    Entry(AsioLoop& the_loop, std::uint64_t the_id)
        : loop(the_loop), id(the_id), socket(*the_loop.io_) {}
    void when_readable() override;
    void when_writable() override;
    void close() override;
    void woken(bool& is_waiting, void (Connection::*event)());

    AsioLoop& loop;
    const std::uint64_t id;
    Socket socket;
    bool is_reading = false;
    bool is_writing = false;
    std::optional<Connection> connection;
  };

  void wait_to_accept(Acceptor& acceptor);
  bool accept_one(Acceptor& acceptor);  // False: nothing more to accept now.
  bool accept_without_descriptors(Acceptor& acceptor, int error);
  void add(Acceptor& acceptor, Listener::Accepted accepted);
  void turn_away(Acceptor& acceptor, const Listener::Accepted& accepted);
  void push_jobs();
  void take_answers();
  void sweep();
  void stop_accepting(Duration idle_grace);

  ServerState& state_;
  // Shared with the outbox, which wakes it even when the loop is gone (a reply that comes late).
  const std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  const std::shared_ptr<Outbox> outbox_;
  Timer sweep_timer_{*io_};
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Entry>> entries_;
  std::uint64_t last_id_ = 0;
  bool is_draining_ = false;
  Duration idle_grace_{};
  Instant drain_deadline_ = Instant::max();
  std::vector<char> scratch_ = std::vector<char>(kScratchBytes);
  std::vector<Job> jobs_;                                          // Of this turn of the loop.
  std::vector<Answer> answers_;                                    // Kept for its memory.
  Descriptor reserve_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};  // Spent when there are no more.
  const std::string id_prefix_;
  std::uint64_t ids_ = 0;
  WallTime date_at_{};
  std::string date_;
  std::jthread thread_;
};

AsioLoop::AsioLoop(ServerState& state)
    : state_(state),
      outbox_(std::make_shared<Outbox>(
          [this, io = io_] { asio::post(*io, [this] { take_answers(); }); })),
      id_prefix_(base32(state.random.bytes(10)) + "-") {}

AsioLoop::~AsioLoop() {
  io_->stop();
  if (thread_.joinable()) thread_.join();
  entries_.clear();
  if (!acceptors_.empty()) state_.let_go();
}

void AsioLoop::listen(Listener listener, TlsContext* tls) {
  if (acceptors_.empty()) state_.hold_open();
  acceptors_.push_back(std::make_unique<Acceptor>(*io_, std::move(listener), tls));
}

Result<> AsioLoop::start() {
  for (const auto& acceptor : acceptors_) {
    AsioError error;
    acceptor->socket.assign(::fcntl(acceptor->listener.get(), F_DUPFD_CLOEXEC, 0), error);
    if (error) return fail(ErrorCode::unavailable, "watch a listening socket: " + error.message());
    wait_to_accept(*acceptor);
  }
  sweep();
  try {
    thread_ = std::jthread([this] {
      // OpenSSL writes to sockets without MSG_NOSIGNAL.
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      io_->run();
    });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::unavailable, std::string("start of an I/O thread: ") + error.what());
  }
  return {};
}

void AsioLoop::drain(Instant deadline, Duration idle_grace) {
  asio::post(*io_, [this, deadline, idle_grace] {
    drain_deadline_ = deadline;
    stop_accepting(idle_grace);
  });
}

void AsioLoop::stop_accepting(Duration idle_grace) {
  if (std::exchange(is_draining_, true)) return;
  idle_grace_ = idle_grace;
  for (const auto& acceptor : acceptors_) {
    while (accept_one(*acceptor)) continue;
    AsioError ignored;
    acceptor->socket.close(ignored);
  }
  for (const auto& [id, entry] : entries_) entry->connection->on_drain(idle_grace);
  if (acceptors_.empty()) return;
  acceptors_.clear();
  state_.let_go();
}

void AsioLoop::wait_to_accept(Acceptor& acceptor) {
  acceptor.is_waiting = true;
  acceptor.socket.async_wait(Socket::wait_read, [this, &acceptor](const AsioError& error) {
    if (error || is_draining_) return;
    acceptor.is_waiting = false;
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
      if (!accept_one(acceptor)) return;
    }
    wait_to_accept(acceptor);
  });
}

bool AsioLoop::accept_one(Acceptor& acceptor) {
  auto accepted = acceptor.listener.accept();
  switch (accepted.error) {
    case 0:
      break;
    case EAGAIN:
      if (!is_draining_) wait_to_accept(acceptor);
      return false;
    case EMFILE:
    case ENFILE:
      return accept_without_descriptors(acceptor, accepted.error);
    case ECONNABORTED:
    case EINTR:
      return true;
    default:
      return false;  // No memory, or worse: sweep() tries again.
  }
  if (state_.connections.load(std::memory_order_relaxed) >= state_.options.connections_max) {
    turn_away(acceptor, accepted);
  } else {
    add(acceptor, std::move(accepted));
  }
  return true;
}

// Left in the queue, the connection would wake the loop for ever: spend the reserve to answer it.
bool AsioLoop::accept_without_descriptors(Acceptor& acceptor, int error) {
  state_.log.error("http.no_descriptors",
                   {{"cause", std::strerror(error)}, {"remedy", "raise the limit of open files"}});
  reserve_ = Descriptor();
  {
    const auto accepted = acceptor.listener.accept();
    if (accepted.error == 0) turn_away(acceptor, accepted);
  }
  reserve_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return reserve_.get() >= 0;
}

void AsioLoop::turn_away(Acceptor& acceptor, const Listener::Accepted& accepted) {
  state_.refused_full.fetch_add(1, std::memory_order_relaxed);
  if (acceptor.tls) return;  // No answer without a handshake, and no room for one.
  const auto id = make_request_id();
  const auto response = to_response({503, "the server has as many connections as it may"}, id);
  std::string text;
  SAMTALE_CHECK(
      append_head(response, {.date = date(), .request_id = id, .keep_alive = false}, text),
      "answers of the server itself can be sent");
  text.append(response.body);
  const auto transport = make_plain_transport(accepted.descriptor.get());
  transport->write(text);
  transport->shut_write();
  // What the client has sent and nobody read would turn the close into a reset.
  transport->read(scratch_);
}

void AsioLoop::add(Acceptor& acceptor, Listener::Accepted accepted) {
  const int descriptor = accepted.descriptor.get();
  auto entry = std::make_unique<Entry>(*this, ++last_id_);
  AsioError error;
  entry->socket.assign(descriptor, error);
  if (error) {
    state_.log.warn("http.not_watched", {{"cause", error.message()}});
    return;
  }
  static_cast<void>(accepted.descriptor.release());
  auto transport = acceptor.tls ? acceptor.tls->wrap(descriptor) : make_plain_transport(descriptor);
  entry->connection.emplace(state_, *this, *entry, entry->id, std::move(transport),
                            std::move(accepted.peer));
  auto& connection = *entry->connection;
  entries_.emplace(entry->id, std::move(entry));
  connection.start();
  if (is_draining_) connection.on_drain(idle_grace_);
}

void AsioLoop::Entry::when_readable() {
  if (std::exchange(is_reading, true)) return;
  socket.async_wait(Socket::wait_read,
                    [this](const AsioError&) { woken(is_reading, &Connection::on_readable); });
}

void AsioLoop::Entry::when_writable() {
  if (std::exchange(is_writing, true)) return;
  socket.async_wait(Socket::wait_write,
                    [this](const AsioError&) { woken(is_writing, &Connection::on_writable); });
}

void AsioLoop::Entry::woken(bool& is_waiting, void (Connection::*event)()) {
  is_waiting = false;
  if (socket.is_open()) {
    ((*connection).*event)();
  } else if (!is_reading && !is_writing) {
    loop.entries_.erase(id);
  }
}

void AsioLoop::Entry::close() {
  AsioError ignored;
  socket.close(ignored);
  if (is_reading || is_writing) return;  // The wait that was cancelled comes back, then it goes.
  asio::post(*loop.io_, [owner = &loop, key = id] { owner->entries_.erase(key); });
}

void AsioLoop::submit(Job job) {
  jobs_.push_back(std::move(job));
  // After all sockets that are ready now: one push, one wake-up for all their requests.
  if (jobs_.size() == 1) asio::post(*io_, [this] { push_jobs(); });
}

void AsioLoop::push_jobs() {
  state_.handlers.push(jobs_);
  for (auto& job : std::exchange(jobs_, {})) {
    state_.refused_full.fetch_add(1, std::memory_order_relaxed);
    const auto entry = entries_.find(job.ticket.exchange().connection);
    if (entry != entries_.end()) {
      entry->second->connection->on_answer(
          {job.ticket.exchange(), Refusal{503, "the server has as many requests as it may"}});
    }
    job.ticket.forget();
  }
}

void AsioLoop::take_answers() {
  outbox_->take(answers_);
  for (auto& answer : answers_) {
    const auto entry = entries_.find(answer.exchange.connection);
    if (entry != entries_.end()) entry->second->connection->on_answer(std::move(answer));
  }
  answers_.clear();
}

void AsioLoop::sweep() {
  const auto now = state_.clock.now();
  for (const auto& [id, entry] : entries_) entry->connection->on_tick(now);
  for (const auto& acceptor : acceptors_) {
    if (!acceptor->is_waiting) wait_to_accept(*acceptor);
  }
  if (now >= drain_deadline_) state_.end_drain();
  sweep_timer_.expires_after(sweep_interval(state_.options));
  sweep_timer_.async_wait([this](const AsioError& error) {
    if (!error) sweep();
  });
}

std::string AsioLoop::make_request_id() { return id_prefix_ + std::to_string(++ids_); }

std::string_view AsioLoop::date() {
  const auto now = state_.clock.wall_now();
  if (date_.empty() || now < date_at_ || now >= date_at_ + std::chrono::seconds(1)) {
    date_at_ = std::chrono::floor<std::chrono::seconds>(now);
    date_ = http_date(now);
  }
  return date_;
}

}  // namespace

std::unique_ptr<IoLoop> make_io_loop(ServerState& state) {
  return std::make_unique<AsioLoop>(state);
}

}  // namespace samtale::http

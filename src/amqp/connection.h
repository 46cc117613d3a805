// Connection: one session with a RabbitMQ broker. Messages are published with confirms, a window at
// a time, and what consumers are sent is taken as it comes. Each call ends by a deadline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

struct amqp_connection_state_t_;
struct amqp_frame_t_;
struct amqp_method_t_;

namespace samtale::amqp {

struct Address {
  std::string host;
  std::uint16_t port = 5672;
  std::string vhost = "/";
  std::string user = "guest";
  std::string password = "guest";
  bool is_tls = false;         // The broker's certificate must be the host's, and signed by …
  std::string authority_file;  // … one in this PEM file; empty: by one that the system trusts.
};

// amqp://[user@]host[:port][/vhost], or amqps:// for TLS, with ?cacertfile=PATH or without; the
// parts percent-encoded. Errors: invalid_argument, saying what is wrong. A password is none of it:
// it would be shown with the configuration.
[[nodiscard]] Result<Address> parse_url(std::string_view url);

// What a broker says that it is, as a connection begins. invalid_argument for a RabbitMQ of before
// 3.10, the oldest that was tried.
[[nodiscard]] Result<> check_broker(std::string_view product, std::string_view version);

// A durable quorum queue.
struct QueueSpec {
  std::string name{};
  std::int32_t deliveries_max = 0;  // Then it is a dead letter; 0: however often.
  std::string dead_letters{};       // The queue that gets them; empty: they are dropped.
  std::int64_t bytes_max = 0;       // It refuses what is more; 0: whatever the broker has room for.
};

struct Message {
  std::string_view queue;
  std::string body;
};

struct Delivery {
  std::uint64_t tag = 0;  // Of this connection: none other can acknowledge it.
  std::string queue;
  std::string body;             // Cut after the connection's body_bytes_max.
  bool is_redelivered = false;  // Somebody may have had it before.
};

// Threads: one at a time; calls block, at most until their deadline. (Sending has none of its own
//          in the library: it ends when the other side has taken nothing for kSendTimeout.)
// Memory:  what has been delivered and not yet asked for: at most the prefetch of each consumer.
// Errors:  unavailable, deadline_exceeded: after them the connection is of no more use
//          (is_usable()); permission_denied; those named.
class Connection {
 public:
  static constexpr std::size_t kBodyBytesMax = std::size_t{64} << 10;  // Unless told otherwise.
  static constexpr Duration kHeartbeat = std::chrono::seconds(60);     // When idle.
  static constexpr Duration kSendTimeout = std::chrono::seconds(10);

  // `clock` must outlive the connection. Errors: permission_denied if user or password is refused;
  // those of check_broker().
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(
      const Address& address, const Clock& clock, Instant deadline,
      std::size_t body_bytes_max = kBodyBytesMax);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] bool is_usable() const { return is_usable_; }

  // Whether there is such a queue, whatever its kind.
  [[nodiscard]] Result<bool> has_queue(std::string_view name, Instant deadline);
  // Makes the queue; it may be there already. conflict if another of its name is: not durable, no
  // quorum queue, or with other limits. The connection is usable afterwards.
  Result<> declare(const QueueSpec& queue, Instant deadline);
  // With the messages in it. It need not be there.
  Result<> remove(std::string_view queue, Instant deadline);

  // How many messages wait in the queue for a consumer. Whatever the broker has sent here of it
  // before it counted has arrived when this returns.
  [[nodiscard]] Result<std::size_t> waiting(std::string_view queue, Instant deadline);

  // Returns once the broker has confirmed all of them: each is on disk at a majority of its
  // queue's replicas. After an error any of them may be in its queue all the same. unavailable,
  // naming the queue, if there is none or it is full.
  Result<> publish(std::span<const Message> messages, Instant deadline);

  // From here on the queue's messages come, at most `prefetch` that are not acknowledged.
  Result<> consume(std::string_view queue, std::uint16_t prefetch, Instant deadline);
  // What has come, in its order; does not wait.
  [[nodiscard]] Result<std::vector<Delivery>> arrived();
  // They will not be sent again. Nothing is waited for: one that did not get there is.
  Result<> acknowledge(std::span<const std::uint64_t> tags);

 private:
  struct Close {
    void operator()(amqp_connection_state_t_* connection) const;
  };
  // What is being received; a message comes in several frames.
  struct Incoming {
    Delivery delivery;
    bool is_returned = false;  // One of our own, that no queue would have.
    std::uint64_t bytes_left = 0;
  };

  Connection(amqp_connection_state_t_* connection, const Clock& clock, std::size_t body_bytes_max)
      : connection_(connection), clock_(clock), body_bytes_max_(body_bytes_max) {}

  Result<> connect(const Address& address, Instant deadline);
  Result<> handshake(const Address& address, Instant deadline);
  [[nodiscard]] Result<> set_deadline(Instant deadline);
  // Of the last call, which is an RPC of the protocol.
  Result<> check_reply();
  Result<> broken(int status, std::string_view what);
  // On a channel of its own, which an error closes: the connection goes on.
  [[nodiscard]] Result<bool> declare_on_the_side(const QueueSpec& queue, bool passive,
                                                 Instant deadline);
  // False: none came in time.
  [[nodiscard]] Result<bool> take_frame(Instant deadline);
  Result<> take_method(const amqp_method_t_& method);
  void take_header(std::uint64_t body_bytes);
  void end_incoming();
  void confirm(std::uint64_t tag, bool is_multiple);

  const std::unique_ptr<amqp_connection_state_t_, Close> connection_;
  const Clock& clock_;
  const std::size_t body_bytes_max_;
  bool is_usable_ = true;
  std::uint64_t published_ = 0;
  std::set<std::uint64_t> unconfirmed_;
  std::string refused_by_;  // The queue that would not have a message of ours.
  std::optional<Incoming> incoming_;
  std::vector<Delivery> arrived_;
  std::vector<std::string> consumed_;  // By the number that is the consumer's tag.
  std::set<std::uint64_t> unacknowledged_;
};

}  // namespace samtale::amqp

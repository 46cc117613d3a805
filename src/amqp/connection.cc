#include "amqp/connection.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "sys/resolve.h"

namespace samtale::amqp {
namespace {

constexpr amqp_channel_t kWork = 1;
constexpr amqp_channel_t kAside = 2;
constexpr int kFrameBytesMax = 128 << 10;
constexpr std::uint8_t kPersistent = 2;
constexpr int kNotFound = 404;  // AMQP 0-9-1, section 1.2.
constexpr int kPreconditionFailed = 406;

amqp_bytes_t bytes_of(std::string_view text) {
  return {.len = text.size(), .bytes = const_cast<char*>(text.data())};
}

std::string text_of(amqp_bytes_t bytes) {
  return {static_cast<const char*>(bytes.bytes), bytes.len};
}

// A property of the server; empty if it has none of that name.
std::string said_of(amqp_connection_state_t connection, std::string_view property) {
  const auto* const table = ::amqp_get_server_properties(connection);
  for (int i = 0; i < table->num_entries; ++i) {
    const auto& entry = table->entries[i];
    if (text_of(entry.key) == property && entry.value.kind == AMQP_FIELD_KIND_UTF8) {
      return text_of(entry.value.value.bytes);
    }
  }
  return {};
}

// What the server says as it closes a channel or the connection.
struct Closed {
  int code = 0;
  std::string text;
};

Closed closed_by(const amqp_method_t& method) {
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto& close = *static_cast<const amqp_channel_close_t*>(method.decoded);
    return {close.reply_code, text_of(close.reply_text)};
  }
  if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto& close = *static_cast<const amqp_connection_close_t*>(method.decoded);
    return {close.reply_code, text_of(close.reply_text)};
  }
  return {0, "an answer that belongs to no question"};
}

timeval time_left(const Clock& clock, Instant deadline) {
  const auto left = std::max<std::int64_t>(
      std::chrono::ceil<std::chrono::microseconds>(deadline - clock.now()).count(), 1);
  return {.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
}

// Whose certificates are taken.
Result<> trust(amqp_socket_t& socket, const std::string& authority_file) {
  ::amqp_ssl_socket_set_verify_peer(&socket, 1);
  ::amqp_ssl_socket_set_verify_hostname(&socket, 1);
  ::amqp_ssl_socket_set_ssl_versions(&socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
  const bool is_read =
      authority_file.empty()
          ? ::SSL_CTX_set_default_verify_paths(
                static_cast<SSL_CTX*>(::amqp_ssl_socket_get_context(&socket))) == 1
          : ::amqp_ssl_socket_set_cacert(&socket, authority_file.c_str()) == AMQP_STATUS_OK;
  if (is_read) return {};
  return fail(ErrorCode::invalid_argument,
              "no certificates of authorities can be read from " +
                  (authority_file.empty() ? "the system's folder" : authority_file));
}

amqp_table_entry_t entry(const char* key, std::string_view text) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_UTF8;
  made.value.value.bytes = bytes_of(text);
  return made;
}

}  // namespace

Result<Address> parse_url(std::string_view url) {
  const auto wrong = [](const char* why) { return fail(ErrorCode::invalid_argument, why); };
  Address address;
  constexpr std::string_view kAuthority = "?cacertfile=";
  if (const auto at = url.find(kAuthority); at != std::string_view::npos) {
    address.authority_file = url.substr(at + kAuthority.size());
    url = url.substr(0, at);
  }
  address.is_tls = url.starts_with("amqps://");
  if (!address.is_tls && !address.authority_file.empty())
    return wrong("names a cacertfile: that is amqps://'s");
  std::string text(url);  // The library cuts it up.
  amqp_connection_info info{};
  if (!(url.starts_with("amqp://") || address.is_tls) ||
      ::amqp_parse_url(text.data(), &info) != AMQP_STATUS_OK) {
    return wrong("must be amqp://user@host:5672/vhost, or amqps://");
  }
  const bool has_password =
      info.password >= text.data() && info.password <= text.data() + text.size();
  if (has_password) return wrong("must hold no password; put it in a file");
  if (*info.host == '\0') return wrong("names no host");
  if (info.port <= 0 || info.port > 65535) return wrong("must name a port from 1 to 65535");
  address.host = info.host;
  address.port = static_cast<std::uint16_t>(info.port);
  if (*info.vhost != '\0') address.vhost = info.vhost;
  address.user = info.user;
  return address;
}

Result<> check_broker(std::string_view product, std::string_view version) {
  constexpr std::pair kOldest{3, 10};
  std::pair<int, int> given;
  const auto* const end = version.data() + version.size();
  const auto major = std::from_chars(version.data(), end, given.first);
  if (major.ptr != end) std::from_chars(major.ptr + 1, end, given.second);
  if (product != "RabbitMQ" || given >= kOldest) return {};
  return fail(ErrorCode::invalid_argument, "the broker is RabbitMQ " + std::string(version) +
                                               ", and 3.10 is the oldest that will do");
}

void Connection::Close::operator()(amqp_connection_state_t connection) const {
  ::amqp_destroy_connection(connection);
}

Result<std::unique_ptr<Connection>> Connection::open(const Address& address, const Clock& clock,
                                                     Instant deadline, std::size_t body_bytes_max) {
  auto* const made = ::amqp_new_connection();
  if (made == nullptr) return fail(ErrorCode::unavailable, "no memory for a connection");
  std::unique_ptr<Connection> connection(new Connection(made, clock, body_bytes_max));
  SAMTALE_TRY_VOID(connection->handshake(address, deadline));
  return connection;
}

// A polite end, so that the broker's log says nothing of it.
Connection::~Connection() {
  if (!is_usable_ || !set_deadline(clock_.now() + std::chrono::seconds(1))) return;
  ::amqp_connection_close(connection_.get(), AMQP_REPLY_SUCCESS);
}

// The library looks the name up again for TLS, where it wants to see it in the certificate.
Result<> Connection::connect(const Address& address, Instant deadline) {
  auto* const connection = connection_.get();
  SAMTALE_TRY(const auto ips, resolve(address.host, clock_, deadline));
  auto* const socket =
      address.is_tls ? ::amqp_ssl_socket_new(connection) : ::amqp_tcp_socket_new(connection);
  if (socket == nullptr) return fail(ErrorCode::unavailable, "no memory for a connection");
  if (address.is_tls) SAMTALE_TRY_VOID(trust(*socket, address.authority_file));
  int status = AMQP_STATUS_OK;
  for (std::size_t i = 0; i < (address.is_tls ? 1 : ips.size()); ++i) {
    const auto& host = address.is_tls ? address.host : ips[i];
    const auto now = clock_.now();
    const auto part =
        (deadline - now) / static_cast<Duration::rep>(address.is_tls ? 1 : ips.size() - i);
    const auto most = time_left(clock_, now + part);
    status = ::amqp_socket_open_noblock(socket, host.c_str(), address.port, &most);
    if (status == AMQP_STATUS_OK) return {};
  }
  return broken(status, "connect");
}

Result<> Connection::handshake(const Address& address, Instant deadline) {
  auto* const connection = connection_.get();
  is_usable_ = false;
  SAMTALE_TRY_VOID(connect(address, deadline));
  auto most = time_left(clock_, deadline);
  // A broker that is short of memory or disk stops reading; the library would wait for ever.
  const auto send_ms = static_cast<unsigned>(
      std::chrono::duration_cast<std::chrono::milliseconds>(kSendTimeout).count());
  ::setsockopt(::amqp_get_sockfd(connection), IPPROTO_TCP, TCP_USER_TIMEOUT, &send_ms,
               sizeof send_ms);
  ::amqp_set_handshake_timeout(connection, &most);
  // Else a consumer whose queue is gone waits for ever.
  amqp_table_entry_t can_be_cancelled{};
  can_be_cancelled.key = amqp_cstring_bytes("consumer_cancel_notify");
  can_be_cancelled.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  can_be_cancelled.value.value.boolean = 1;
  std::array properties = {entry("connection_name", "samtale"), entry("capabilities", "")};
  properties[1].value.kind = AMQP_FIELD_KIND_TABLE;
  properties[1].value.value.table = {.num_entries = 1, .entries = &can_be_cancelled};
  const amqp_table_t about_us{.num_entries = properties.size(), .entries = properties.data()};
  const auto reply = ::amqp_login_with_properties(
      connection, address.vhost.c_str(), 0, kFrameBytesMax,
      static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(kHeartbeat).count()),
      &about_us, AMQP_SASL_METHOD_PLAIN, address.user.c_str(), address.password.c_str());
  if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
    return fail(ErrorCode::permission_denied, "log in: " + closed_by(reply.reply).text);
  }
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) return broken(reply.library_error, "log in");
  SAMTALE_TRY_VOID(check_broker(said_of(connection, "product"), said_of(connection, "version")));
  is_usable_ = true;
  SAMTALE_TRY_VOID(set_deadline(deadline));
  ::amqp_channel_open(connection, kWork);
  SAMTALE_TRY_VOID(check_reply());
  ::amqp_confirm_select(connection, kWork);
  return check_reply();
}

Result<> Connection::set_deadline(Instant deadline) {
  const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline - clock_.now()).count();
  if (left <= 0) return broken(AMQP_STATUS_TIMEOUT, "no time left");
  const timeval most{.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
  ::amqp_set_rpc_timeout(connection_.get(), &most);
  return {};
}

Result<> Connection::broken(int status, std::string_view what) {
  if (status == AMQP_STATUS_OK) return {};
  is_usable_ = false;
  const bool is_late = status == AMQP_STATUS_TIMEOUT;
  return fail(
      is_late ? ErrorCode::deadline_exceeded : ErrorCode::unavailable,
      std::string(what) + ": " + (is_late ? "no answer in time" : ::amqp_error_string2(status)));
}

Result<> Connection::check_reply() {
  const auto reply = ::amqp_get_rpc_reply(connection_.get());
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return {};
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    return broken(reply.library_error, "broker");
  }
  is_usable_ = false;
  return fail(ErrorCode::unavailable, closed_by(reply.reply).text);
}

Result<bool> Connection::has_queue(std::string_view name, Instant deadline) {
  return declare_on_the_side({.name = std::string(name)}, true, deadline);
}

Result<> Connection::declare(const QueueSpec& queue, Instant deadline) {
  SAMTALE_TRY_VOID(declare_on_the_side(queue, false, deadline));
  return {};
}

// False: there is none, and a passive one makes none.
Result<bool> Connection::declare_on_the_side(const QueueSpec& queue, bool passive,
                                             Instant deadline) {
  auto* const connection = connection_.get();
  SAMTALE_TRY_VOID(set_deadline(deadline));
  ::amqp_channel_open(connection, kAside);
  SAMTALE_TRY_VOID(check_reply());
  std::vector<amqp_table_entry_t> arguments{entry("x-queue-type", "quorum")};
  if (queue.deliveries_max > 0) {
    amqp_table_entry_t limit{};
    limit.key = amqp_cstring_bytes("x-delivery-limit");
    limit.value.kind = AMQP_FIELD_KIND_I32;
    limit.value.value.i32 = queue.deliveries_max;
    arguments.push_back(limit);
  }
  if (queue.bytes_max > 0) {
    amqp_table_entry_t limit{};
    limit.key = amqp_cstring_bytes("x-max-length-bytes");
    limit.value.kind = AMQP_FIELD_KIND_I64;
    limit.value.value.i64 = queue.bytes_max;
    arguments.push_back(limit);
    arguments.push_back(entry("x-overflow", "reject-publish"));  // Else it drops its oldest.
  }
  if (!queue.dead_letters.empty()) {
    arguments.push_back(entry("x-dead-letter-exchange", ""));  // The one that knows queues by name.
    arguments.push_back(entry("x-dead-letter-routing-key", queue.dead_letters));
  }
  const amqp_table_t table{.num_entries = static_cast<int>(arguments.size()),
                           .entries = arguments.data()};
  ::amqp_queue_declare(connection, kAside, bytes_of(queue.name), passive ? 1 : 0, 1, 0, 0,
                       passive ? amqp_empty_table : table);
  const auto reply = ::amqp_get_rpc_reply(connection);
  if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
      reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto closed = closed_by(reply.reply);
    amqp_channel_close_ok_t agreed{};
    SAMTALE_TRY_VOID(broken(
        ::amqp_send_method(connection, kAside, AMQP_CHANNEL_CLOSE_OK_METHOD, &agreed), "broker"));
    ::amqp_maybe_release_buffers_on_channel(connection, kAside);
    if (closed.code == kNotFound) return false;
    return fail(closed.code == kPreconditionFailed ? ErrorCode::conflict : ErrorCode::unavailable,
                closed.text);
  }
  SAMTALE_TRY_VOID(check_reply());
  SAMTALE_TRY_VOID(set_deadline(deadline));
  ::amqp_channel_close(connection, kAside, AMQP_REPLY_SUCCESS);
  SAMTALE_TRY_VOID(check_reply());
  ::amqp_maybe_release_buffers_on_channel(connection, kAside);
  return true;
}

Result<> Connection::remove(std::string_view queue, Instant deadline) {
  SAMTALE_TRY_VOID(set_deadline(deadline));
  ::amqp_queue_delete(connection_.get(), kWork, bytes_of(queue), 0, 0);
  return check_reply();
}

// The channel is told in the order in which its queue does things, so what the queue has sent
// comes before its answer.
Result<std::size_t> Connection::waiting(std::string_view queue, Instant deadline) {
  SAMTALE_TRY_VOID(set_deadline(deadline));
  const auto* const found =
      ::amqp_queue_declare(connection_.get(), kWork, bytes_of(queue), 1, 0, 0, 0, amqp_empty_table);
  if (found == nullptr) {
    SAMTALE_TRY_VOID(check_reply());
    return fail(ErrorCode::unavailable, "no answer");
  }
  return std::size_t{found->message_count};
}

Result<> Connection::publish(std::span<const Message> messages, Instant deadline) {
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.delivery_mode = kPersistent;
  for (const auto& message : messages) {
    constexpr amqp_boolean_t kMandatory = 1;  // Else one that no queue takes is dropped.
    SAMTALE_TRY_VOID(broken(
        ::amqp_basic_publish(connection_.get(), kWork, amqp_empty_bytes, bytes_of(message.queue),
                             kMandatory, 0, &properties, bytes_of(message.body)),
        "publish"));
    unconfirmed_.insert(++published_);
  }
  while (!unconfirmed_.empty()) {
    SAMTALE_TRY(const bool is_in_time, take_frame(deadline));
    if (!is_in_time) return broken(AMQP_STATUS_TIMEOUT, "confirm");
  }
  if (refused_by_.empty()) return {};
  is_usable_ = false;
  return fail(ErrorCode::unavailable, "a message was refused: " + refused_by_);
}

Result<> Connection::consume(std::string_view queue, std::uint16_t prefetch, Instant deadline) {
  auto* const connection = connection_.get();
  const auto tag = std::to_string(consumed_.size());
  SAMTALE_TRY_VOID(set_deadline(deadline));
  ::amqp_basic_qos(connection, kWork, 0, prefetch, 0);
  SAMTALE_TRY_VOID(check_reply());
  SAMTALE_TRY_VOID(set_deadline(deadline));
  consumed_.emplace_back(queue);
  ::amqp_basic_consume(connection, kWork, bytes_of(queue), bytes_of(tag), 0, 0, 0,
                       amqp_empty_table);
  return check_reply();
}

Result<std::vector<Delivery>> Connection::arrived() {
  while (true) {
    // Once a message has begun to come the rest of it is on its way.
    const auto deadline = clock_.now() + (incoming_ ? kSendTimeout : Duration::zero());
    SAMTALE_TRY(const bool has_come, take_frame(deadline));
    if (has_come) continue;
    if (incoming_) SAMTALE_TRY_VOID(broken(AMQP_STATUS_TIMEOUT, "the rest of a message"));
    return std::exchange(arrived_, {});
  }
}

Result<> Connection::acknowledge(std::span<const std::uint64_t> tags) {
  std::uint64_t last = 0;
  for (const auto tag : tags) {
    unacknowledged_.erase(tag);
    last = std::max(last, tag);
  }
  // All up to one tag in one frame, where none of them is still being worked on.
  const auto first_left = unacknowledged_.empty() ? last + 1 : *unacknowledged_.begin();
  std::uint64_t together = 0;
  for (const auto tag : tags) {
    if (tag < first_left) together = std::max(together, tag);
  }
  if (together > 0) {
    SAMTALE_TRY_VOID(
        broken(::amqp_basic_ack(connection_.get(), kWork, together, 1), "acknowledge"));
  }
  for (const auto tag : tags) {
    if (tag < first_left) continue;
    SAMTALE_TRY_VOID(broken(::amqp_basic_ack(connection_.get(), kWork, tag, 0), "acknowledge"));
  }
  return {};
}

Result<bool> Connection::take_frame(Instant deadline) {
  auto* const connection = connection_.get();
  const auto left = std::max<std::int64_t>(
      std::chrono::ceil<std::chrono::microseconds>(deadline - clock_.now()).count(), 0);
  const timeval most{.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
  amqp_frame_t frame{};
  const auto status = ::amqp_simple_wait_frame_noblock(connection, &frame, &most);
  if (status == AMQP_STATUS_TIMEOUT) return false;
  SAMTALE_TRY_VOID(broken(status, "read"));
  if (frame.frame_type == AMQP_FRAME_METHOD) {
    SAMTALE_TRY_VOID(take_method(frame.payload.method));
  } else if (frame.frame_type == AMQP_FRAME_HEADER) {
    take_header(frame.payload.properties.body_size);
  } else if (frame.frame_type == AMQP_FRAME_BODY && incoming_) {
    auto& body = incoming_->delivery.body;
    const auto part = text_of(frame.payload.body_fragment);
    body += std::string_view(part).substr(0, body_bytes_max_ - body.size());
    incoming_->bytes_left -= std::min<std::uint64_t>(incoming_->bytes_left, part.size());
    end_incoming();
  }
  ::amqp_maybe_release_buffers(connection);
  return true;
}

Result<> Connection::take_method(const amqp_method_t& method) {
  switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD: {
      const auto& deliver = *static_cast<const amqp_basic_deliver_t*>(method.decoded);
      incoming_.emplace();
      incoming_->delivery.tag = deliver.delivery_tag;
      incoming_->delivery.is_redelivered = deliver.redelivered != 0;
      const auto consumer = text_of(deliver.consumer_tag);
      for (std::size_t i = 0; i < consumed_.size(); ++i) {
        if (consumer == std::to_string(i)) incoming_->delivery.queue = consumed_[i];
      }
      return {};
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto& returned = *static_cast<const amqp_basic_return_t*>(method.decoded);
      refused_by_ = "there is no queue " + text_of(returned.routing_key);
      incoming_.emplace();
      incoming_->is_returned = true;
      return {};
    }
    case AMQP_BASIC_ACK_METHOD: {
      const auto& ack = *static_cast<const amqp_basic_ack_t*>(method.decoded);
      confirm(ack.delivery_tag, ack.multiple != 0);
      return {};
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto& nack = *static_cast<const amqp_basic_nack_t*>(method.decoded);
      refused_by_ = "a queue cannot take it now";
      confirm(nack.delivery_tag, nack.multiple != 0);
      return {};
    }
    case AMQP_BASIC_CANCEL_METHOD: {
      const auto& cancel = *static_cast<const amqp_basic_cancel_t*>(method.decoded);
      is_usable_ = false;
      return fail(ErrorCode::unavailable, "the broker ended consumer " +
                                              text_of(cancel.consumer_tag) +
                                              ": its queue is gone or has moved");
    }
    default:
      is_usable_ = false;
      return fail(ErrorCode::unavailable, closed_by(method).text);
  }
}

void Connection::take_header(std::uint64_t body_bytes) {
  if (!incoming_) return;
  incoming_->bytes_left = body_bytes;
  end_incoming();
}

void Connection::end_incoming() {
  if (incoming_->bytes_left > 0) return;
  if (!incoming_->is_returned) {
    unacknowledged_.insert(incoming_->delivery.tag);
    arrived_.push_back(std::move(incoming_->delivery));
  }
  incoming_.reset();
}

void Connection::confirm(std::uint64_t tag, bool is_multiple) {
  if (is_multiple) {
    unconfirmed_.erase(unconfirmed_.begin(), unconfirmed_.upper_bound(tag));
  } else {
    unconfirmed_.erase(tag);
  }
}

}  // namespace samtale::amqp

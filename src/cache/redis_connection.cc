#include "cache/redis_connection.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "sys/resolve.h"

namespace samtale {
namespace {

struct FreeReply {
  void operator()(redisReply* reply) const { ::freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

Result<std::optional<std::string>> read_reply(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      return std::nullopt;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return std::string(reply.str, reply.len);
    case REDIS_REPLY_ERROR:
      return fail(ErrorCode::invalid_argument, "refused: " + std::string(reply.str, reply.len));
    default:
      return fail(ErrorCode::unavailable, "a reply that is no answer to what was asked");
  }
}

}  // namespace

void RedisConnection::Free::operator()(redisContext* context) const { ::redisFree(context); }

RedisConnection::~RedisConnection() = default;

Error RedisConnection::broken() const {
  return {ErrorCode::unavailable, context_->err != 0 ? context_->errstr : std::strerror(errno)};
}

Result<> RedisConnection::wait(short events, Instant deadline) const {
  pollfd waiting{.fd = context_->fd, .events = events, .revents = 0};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.now()).count();
  const auto ready = left <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left));
  if (ready > 0) return {};
  if (ready < 0 && errno != EINTR) return std::unexpected(broken());
  if (ready < 0) return wait(events, deadline);
  return fail(ErrorCode::deadline_exceeded, "no answer in time");
}

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(const RedisAddress& address,
                                                               const Clock& clock,
                                                               Instant deadline) {
  std::string ip;  // The library would wait for a name without end.
  if (address.unix_socket.empty()) {
    SAMTALE_TRY(const auto found, resolve(address.host, clock, deadline));
    ip = found.front();
  }
  auto* const context = ip.empty() ? ::redisConnectUnixNonBlock(address.unix_socket.c_str())
                                   : ::redisConnectNonBlock(ip.c_str(), address.port);
  if (context == nullptr) return fail(ErrorCode::unavailable, "no memory for a connection");
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context, clock));
  if (context->err != 0) return std::unexpected(connection->broken());
  SAMTALE_TRY_VOID(connection->wait(POLLOUT, deadline));
  socklen_t size = sizeof errno;
  int error = 0;
  ::getsockopt(context->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(ErrorCode::unavailable, std::strerror(error));
  SAMTALE_TRY_VOID(connection->log_in(address, deadline));
  return connection;
}

Result<> RedisConnection::log_in(const RedisAddress& address, Instant deadline) {
  if (!address.password.empty()) {
    std::vector<std::string_view> words{"AUTH"};
    if (!address.user.empty()) words.push_back(address.user);
    words.push_back(address.password);
    const auto answer = call(words, deadline);
    // What the server says of it is not passed on: it may quote.
    if (!answer && answer.error().code == ErrorCode::invalid_argument) {
      return fail(ErrorCode::permission_denied, "it refuses the password");
    }
    if (!answer) return std::unexpected(answer.error());
  }
  if (address.database != 0) {
    const auto database = std::to_string(address.database);
    SAMTALE_TRY_VOID(call(std::array<std::string_view, 2>{"SELECT", database}, deadline));
  }
  return {};
}

Result<std::optional<std::string>> RedisConnection::call(std::span<const std::string_view> words,
                                                         Instant deadline) {
  auto& context = *context_;
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const auto word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  if (::redisAppendCommandArgv(&context, static_cast<int>(words.size()), texts.data(),
                               sizes.data()) != REDIS_OK) {
    return std::unexpected(broken());
  }
  for (int is_sent = 0;;) {
    if (::redisBufferWrite(&context, &is_sent) != REDIS_OK) return std::unexpected(broken());
    if (is_sent != 0) break;
    SAMTALE_TRY_VOID(wait(POLLOUT, deadline));
  }
  for (;;) {
    void* found = nullptr;
    if (::redisGetReplyFromReader(&context, &found) != REDIS_OK) return std::unexpected(broken());
    if (found != nullptr) return read_reply(*Reply(static_cast<redisReply*>(found)));
    SAMTALE_TRY_VOID(wait(POLLIN, deadline));
    if (::redisBufferRead(&context) != REDIS_OK) return std::unexpected(broken());
    if (context.reader->len > kReplyBytesMax) {
      return fail(ErrorCode::unavailable,
                  "a reply of more than " + std::to_string(kReplyBytesMax) + " bytes");
    }
  }
}

bool RedisConnection::is_quiet() const {
  const auto& read = *context_->reader;
  if (read.pos != read.len) return false;
  pollfd waiting{.fd = context_->fd, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, 0) == 0;
}

}  // namespace samtale

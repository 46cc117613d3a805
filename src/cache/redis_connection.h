// RedisConnection: one command at a time to a Redis or Valkey server, each with a deadline. Private
// to cache/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/clock.h"

struct redisContext;

namespace samtale {

struct RedisAddress {
  std::string unix_socket;  // If set, instead of host and port.
  std::string host;
  std::uint16_t port = 6379;
  int database = 0;
  std::string user;      // Empty: the default one.
  std::string password;  // Empty: none is sent.
};

// A reply belongs to the command before it only by its place in the stream. So a connection on
// which a command has failed, or has not been answered in time, is not to be used again: what comes
// later would be taken for the answer to the next one.
//
// Threads: one at a time; calls block.
// Memory:  a reply of more than kReplyBytesMax is an error.
class RedisConnection {
 public:
  static constexpr std::size_t kReplyBytesMax = std::size_t{4} << 20;

  // Connects, logs in and selects the database. A host's name is looked up by the system, which may
  // take longer than the deadline. Errors: unavailable, deadline_exceeded; permission_denied if the
  // server refuses the password.
  [[nodiscard]] static Result<std::unique_ptr<RedisConnection>> open(const RedisAddress& address,
                                                                     const Clock& clock,
                                                                     Instant deadline);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // The reply: a string, or empty for "nothing". Errors: unavailable, deadline_exceeded, after
  // which the connection is of no more use; invalid_argument if the server has refused the command,
  // after which it is.
  [[nodiscard]] Result<std::optional<std::string>> call(std::span<const std::string_view> words,
                                                        Instant deadline);

  // Nothing waits to be read: the other side has neither closed nor said what nobody asked for.
  [[nodiscard]] bool is_quiet() const;

 private:
  struct Free {
    void operator()(redisContext* context) const;
  };

  RedisConnection(redisContext* context, const Clock& clock) : context_(context), clock_(clock) {}

  [[nodiscard]] Result<> log_in(const RedisAddress& address, Instant deadline);
  [[nodiscard]] Result<> wait(short events, Instant deadline) const;
  [[nodiscard]] Error broken() const;

  const std::unique_ptr<redisContext, Free> context_;
  const Clock& clock_;
};

}  // namespace samtale

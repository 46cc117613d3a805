// Transport: the bytes of one connected socket, plain or through TLS, never blocking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "http/server.h"

namespace samtale::http {

enum class IoStatus : std::uint8_t {
  ok,
  want_read,   // Nothing done: call again when the socket is readable,
  want_write,  // or writable.
  closed,      // The peer will send no more.
  failed,      // Nothing more can be done with it.
};

struct IoResult {
  IoStatus status = IoStatus::ok;
  std::size_t bytes = 0;    // If ok: at least one (zero for a handshake).
  bool is_drained = false;  // After a read: nothing is left that polling would not tell of.
};

// Threads: one. Memory: does not own the descriptor, which must outlive it.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual IoResult handshake() = 0;
  virtual IoResult read(std::span<char> into) = 0;
  virtual IoResult write(std::string_view bytes) = 0;
  virtual void shut_write() = 0;  // Tells the peer that no more will come.
};

// Certificate and settings for TLS 1.2 and above with ALPN "http/1.1".
class TlsContext {
 public:
  // Errors: invalid_argument, naming the file and what OpenSSL says about it.
  static Result<std::unique_ptr<TlsContext>> load(const TlsOptions& options);
  virtual ~TlsContext() = default;
  [[nodiscard]] virtual std::unique_ptr<Transport> wrap(int descriptor) = 0;
};

[[nodiscard]] std::unique_ptr<Transport> make_plain_transport(int descriptor);

}  // namespace samtale::http

// IoLoop: one thread that accepts, reads and writes for its share of the connections.
#pragma once

#include <memory>

#include "base/result.h"
#include "http/listener.h"
#include "http/server_state.h"
#include "http/transport.h"

namespace samtale::http {

// Threads: all methods from one.
class IoLoop {
 public:
  virtual ~IoLoop() = default;  // Stops at once; what is unanswered stays so.

  // Before start(). `tls` may be null; otherwise it must outlive the loop.
  virtual void listen(Listener listener, TlsContext* tls) = 0;
  // Errors: unavailable (no thread to be had).
  virtual Result<> start() = 0;
  // Takes what is already in the queue of the listeners, then closes them. Ends the wait of the
  // server at `deadline`.
  virtual void drain(Instant deadline, Duration idle_grace) = 0;
};

[[nodiscard]] std::unique_ptr<IoLoop> make_io_loop(ServerState& state);

}  // namespace samtale::http

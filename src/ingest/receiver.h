// Receiver: makes an event durable and answers; the only way in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "accept/accept_log.h"
#include "base/result.h"
#include "ingest/received_event.h"
#include "ingest/replicator.h"

namespace samtale {

struct Accepted {
  std::string event_id;        // public_event_id.
  bool is_duplicate = false;   // The very same event was durable already.
  bool is_replicated = false;  // It is known to be on other disks than this node's, too.
};

struct ReceiverOptions {
  std::size_t recent_max = 262'144;  // Events remembered for an answer at once; about 100 B each.
  std::uint64_t recall_bytes = std::uint64_t{64} << 20;  // Of the log, read back at a start.
};

// Threads: any method from any thread.
class Receiver {
 public:
  // On an error the event is not (known to be) durable: the sender must send it again.
  using Done = std::move_only_function<void(Result<Accepted>)>;

  // What is passed in must outlive this, and every append that waits. `replicator`: may be null.
  Receiver(AcceptLog& log, Replicator* replicator, ReceiverOptions options = {});

  // Remembers the log's last events, of before a restart. Before any receive.
  // Errors: unavailable, corrupt.
  Result<> recall();

  // Calls `done` once the event is on disk, on the log's thread; or, with a replicator, when that
  // has said how it went, on its thread. At once, on this thread: conflict if a recent event of
  // this key had another body; a duplicate's answer; a refusal (resource_exhausted, unavailable). A
  // repeat older than the memory of recent ones is found by the store when it takes effect: none.
  void receive(ReceivedEvent event, Done done);

 private:
  struct Recent {
    std::uint64_t key_hash = 0;
    std::uint64_t body_hash = 0;
    bool is_replicated = false;
  };

  static Recent identify(const ReceivedEvent& event);
  void remember(const Recent& recent);

  AcceptLog& log_;
  Replicator* const replicator_;
  const ReceiverOptions options_;
  std::mutex recent_mutex_;   // Guards the two below.
  std::list<Recent> recent_;  // Newest first.
  std::unordered_map<std::uint64_t, std::list<Recent>::iterator> by_key_;
};

}  // namespace samtale

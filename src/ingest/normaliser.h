// Normaliser: turns the raw events of the accept log into conversations, exactly once in effect.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "accept/accept_log.h"
#include "base/result.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"

namespace samtale {

struct NormaliserOptions {
  std::size_t batch_bytes = std::size_t{2} << 20;  // Of log read at a time.
  std::size_t batch_events = 256;                  // Of own events in a transaction.
  // Whether an event is left, with all after it, to those who have a copy, for now. Unset: none is.
  std::function<bool(WallTime received_at)> is_left;
};

// One for each partition; each reads the whole log and takes what is its partition's. Its place
// in the log is committed with the effects, so that a crash repeats nothing.
//
// What events do, and what becomes of one that cannot: apply_events.h. The raw bytes stay in the
// log for replay. What is passed in must outlive it. Threads: one; reached from any.
class Normaliser {
 public:
  Normaliser(AcceptLog& accepted, Store& store, Partition partition, Log& log,
             NormaliserOptions options = {});

  // Does one batch and returns how many events of the log it passed: 0 means it has caught up.
  Result<std::size_t> step();

  // How far in the log everything of this partition has taken effect; the place that is saved with
  // the effects can be behind it by what belongs to other partitions. Empty
  // before the first step.
  [[nodiscard]] std::optional<LogPosition> reached() const {
    const auto at = reached_.load();
    return at == kNotBegun ? std::nullopt : std::optional(LogPosition{at});
  }

  // The next step asks the store anew how far it has come: it may have gone back. From any thread.
  void reread() { is_to_reread_ = true; }

  // Makes events received in [from, to) take effect again, from their raw bytes: for after a
  // parser was mended. Returns how many. On a Normaliser of its own, beside one that runs.
  Result<std::size_t> replay(std::optional<WallTime> from, std::optional<WallTime> to);

 private:
  static constexpr std::uint64_t kNotBegun = ~std::uint64_t{0};

  AcceptLog& accepted_;
  Store& store_;
  const Partition partition_;
  Log& log_;
  const NormaliserOptions options_;
  std::optional<LogPosition> next_;  // Empty until read from the store.
  LogPosition saved_{};              // In the store.
  std::atomic<std::uint64_t> reached_ = kNotBegun;
  std::atomic<bool> is_to_reread_ = false;
  std::size_t passed_unsaved_ = 0;  // Events of other partitions since the last save.
};

}  // namespace samtale

// Sender: brings one request to one account, and tries again what may pass. Each try is booked
// before and settled after, waits for the account's gate and reports to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "lm/hedger.h"
#include "lm/latencies.h"
#include "lm/ledger.h"
#include "lm/scheduler.h"
#include "lm/scheduler_metrics.h"

namespace samtale {

// One rung of a task's ladder.
struct Sending {
  const LmTask& task;
  const ChatRequest& request;  // With its idempotency key.
  std::string hedge_key;       // The idempotency key of a second, critical request beside it.
  std::size_t account = 0;
  std::int64_t input_tokens = 0;  // Estimated.
  bool has_fallback = false;      // Another account can be asked instead of waiting long.
  bool is_retry = false;
};

// Why a rung has no answer.
struct SendFailure {
  enum class End : std::uint8_t {
    stopped,          // By the caller.
    late,             // The caller's deadline has passed.
    budget,           // Nothing more may be spent.
    account_away,     // This account cannot be asked now.
    account_refuses,  // This account's key or model is wrong.
    request_refused,  // Nobody will take this request.
  };
  End end;
  Error error;
};

// Threads: any method from any thread; send() blocks.
class Sender {
 public:
  Sender(std::vector<LmAccount> accounts, Budget& budget, SchedulerMetrics& metrics, Clock& clock,
         Random& random, const LmSchedulerOptions& options);

  [[nodiscard]] std::expected<ChatAnswer, SendFailure> send(Sending sending, Ledger& ledger,
                                                            Instant deadline,
                                                            const std::stop_token& stop);
  [[nodiscard]] const std::vector<LmAccount>& accounts() const { return accounts_; }
  // First those that can be asked soon, each part in the configured order.
  [[nodiscard]] std::vector<std::size_t> order(Instant deadline) const;

 private:
  struct OverBudget {
    Error error;
  };
  struct KeptBack {  // By the gate.
    Error error;
  };
  using Try = std::variant<ChatAnswer, ChatFailure, OverBudget, KeptBack>;

  Try try_once(const Sending& sending, bool may_hedge, Ledger& ledger, Instant deadline,
               const std::stop_token& stop);
  // A second request goes out if the first takes long; the first answer wins.
  Try race(const Sending& sending, const Budget::Reservation& reservation, Duration hedge_after,
           Ledger& ledger, Instant deadline, const std::stop_token& stop);
  Try ask(const Sending& sending, const Budget::Reservation& reservation, Ledger& ledger,
          Instant deadline, const std::stop_token& stop);
  SendFailure failure_of(Error error, Instant deadline, const std::stop_token& stop) const;
  void earn_hedge();
  [[nodiscard]] bool take_hedge();
  [[nodiscard]] std::optional<Duration> hedge_after(const Sending& sending) const;
  [[nodiscard]] bool is_closed_long(std::size_t account, Instant deadline) const;
  [[nodiscard]] std::vector<Booking> bookings(const Sending& sending, TokenUsage usage) const;
  [[nodiscard]] GateRequest gate_request(const Sending& sending) const;

  const std::vector<LmAccount> accounts_;
  Budget& budget_;
  SchedulerMetrics& metrics_;
  Clock& clock_;
  Random& random_;
  const LmSchedulerOptions options_;
  std::vector<std::unique_ptr<Latencies>> latencies_;  // An account each.
  std::mutex hedges_mutex_;
  double hedges_left_ = 0;  // Guarded by hedges_mutex_.
  Hedger hedger_;
};

}  // namespace samtale

// LmScheduler: the one way to a language model. Sends the fewest requests in the best order, and
// believes nothing that comes back: an answer is JSON of the asked schema with the asked nonce, or
// there is none.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "json/json.h"
#include "lm/budget.h"
#include "lm/chat.h"
#include "lm/gate.h"
#include "metrics/metrics.h"
#include "model/ids.h"
#include "queue/queue.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

// One account at a provider. The first is used while it can be; the next ones when it cannot, or
// when what it answers stays broken. What is passed in must outlive the scheduler.
struct LmAccount {
  ChatModel* model = nullptr;
  Gate* gate = nullptr;
  TokenPrices prices;
};

struct LmTask {
  CompanyId company{};
  std::vector<std::string> analyzers;  // Booked on, in equal shares; at least one.
  Priority priority = Priority::normal;
  std::optional<Instant> wanted_by;
  // The schema must have "nonce" as a required string; run() adds to the last message what it must
  // be (see answer_nonce()) and sets idempotency_key. Same request, same company: same answer (it
  // is asked once).
  ChatRequest request;
  // What else an answer (without its nonce) must hold; depends on the request alone. An error's
  // message is told to the model in the one repair prompt.
  std::function<Result<>(const json::Value&)> check;
};

struct LmOutcome {
  // Without the nonce. Errors: resource_exhausted (budget), deadline_exceeded, unavailable (all
  // providers away), corrupt ("failed with cause": the ladder ended without a valid answer),
  // invalid_argument (the request is refused for what it is).
  Result<json::Value> answer;
  // What it cost, failed tries included, also where there is no answer: to be stored in the
  // transaction that stores the outcome. Empty if somebody else's identical request was joined, or
  // the answer remembered.
  std::vector<SpendChange> spend;
  TokenUsage usage;
  int requests = 0;        // Sent to providers.
  bool is_shared = false;  // Joined or remembered.
  std::string model;       // That gave the answer.
};

struct LmSchedulerOptions {
  int tries_max = 4;  // Requests a rung: throttled, away, late or broken ones.
  Duration retry_base = std::chrono::milliseconds(500);  // Backoff with full jitter.
  Duration retry_longest = std::chrono::seconds(30);
  Duration call_timeout = std::chrono::seconds(120);  // Of one request.
  std::size_t output_tokens_max = 16'384;             // The ladder's last rung on "length".
  bool hedge_critical = true;  // A second request after the p95 of recent ones …
  double hedge_share = 0.05;   // … for at most this share of critical requests.
  std::size_t remembered_bytes_max = std::size_t{16} << 20;
  Duration remembered_for = std::chrono::minutes(10);
};

// The cache key of a task and where its answer is kept: SHA-256 of company, model, and the
// canonical request (messages, schema, limits). Never equal for two companies.
// `default_model` stands where the request names none.
[[nodiscard]] Sha256 task_key(const LmTask& task, std::string_view default_model);
// What the answer must echo: derived from the key, so that a swapped answer does not fit, and equal
// for equal requests.
[[nodiscard]] std::string answer_nonce(const Sha256& key);
// The request as it is sent: it asks for the nonce.
[[nodiscard]] ChatRequest with_nonce(const ChatRequest& request, const std::string& nonce);
// For answers that come another way than run() (a batch): the same proofs, and no ladder. Errors:
// corrupt, saying what is wrong; invalid_argument if the task's schema is none.
[[nodiscard]] Result<json::Value> judge_answer(const LmTask& task, const Sha256& key,
                                               const ChatAnswer& answer);

// The ladder for one task: ask → deterministic repair of the text → with a larger output_tokens_max
// when it ended by length (never the same limit twice) → one repair prompt that says what is wrong
// → the next account → failed with cause. A content filter's stop ends at once. In flight,
// identical tasks (by key) are one, unless who comes later is more urgent; the answer is remembered
// for a while in memory, so that nothing slips between its arrival and its being stored. Threads:
// any method from any thread; run() blocks. A thread of its own runs only once a critical request
// may be sent twice, so a simulation with one thread turns hedge_critical off.
class LmScheduler {
 public:
  // All must outlive it. `accounts` is not empty.
  LmScheduler(std::vector<LmAccount> accounts, Budget& budget, Metrics& metrics, Clock& clock,
              Random& random, const LmSchedulerOptions& options);
  ~LmScheduler();
  LmScheduler(const LmScheduler&) = delete;
  LmScheduler& operator=(const LmScheduler&) = delete;

  [[nodiscard]] LmOutcome run(const LmTask& task, Instant deadline, const std::stop_token& stop);
  // Its task_key(), with the first account's default model, whichever account answers in the end.
  [[nodiscard]] Sha256 key_of(const LmTask& task) const;
  // Forgets what is remembered of a company: something of it was deleted.
  void forget(CompanyId company);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace samtale

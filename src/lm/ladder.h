// Ladder: what is done, step by step, until a task has an answer that can be believed, or none.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "lm/answer.h"
#include "lm/judge.h"
#include "lm/scheduler.h"
#include "lm/sender.h"

namespace samtale {

struct Climbed {
  LmOutcome outcome;
  // The task failed for a reason that lies with who asked (stopped, late, over budget), so another
  // one who asks the same may have an answer.
  bool is_own_failure = false;
};

// Threads: one; for one task.
class Ladder {
 public:
  // All must outlive it.
  Ladder(Sender& sender, SchedulerMetrics& metrics, const LmSchedulerOptions& options,
         const LmTask& task, const Sha256& key, const JsonSchema& schema);

  [[nodiscard]] Climbed climb(Instant deadline, const std::stop_token& stop);

 private:
  // The next step of an account, or the task's end.
  enum class Step : std::uint8_t { again, next_account, ended };

  void climb_account(std::size_t account, bool has_fallback, Instant deadline,
                     const std::stop_token& stop);
  Step take(const ChatAnswer& answer);
  Step take(SendFailure failure);
  Step longer();
  Step repair(const ChatAnswer& answer, const Judgement& judgement);
  Step end(Refusal why, Error error);
  void note(const std::string& what);
  // When no account is left to ask.
  void end_with_causes();
  [[nodiscard]] std::string rung() const;

  Sender& sender_;
  SchedulerMetrics& metrics_;
  const LmSchedulerOptions& options_;
  const LmTask& task_;
  const Sha256& key_;
  const JsonSchema& schema_;
  const std::string nonce_;

  ChatRequest request_;  // Of the rung under way.
  std::size_t account_ = 0;
  bool was_repaired_ = false;  // On this account.
  bool is_away_ = false;       // An account could not be asked.
  bool gave_broken_ = false;   // An account's answers could not be used.
  std::vector<std::string> causes_;
  bool has_ended_ = false;
  Ledger ledger_;
  Climbed climbed_;
};

}  // namespace samtale

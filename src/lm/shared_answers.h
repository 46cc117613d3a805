// SharedAnswers: identical tasks are asked once. Who comes first leads; who comes while it is under
// way waits for the leader's answer; who comes soon after is given what is remembered.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>

#include "base/result.h"
#include "lm/remembered_answers.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

// Threads: any method from any thread; wait() blocks.
class SharedAnswers {
 public:
  using Answer = Result<std::shared_ptr<const KeptAnswer>>;
  class Flight;

  // What to do with a task.
  struct Place {
    std::shared_ptr<const KeptAnswer> remembered;  // If there is one, nothing else is set.
    std::shared_ptr<Flight> flight;
    bool leads = false;  // Must end with finish() or leave(); who does not lead waits.
  };

  SharedAnswers(Clock& clock, std::size_t bytes_max, Duration keep_for)
      : clock_(clock), remembered_(bytes_max, keep_for) {}

  // Nobody waits for a flight that is less urgent than what is asked for.
  [[nodiscard]] Place enter(const Sha256& key, CompanyId company, Priority priority);
  // The leader's answer or its error; nothing if the leader has left and the caller leads now.
  // Errors of its own: deadline_exceeded, and unavailable for `stop`; the flight goes on.
  [[nodiscard]] std::optional<Answer> wait(Flight& flight, Instant deadline,
                                           const std::stop_token& stop);
  // Tells all who wait. An answer is remembered, unless its company was forgotten meanwhile.
  void finish(Flight& flight, const Answer& answer);
  // Without an answer, for a reason that is the leader's own. One who waits takes over.
  void leave(Flight& flight);

  // What was asked before this is given to nobody who asks after it.
  void forget(CompanyId company);

 private:
  void end(Flight& flight);

  Clock& clock_;
  std::mutex answers_mutex_;  // Guards the two below, and every Flight.
  RememberedAnswers remembered_;
  std::unordered_map<Sha256, std::shared_ptr<Flight>, DigestHash> flights_;
};

class SharedAnswers::Flight {
 private:
  friend class SharedAnswers;

  Sha256 key{};
  CompanyId company{};
  Priority priority = Priority::normal;
  bool is_led = true;
  bool may_be_kept = true;
  std::optional<Answer> answer;
  std::list<std::stop_source> waiting;  // Each wakes one.
};

}  // namespace samtale

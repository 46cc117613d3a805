// GateWorld: a gate's policy, a provider and a clock, all simulated: one thread, one seed, no
// sleeping. It watches what must hold whatever happens, and keeps what tests look at afterwards.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "lm/gate_policy.h"

namespace samtale {

class GateWorld {
 public:
  struct Answer {
    Duration took{};
    GateReport report;
  };
  // What the provider makes of a request, with so many under way, this one included.
  using Provider = std::function<Answer(const GateRequest& request, std::size_t in_flight)>;

  // One request from its arrival to its end.
  struct Life {
    GateRequest request;
    Instant came;
    Instant deadline;
    std::optional<Instant> sent;
    std::optional<Instant> ended;  // Answered or refused.
    std::optional<Error> refusal;
  };

  GateWorld(const GateOptions& options, Provider provider)
      : options_(options), provider_(std::move(provider)), policy_(options, now_) {}

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] const std::vector<Life>& lives() const { return lives_; }
  [[nodiscard]] GateStats stats() const { return policy_.stats(now_); }

  // The request comes at `at`; then(life) once it has ended.
  void offer(Instant at, const GateRequest& request, Duration patience,
             std::function<void(const Life&)> then = {}) {
    events_.push({at, ++sequence_, [this, request, patience, then = std::move(then)] {
                    come(request, patience, then);
                  }});
  }
  void at(Instant at, std::function<void()> action) {
    events_.push({at, ++sequence_, std::move(action)});
  }

  // Until nothing is left to happen, or `end`.
  void run(Instant end = Instant::max()) {
    for (;;) {
      auto next = events_.empty() ? Instant::max() : events_.top().at;
      // As the shell does: whoever waits looks again at the next change, and at its deadline.
      if (const auto change = policy_.next_change(now_)) {
        ASSERT_GT(*change, now_) << "nobody may pass and something changes now: a busy wait";
        next = std::min(next, *change);
      }
      if (!deadlines_.empty()) next = std::min(next, *deadlines_.begin());
      if (next == Instant::max() || next > end) break;
      now_ = std::max(now_, next);
      while (!events_.empty() && events_.top().at <= now_) {
        const auto action = events_.top().action;
        events_.pop();
        action();
      }
      decide();
      if (testing::Test::HasFatalFailure()) return;
    }
    now_ = end == Instant::max() ? now_ : end;
  }

 private:
  struct Event {
    Instant at;
    std::uint64_t sequence;
    std::function<void()> action;
    bool operator<(const Event& other) const {  // The earliest on top.
      return std::pair(at, sequence) > std::pair(other.at, other.sequence);
    }
  };

  void come(const GateRequest& request, Duration patience,
            const std::function<void(const Life&)>& then) {
    const auto index = lives_.size();
    lives_.push_back({request, now_, now_ + patience, {}, {}, {}});
    then_.push_back(then);
    auto ticket = policy_.enter(request, now_ + patience, now_);
    if (!ticket) {
      end(index, std::move(ticket).error());
      return;
    }
    waiting_[*ticket] = index;
    if (request.priority == Priority::critical) ++critical_waiting_;
    deadlines_.insert(now_ + patience);
    decide();
  }

  void decide() {
    for (auto& [ticket, refusal] : policy_.decide(now_)) {
      const auto index = waiting_.at(ticket);
      waiting_.erase(ticket);
      if (lives_[index].request.priority == Priority::critical) --critical_waiting_;
      deadlines_.erase(deadlines_.find(lives_[index].deadline));
      if (refusal)
        end(index, std::move(*refusal));
      else
        send(index);
    }
    if (!deadlines_.empty()) {
      ASSERT_GT(*deadlines_.begin(), now_) << "waits past its deadline";
    }
    watch_reserve();
  }

  void send(std::size_t index) {
    auto& life = lives_[index];
    const auto& request = life.request;
    EXPECT_GE(now_, closed_until_) << "sent inside a Retry-After window";
    EXPECT_LT(now_, life.deadline);
    life.sent = now_;
    ++in_flight_;
    if (request.priority == Priority::critical) ++critical_in_flight_;
    const auto answer = provider_(request, in_flight_);
    at(now_ + answer.took, [this, index, answer] { answered(index, answer); });
  }

  void answered(std::size_t index, const Answer& answer) {
    const auto& request = lives_[index].request;
    --in_flight_;
    if (request.priority == Priority::critical) --critical_in_flight_;
    if (answer.report.wait) closed_until_ = std::max(closed_until_, now_ + *answer.report.wait);
    policy_.report(request, answer.report, answer.took, now_);
    end(index, {});
    decide();
  }

  void end(std::size_t index, std::optional<Error> refusal) {
    lives_[index].ended = now_;
    lives_[index].refusal = std::move(refusal);
    if (then_[index]) {
      const auto life = lives_[index];
      then_[index](life);
    }
  }

  // With no known rate, what is critical waits only for others that are critical.
  void watch_reserve() {
    const auto state = policy_.stats(now_);
    if (options_.requests_per_minute > 0 || options_.tokens_per_minute > 0 || !state.is_open)
      return;
    if (critical_waiting_ == 0) return;
    const auto reserved = std::min<double>(
        static_cast<double>(state.concurrency_limit) - 1,
        std::ceil(static_cast<double>(state.concurrency_limit) * options_.critical_share));
    EXPECT_GE(static_cast<double>(critical_in_flight_), reserved) << "kept from its reserve";
  }

  const GateOptions options_;
  Provider provider_;
  Instant now_{std::chrono::hours(1)};
  GatePolicy policy_;
  std::uint64_t sequence_ = 0;
  std::priority_queue<Event> events_;
  std::vector<Life> lives_;
  std::vector<std::function<void(const Life&)>> then_;
  std::unordered_map<Ticket, std::size_t> waiting_;
  std::multiset<Instant> deadlines_;
  std::size_t in_flight_ = 0;
  std::size_t critical_in_flight_ = 0;
  std::size_t critical_waiting_ = 0;
  Instant closed_until_ = Instant::min();
};

}  // namespace samtale

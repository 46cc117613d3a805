// What the scheduler counts. The handles are found once.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lm/chat.h"
#include "metrics/metrics.h"
#include "store/store.h"

namespace samtale {

// How tasks end without an answer.
enum class Refusal : std::uint8_t {
  budget,
  kept_back,
  away,
  late,
  stopped,
  filtered,
  refused,
  broken
};
// How an answer came about that was none at first.
enum class Rung : std::uint8_t { text, longer, prompt, account };
enum class Sharing : std::uint8_t { joined, remembered };

// Threads: any.
class SchedulerMetrics {
 public:
  // Labels are bounded: providers are what is configured.
  SchedulerMetrics(Metrics& metrics, const std::vector<std::string>& providers);

  void sent(std::size_t account, const ChatOutcome& outcome, Duration took);
  void cost(std::int64_t micro_usd) { cost_->add(static_cast<double>(micro_usd)); }
  void other_model(std::size_t account) { providers_[account].other_models->add(); }
  void hedge() { hedges_->add(); }
  void shared(Sharing how) { shared_[index(how)]->add(); }
  void repair(Rung rung) { repairs_[index(rung)]->add(); }
  void refuse(Refusal why) { refusals_[index(why)]->add(); }

 private:
  static constexpr std::size_t kOutcomes = 10;
  struct Provider {
    std::array<Counter*, kOutcomes> outcomes{};
    Histogram* seconds = nullptr;
    Counter* other_models = nullptr;
  };

  template <class Enum>
  static std::size_t index(Enum value) {
    return static_cast<std::size_t>(value);
  }

  std::vector<Provider> providers_;
  std::array<Counter*, 3> tokens_{};
  Counter* cost_;
  Counter* hedges_;
  std::array<Counter*, 2> shared_{};
  std::array<Counter*, 4> repairs_{};
  std::array<Counter*, 8> refusals_{};
};

}  // namespace samtale

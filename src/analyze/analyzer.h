// Analyzer: what a company wants to know of its conversations, as data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "lm/budget.h"
#include "model/conversation.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

// What kind of answer: its shape, what is asked for it, what labels and score it gives.
enum class AnalyzerKind : std::uint8_t {
  summary,
  sentiment,
  topics,
  intent,
  resolution,
  action_items,
  pii,           // By rules, without a language model.
  manipulation,  // By rules as well.
  scorecard,
  custom,
};
[[nodiscard]] std::string_view name(AnalyzerKind kind);

enum class TriggerOn : std::uint8_t { ended, turn, tag, schedule, demand };

struct Trigger {
  TriggerOn on = TriggerOn::ended;
  std::string tag;                            // For `tag`: the conversation carries it.
  Duration quiet = std::chrono::seconds(10);  // For `turn`: after so long without another one.
  Duration every = std::chrono::hours(24);    // For `schedule`.
};

// One question of a score card.
struct Question {
  std::string id;  // [a-z0-9_]{1,40}
  std::string text;
  std::int64_t max = 1;  // Points: 0 to max. 1: yes or no.
  double weight = 1;
};

struct Analyzer {
  std::string name;  // [a-z][a-z0-9_]{0,39}
  std::int64_t version = 1;
  AnalyzerKind kind = AnalyzerKind::custom;
  std::string description;
  std::string instructions;           // Added to those of the kind; all there is of `custom`.
  json::Value schema;                 // For `custom`: of its "value".
  std::vector<std::string> taxonomy;  // For `topics` and `intent`: the names to choose from.
  bool discover = true;               // … and whether others may be found.
  std::vector<Question> questions;    // For `scorecard`.
  std::string model;                  // Empty: the server's.
  std::string language;  // Of what is written: "en", "da", …; empty: the conversation's.
  Trigger trigger;
  Priority priority = Priority::normal;
  std::optional<Duration> deadline;  // From its trigger to its result.
  double sample = 1;                 // Share of conversations, chosen by their id.
  BudgetLimits budget;
  bool is_active = true;
  bool is_shipped = false;  // Part of Samtale, and not changed by the company.
};

struct AnalyzerLimits {
  static constexpr std::size_t kPerCompany = 50;
  static constexpr std::size_t kInstructionBytes = 8'000;
  static constexpr std::size_t kTaxonomy = 200;
  static constexpr std::size_t kQuestions = 50;
};

// Errors: invalid_argument with every mistake, by JSON pointer. `name`, `version` and `is_shipped`
// are not part of the JSON's duties: the caller sets them.
[[nodiscard]] Result<Analyzer> parse_analyzer(const json::Value& definition);
// Reads back as itself; members at their default are left out.
[[nodiscard]] json::Value to_json(const Analyzer& analyzer);

// {"tokens_per_day", "tokens_per_month", "usd_per_day", "usd_per_month"}, any of them. Errors as
// above, `pointer` being where it stands.
[[nodiscard]] Result<BudgetLimits> parse_budget(const json::Value& value, std::string pointer);
[[nodiscard]] json::Value to_json(const BudgetLimits& limits);

// Those that every company has until it says otherwise, by name.
[[nodiscard]] const std::vector<Analyzer>& shipped_analyzers();

// Whether the analyzer's trigger and sample take this conversation as it is now.
[[nodiscard]] bool is_due(const Analyzer& analyzer, const Conversation& conversation);

}  // namespace samtale

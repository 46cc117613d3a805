#include "analyze/analyzer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "lm/answer.h"
#include "model/fields.h"

namespace samtale {
namespace {

template <class Value, std::size_t kSize>
using Names = std::array<std::pair<std::string_view, Value>, kSize>;

constexpr Names<AnalyzerKind, 10> kKinds = {{{"summary", AnalyzerKind::summary},
                                             {"sentiment", AnalyzerKind::sentiment},
                                             {"topics", AnalyzerKind::topics},
                                             {"intent", AnalyzerKind::intent},
                                             {"resolution", AnalyzerKind::resolution},
                                             {"action_items", AnalyzerKind::action_items},
                                             {"pii", AnalyzerKind::pii},
                                             {"manipulation", AnalyzerKind::manipulation},
                                             {"scorecard", AnalyzerKind::scorecard},
                                             {"custom", AnalyzerKind::custom}}};
constexpr Names<TriggerOn, 5> kTriggers = {{{"ended", TriggerOn::ended},
                                            {"turn", TriggerOn::turn},
                                            {"tag", TriggerOn::tag},
                                            {"schedule", TriggerOn::schedule},
                                            {"demand", TriggerOn::demand}}};
constexpr Names<Priority, 3> kPriorities = {
    {{"critical", Priority::critical}, {"normal", Priority::normal}, {"bulk", Priority::bulk}}};

constexpr std::int64_t kPointsMax = 100;
constexpr double kMicro = 1e6;

template <class Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto& [name, value] : table) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

template <class Table, class Value>
std::string_view name_in(const Table& table, Value value) {
  return std::ranges::find(table, value, &Table::value_type::second)->first;
}

// The value that the member names; `value` stays as it is where there is none.
template <class Table, class Value>
void read_name(Fields& fields, std::string_view key, const Table& table, Value& value) {
  const auto text = fields.string(key);
  if (!text) return;
  const auto* const found = std::ranges::find(table, *text, &Table::value_type::first);
  if (found != table.end()) {
    value = found->second;
  } else {
    const json::Value got(*text);
    fields.mistake(key, "must be one of " + names_of(table), &got);
  }
}

bool is_name(std::string_view text, std::size_t longest) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, fits);
}

std::string text_of(Fields& fields, std::string_view key, std::size_t bytes_max) {
  auto text = fields.string(key).value_or("");
  if (text.size() > bytes_max) {
    fields.mistake(key, "must be at most " + std::to_string(bytes_max) + " bytes");
  }
  return text;
}

Duration seconds_of(Fields& fields, std::string_view key, Duration otherwise,
                    std::chrono::seconds least, std::chrono::seconds most) {
  const auto value = fields.integer(key, least.count(), most.count());
  return value ? std::chrono::seconds(*value) : otherwise;
}

Trigger read_trigger(Fields& outer, const json::Value& value) {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  Fields fields(value, "/trigger");
  Trigger trigger;
  read_name(fields, "on", kTriggers, trigger.on);
  trigger.tag = text_of(fields, "tag", 100);
  trigger.quiet = seconds_of(fields, "quiet_s", trigger.quiet, seconds(0), hours(24));
  trigger.every = seconds_of(fields, "every_s", trigger.every, minutes(10), hours(24 * 31));
  if (trigger.on == TriggerOn::tag && trigger.tag.empty()) {
    fields.mistake("tag", "is needed for a trigger on a tag");
  }
  (void)fields.done();  // What it finds is among the mistakes.
  outer.add_mistakes(fields);
  return trigger;
}

Question read_question(Fields& outer, const json::Value& value, std::size_t place) {
  Fields fields(value, "/questions/" + std::to_string(place));
  Question question;
  question.id = fields.string("id").value_or("q" + std::to_string(place + 1));
  if (!is_name(question.id, 40)) {
    fields.mistake("id", "must be 1 to 40 of a to z, 0 to 9 and _");
  }
  question.text = text_of(fields, "text", 1'000);
  if (question.text.empty()) fields.mistake("text", "is needed");
  question.max = fields.integer("max", 1, kPointsMax).value_or(1);
  question.weight = fields.number("weight").value_or(1);
  if (question.weight < 0 || question.weight > 1'000) {
    fields.mistake("weight", "must be from 0 to 1000");
  }
  (void)fields.done();
  outer.add_mistakes(fields);
  return question;
}

void read_questions(Fields& fields, Analyzer& analyzer) {
  if (const auto* list = fields.array("questions")) {
    for (std::size_t i = 0; i < std::min(list->size(), AnalyzerLimits::kQuestions); ++i) {
      analyzer.questions.push_back(read_question(fields, (*list)[i], i));
    }
    if (list->size() > AnalyzerLimits::kQuestions) {
      fields.mistake("questions", "must be at most " + std::to_string(AnalyzerLimits::kQuestions));
    }
  }
  std::set<std::string_view> ids;
  for (const auto& question : analyzer.questions) ids.insert(question.id);
  if (ids.size() != analyzer.questions.size()) {
    fields.mistake("questions", "must have ids that differ");
  }
  const bool is_card = analyzer.kind == AnalyzerKind::scorecard;
  if (is_card && analyzer.questions.empty()) {
    fields.mistake("questions", "is needed for a scorecard");
  }
  if (!is_card && !analyzer.questions.empty()) {
    fields.mistake("questions", "is for a scorecard only");
  }
}

bool has_reference(const json::Value& value) {
  if (const auto* array = value.as_array()) return std::ranges::any_of(*array, has_reference);
  const auto* object = value.as_object();
  return object != nullptr && std::ranges::any_of(*object, [](const auto& member) {
           return member.first == "$ref" || has_reference(member.second);
         });
}

void read_schema(Fields& fields, Analyzer& analyzer) {
  const auto* schema = fields.object("schema");
  const bool is_custom = analyzer.kind == AnalyzerKind::custom;
  if (schema == nullptr) {
    if (is_custom) fields.mistake("schema", "is needed for a custom analyzer: a JSON Schema");
    return;
  }
  if (!is_custom) return fields.mistake("schema", "is for a custom analyzer only");
  if (const auto compiled = JsonSchema::compile(*schema); !compiled) {
    fields.mistake("schema", compiled.error().message);
  }
  // It becomes a part of a larger schema, where the same pointer names something else.
  if (has_reference(*schema)) {
    fields.mistake("schema", "may not use $ref: write the part where it is used");
  }
  analyzer.schema = *schema;
}

void read_taxonomy(Fields& fields, Analyzer& analyzer) {
  analyzer.taxonomy = fields.strings("taxonomy");
  analyzer.discover = fields.boolean("discover").value_or(analyzer.taxonomy.empty());
  const bool has_one =
      analyzer.kind == AnalyzerKind::topics || analyzer.kind == AnalyzerKind::intent;
  if (!analyzer.taxonomy.empty() && !has_one) {
    fields.mistake("taxonomy", "is for topics and intent only");
  }
  const auto is_odd = [](const std::string& one) { return one.empty() || one.size() > 100; };
  if (analyzer.taxonomy.size() > AnalyzerLimits::kTaxonomy ||
      std::ranges::any_of(analyzer.taxonomy, is_odd)) {
    fields.mistake("taxonomy", "must be at most " + std::to_string(AnalyzerLimits::kTaxonomy) +
                                   " names of 1 to 100 bytes");
  }
}

std::int64_t whole_seconds(Duration length) {
  return std::chrono::duration_cast<std::chrono::seconds>(length).count();
}

json::Value trigger_value(const Trigger& trigger) {
  json::Object object{{"on", name_in(kTriggers, trigger.on)}};
  if (trigger.on == TriggerOn::tag) object.emplace_back("tag", trigger.tag);
  if (trigger.on == TriggerOn::turn) object.emplace_back("quiet_s", whole_seconds(trigger.quiet));
  if (trigger.on == TriggerOn::schedule) {
    object.emplace_back("every_s", whole_seconds(trigger.every));
  }
  return object;
}

Analyzer shipped(AnalyzerKind kind, std::string_view description) {
  Analyzer analyzer;
  analyzer.name = name(kind);
  analyzer.kind = kind;
  analyzer.description = description;
  analyzer.is_shipped = true;
  return analyzer;
}

}  // namespace

Result<BudgetLimits> parse_budget(const json::Value& value, std::string pointer) {
  constexpr std::int64_t kMost = 1'000'000'000'000;
  Fields fields(value, std::move(pointer));
  const auto micro = [&](std::string_view key) -> std::optional<std::int64_t> {
    const auto usd = fields.number(key);
    if (!usd) return std::nullopt;
    if (!(*usd >= 0 && *usd <= kMicro)) {
      fields.mistake(key, "must be dollars, from 0 to 1000000");
      return std::nullopt;
    }
    return std::llround(*usd * kMicro);
  };
  BudgetLimits limits;
  limits.tokens_per_day = fields.integer("tokens_per_day", 0, kMost);
  limits.tokens_per_month = fields.integer("tokens_per_month", 0, kMost);
  limits.micro_usd_per_day = micro("usd_per_day");
  limits.micro_usd_per_month = micro("usd_per_month");
  SAMTALE_TRY_VOID(fields.done());
  return limits;
}

json::Value to_json(const BudgetLimits& limits) {
  json::Object object;
  const auto add = [&](std::string_view key, const std::optional<std::int64_t>& value) {
    if (value) object.emplace_back(key, *value);
  };
  const auto add_usd = [&](std::string_view key, const std::optional<std::int64_t>& value) {
    if (value) object.emplace_back(key, static_cast<double>(*value) / kMicro);
  };
  add("tokens_per_day", limits.tokens_per_day);
  add("tokens_per_month", limits.tokens_per_month);
  add_usd("usd_per_day", limits.micro_usd_per_day);
  add_usd("usd_per_month", limits.micro_usd_per_month);
  return object;
}

std::string_view name(AnalyzerKind kind) { return name_in(kKinds, kind); }

Result<Analyzer> parse_analyzer(const json::Value& definition) {
  Fields fields(definition);
  Analyzer analyzer;
  analyzer.name = fields.string("name").value_or("");
  if (!is_name(analyzer.name, 40) || analyzer.name[0] < 'a') {
    fields.mistake("name", "must be 1 to 40 of a to z, 0 to 9 and _, a letter first");
  }
  // An analyzer of a shipped name is of that kind unless it says otherwise.
  const auto* const shipped_kind =
      std::ranges::find(kKinds, analyzer.name, &decltype(kKinds)::value_type::first);
  if (shipped_kind != kKinds.end()) analyzer.kind = shipped_kind->second;
  read_name(fields, "kind", kKinds, analyzer.kind);
  analyzer.description = text_of(fields, "description", 1'000);
  analyzer.instructions = text_of(fields, "instructions", AnalyzerLimits::kInstructionBytes);
  if (analyzer.kind == AnalyzerKind::custom && analyzer.instructions.empty()) {
    fields.mistake("instructions", "is needed for a custom analyzer: what is to be found");
  }
  read_schema(fields, analyzer);
  read_taxonomy(fields, analyzer);
  read_questions(fields, analyzer);
  analyzer.model = text_of(fields, "model", 200);
  analyzer.language = text_of(fields, "language", 35);
  if (const auto* trigger = fields.object("trigger")) {
    analyzer.trigger = read_trigger(fields, *trigger);
  }
  read_name(fields, "priority", kPriorities, analyzer.priority);
  if (const auto deadline = fields.integer("deadline_s", 1, 7 * 86'400)) {
    analyzer.deadline = std::chrono::seconds(*deadline);
  }
  analyzer.sample = fields.number("sample").value_or(1);
  if (!(analyzer.sample > 0 && analyzer.sample <= 1)) {
    fields.mistake("sample", "must be a share: more than 0, at most 1");
  }
  if (const auto* budget = fields.object("budget")) {
    const auto limits = parse_budget(*budget, "/budget");
    if (limits) {
      analyzer.budget = *limits;
    } else {
      fields.mistake("budget", limits.error().message);
    }
  }
  analyzer.is_active = fields.boolean("active").value_or(true);
  SAMTALE_TRY_VOID(fields.done());
  return analyzer;
}

json::Value to_json(const Analyzer& analyzer) {
  json::Object object{{"name", analyzer.name}, {"kind", name(analyzer.kind)}};
  const auto add_text = [&](std::string_view key, const std::string& text) {
    if (!text.empty()) object.emplace_back(key, text);
  };
  add_text("description", analyzer.description);
  add_text("instructions", analyzer.instructions);
  if (!analyzer.schema.is_null()) object.emplace_back("schema", analyzer.schema);
  if (!analyzer.taxonomy.empty()) {
    object.emplace_back("taxonomy",
                        json::Array(analyzer.taxonomy.begin(), analyzer.taxonomy.end()));
    object.emplace_back("discover", analyzer.discover);
  }
  if (!analyzer.questions.empty()) {
    json::Array questions;
    for (const auto& question : analyzer.questions) {
      questions.push_back(json::Object{{"id", question.id},
                                       {"text", question.text},
                                       {"max", question.max},
                                       {"weight", question.weight}});
    }
    object.emplace_back("questions", std::move(questions));
  }
  add_text("model", analyzer.model);
  add_text("language", analyzer.language);
  object.emplace_back("trigger", trigger_value(analyzer.trigger));
  object.emplace_back("priority", name_in(kPriorities, analyzer.priority));
  if (analyzer.deadline) object.emplace_back("deadline_s", whole_seconds(*analyzer.deadline));
  if (analyzer.sample != 1) object.emplace_back("sample", analyzer.sample);
  auto budget = to_json(analyzer.budget);
  if (!budget.as_object()->empty()) object.emplace_back("budget", std::move(budget));
  object.emplace_back("active", analyzer.is_active);
  return object;
}

const std::vector<Analyzer>& shipped_analyzers() {
  static const std::vector<Analyzer> kShipped = {
      shipped(AnalyzerKind::action_items, "What somebody is still to do, and who."),
      shipped(AnalyzerKind::intent, "What the customer wants."),
      shipped(AnalyzerKind::manipulation,
              "Whether somebody tries to steer the language model that reads it."),
      shipped(AnalyzerKind::pii, "Where personal data was said."),
      shipped(AnalyzerKind::resolution, "Whether the customer got what they came for."),
      shipped(AnalyzerKind::sentiment, "How each side feels, and how that changes."),
      shipped(AnalyzerKind::summary, "What happened, with a title."),
      shipped(AnalyzerKind::topics, "What it is about."),
  };
  return kShipped;
}

bool is_due(const Analyzer& analyzer, const Conversation& conversation) {
  if (!analyzer.is_active) return false;
  if (analyzer.sample < 1) {
    // A digest of both, so that two analyzers of the same share take different conversations.
    const auto digest = sha256(analyzer.name + '\0' + std::string(conversation.id.view()));
    std::uint32_t bits = 0;
    std::memcpy(&bits, digest.data(), sizeof bits);
    if (static_cast<double>(bits) >= analyzer.sample * 4294967296.0) return false;
  }
  switch (analyzer.trigger.on) {
    case TriggerOn::ended:
      return conversation.status == "ended";
    case TriggerOn::turn:
      return true;
    case TriggerOn::tag:
      return std::ranges::find(conversation.tags, analyzer.trigger.tag) != conversation.tags.end();
    case TriggerOn::schedule:
    case TriggerOn::demand:
      return false;
  }
  return false;
}

}  // namespace samtale

// MergeState: what all events so far say about one conversation, as a map in which the last writer
// wins, so that any order, repetition and interleaving of the same events builds the same bytes.
//
// Source: the last-writer-wins element set of Shapiro et al., "A comprehensive study of Convergent
// and Commutative Replicated Data Types" (INRIA RR-7506, 2011), section 3.3.3.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/conversation.h"
#include "model/ids.h"
#include "providers/provider.h"

namespace samtale {

// Shapes: each fact ("title", "party/…", "metadata/plan") has one value and the stamp of who said
//         it: the patch's version, then its time. The greater stamp wins; of equal stamps the
//         longer list, then the greater bytes.
//         A whole transcript is one fact. Turns that came one by one are kept only while their
//         stamp is above the transcript's: they then change its turn of the same id, or follow it.
// Order:  apply is commutative, associative and idempotent; serialise and build depend on the set
//         of applied patches alone.
// Threads: a value; no sharing.
class MergeState {
 public:
  // Reads back what serialise wrote; an empty text is the state before the first event.
  // Errors: corrupt, also for a version this binary does not know.
  [[nodiscard]] static Result<MergeState> parse(std::string_view text);
  [[nodiscard]] std::string serialise() const;

  // True if the patch said anything that was not known. `event_key` makes ids for turns that came
  // without one, so it must be the same whenever the same event comes again.
  bool apply(const ConversationPatch& patch, std::string_view event_key);

  // Turns in the order of the transcript, then those after it by when they were said. Parties,
  // tags, metadata and the like by their key. The start is that of the first turn if none was said.
  [[nodiscard]] Conversation build(CompanyId company, std::string_view source,
                                   std::string_view external_id) const;

 private:
  struct Stamp {
    std::int64_t version = 0;
    std::int64_t time_us = 0;
    friend auto operator<=>(const Stamp&, const Stamp&) = default;
  };
  struct Fact {
    Stamp stamp;
    json::Value value;  // Null: removed.
  };
  using Facts = std::map<std::string, Fact, std::less<>>;

  [[nodiscard]] static bool is_above(Stamp stamp, const json::Value& value, const Fact& known);
  [[nodiscard]] static json::Value fact_json(const Fact& fact);
  // Absent unless it is what fact_json wrote.
  [[nodiscard]] static std::optional<Fact> fact_of(const json::Value& value);
  static bool put(Facts& facts, std::string_view key, Stamp stamp, json::Value value);
  bool put_members(std::string_view prefix, const json::Object& members, Stamp stamp);
  bool put_header(const ConversationPatch& patch, Stamp stamp);
  bool put_parties(const ConversationPatch& patch, Stamp stamp);
  bool put_transcript(const ConversationPatch& patch, Stamp stamp);
  bool put_turns(const ConversationPatch& patch, std::string_view event_key);
  [[nodiscard]] json::Object members(std::string_view prefix) const;
  [[nodiscard]] std::vector<Party> parties() const;
  [[nodiscard]] std::vector<Turn> turns() const;

  Facts facts_;
  std::optional<Fact> transcript_;
  Facts turns_;  // By turn id; each above the transcript's stamp.
};

}  // namespace samtale

#include "ingest/merge.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_set>

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::int64_t kFormatVersion = 1;
// Of our own text: deeper than what a patch may hold (PatchLimits) by our own levels, and as long
// as any number of events can make it.
constexpr std::size_t kStateBytesMax = std::size_t{1} << 30;
constexpr json::ReadLimits kStateLimits{
    .bytes_max = kStateBytesMax, .depth_max = 64, .members_max = kStateBytesMax};

json::Value turn_json(const Turn& turn) {
  json::Object object{{"id", turn.id}, {"role", turn.role}, {"text", turn.text}};
  if (!turn.name.empty()) object.emplace_back("name", turn.name);
  if (turn.at) object.emplace_back("at", to_us(*turn.at));
  if (turn.is_private) object.emplace_back("private", true);
  if (!turn.extra.empty()) object.emplace_back("extra", turn.extra);
  return object;
}

std::string text_of(const json::Value& value, std::string_view key) {
  const auto* member = value.find(key);
  const auto* text = member == nullptr ? nullptr : member->as_string();
  return text == nullptr ? std::string() : *text;
}

std::optional<WallTime> time_of(const json::Value* value) {
  const auto* us = value == nullptr ? nullptr : value->as_int();
  if (us == nullptr) return std::nullopt;
  return from_us(*us);
}

Turn turn_of(const json::Value& value) {
  Turn turn;
  turn.id = text_of(value, "id");
  turn.role = text_of(value, "role");
  turn.name = text_of(value, "name");
  turn.text = text_of(value, "text");
  turn.at = time_of(value.find("at"));
  turn.is_private = value.find("private") != nullptr;
  if (const auto* extra = value.find("extra"); extra != nullptr && extra->as_object() != nullptr) {
    turn.extra = *extra->as_object();
  }
  return turn;
}

// What a fact of this key holds; null too where a member was removed.
bool fits(std::string_view key, const json::Value& value) {
  if (key.starts_with("party/")) return value.as_string() != nullptr;
  if (key.find('/') != std::string_view::npos) return true;
  if (key == "is_ended" || key == "exists") return value.as_bool() != nullptr;
  if (key.ends_with("_at")) return value.as_int() != nullptr;
  if (key != "tags") return value.as_string() != nullptr;
  return value.as_array() != nullptr && std::ranges::all_of(*value.as_array(), [](const auto& tag) {
           return tag.as_string() != nullptr;
         });
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorCode::corrupt,
              "stored merge state: " + std::string(what) +
                  "; restore the conversation from a backup or replay its events");
}

// Where a turn that came alone stands: by when it was said; of the same moment, numeric ids count
// as numbers, so that part 10 follows part 9.
struct Place {
  std::int64_t us = 0;
  bool is_word = false;
  std::size_t digits = 0;
  std::string id;

  friend auto operator<=>(const Place&, const Place&) = default;
};

Place place_of(const Turn& turn, std::int64_t said_us) {
  const bool is_number = std::ranges::all_of(turn.id, [](char c) { return c >= '0' && c <= '9'; });
  return {.us = turn.at ? to_us(*turn.at) : said_us,
          .is_word = !is_number,
          .digits = is_number ? turn.id.size() : 0,
          .id = turn.id};
}

// "e" and a digest of the event's key: what a turn without an id is called, with its place.
std::string event_prefix(std::string_view event_key) {
  return "e" + hex(view(sha256(event_key)).substr(0, 8)) + "-";
}

json::Value transcript_of(const ConversationPatch& patch) {
  json::Array turns;
  std::unordered_set<std::string> ids;
  for (const auto& said : patch.turns) {
    if (said.is_deleted) continue;
    auto turn = said.turn;
    // Ids must be unique for a later edit to find its turn.
    if (turn.id.empty() || ids.contains(turn.id)) turn.id = "n" + std::to_string(turns.size());
    while (!ids.insert(turn.id).second) turn.id.push_back('\'');
    turns.push_back(turn_json(turn));
  }
  return turns;
}

std::size_t length_of(const json::Value& value) {
  return value.as_array() == nullptr ? 0 : value.as_array()->size();
}

std::string party_key(const Party& party) {
  return party.id.empty() ? "=" + party.name + "=" + party.address : party.id;
}

}  // namespace

json::Value MergeState::fact_json(const Fact& fact) {
  return json::Array{fact.stamp.version, fact.stamp.time_us, fact.value};
}

std::optional<MergeState::Fact> MergeState::fact_of(const json::Value& value) {
  const auto* parts = value.as_array();
  if (parts == nullptr || parts->size() != 3) return std::nullopt;
  const auto* version = (*parts)[0].as_int();
  const auto* time_us = (*parts)[1].as_int();
  if (version == nullptr || time_us == nullptr) return std::nullopt;
  return Fact{{*version, *time_us}, (*parts)[2]};
}

std::string MergeState::serialise() const {
  json::Object facts;
  for (const auto& [key, fact] : facts_) facts.emplace_back(key, fact_json(fact));
  json::Object turns;
  for (const auto& [id, fact] : turns_) turns.emplace_back(id, fact_json(fact));
  json::Object state{{"format", kFormatVersion}, {"facts", std::move(facts)}};
  if (transcript_) state.emplace_back("transcript", fact_json(*transcript_));
  if (!turns.empty()) state.emplace_back("turns", std::move(turns));
  return json::dump(state);
}

Result<MergeState> MergeState::parse(std::string_view text) {
  MergeState state;
  if (text.empty()) return state;
  const auto document = json::parse(text, kStateLimits);
  if (!document) return corrupt(document.error().message);
  const auto* format = document->find("format");
  if (format == nullptr || *format != json::Value(kFormatVersion)) {
    return corrupt("a format this binary does not know");
  }
  const auto* facts = document->find("facts");
  if (facts == nullptr || facts->as_object() == nullptr) return corrupt("no facts");
  for (const auto& [key, value] : *facts->as_object()) {
    auto fact = fact_of(value);
    if (!fact || !fits(key, fact->value)) return corrupt("broken fact \"" + key + "\"");
    state.facts_.emplace(key, std::move(*fact));
  }
  if (const auto* transcript = document->find("transcript")) {
    state.transcript_ = fact_of(*transcript);
    if (!state.transcript_ || state.transcript_->value.as_array() == nullptr) {
      return corrupt("broken transcript");
    }
  }
  const auto* turns = document->find("turns");
  if (turns == nullptr) return state;
  if (turns->as_object() == nullptr) return corrupt("broken turns");
  for (const auto& [id, value] : *turns->as_object()) {
    auto fact = fact_of(value);
    if (!fact) return corrupt("broken turn \"" + id + "\"");
    state.turns_.emplace(id, std::move(*fact));
  }
  return state;
}

bool MergeState::is_above(Stamp stamp, const json::Value& value, const Fact& known) {
  if (stamp != known.stamp) return stamp > known.stamp;
  // Senders that date a document by its creation send it again when it has grown.
  if (length_of(value) != length_of(known.value)) return length_of(value) > length_of(known.value);
  return json::dump(value) > json::dump(known.value);
}

bool MergeState::put(Facts& facts, std::string_view key, Stamp stamp, json::Value value) {
  const auto known = facts.find(key);
  if (known == facts.end()) {
    facts.emplace(std::string(key), Fact{stamp, std::move(value)});
    return true;
  }
  if (!is_above(stamp, value, known->second)) return false;
  known->second = {stamp, std::move(value)};
  return true;
}

bool MergeState::put_members(std::string_view prefix, const json::Object& members, Stamp stamp) {
  bool changed = false;
  for (const auto& [key, value] : members) {
    changed |= put(facts_, std::string(prefix) + key, stamp, value);
  }
  return changed;
}

bool MergeState::put_header(const ConversationPatch& patch, Stamp stamp) {
  bool changed = false;
  const auto put_text = [&](std::string_view key, const std::optional<std::string>& text) {
    if (text) changed |= put(facts_, key, stamp, *text);
  };
  const auto put_time = [&](std::string_view key, const std::optional<WallTime>& time) {
    if (time) changed |= put(facts_, key, stamp, to_us(*time));
  };
  put_text("channel", patch.channel);
  put_text("language", patch.language);
  put_text("title", patch.title);
  put_text("end_reason", patch.end_reason);
  put_time("started_at", patch.started_at);
  put_time("ended_at", patch.ended_at);
  // As a truth value, because "true" is above "false": of two words at the same moment the end
  // wins.
  if (patch.status) changed |= put(facts_, "is_ended", stamp, *patch.status == "ended");
  if (patch.tags) {
    const std::set<std::string> sorted(patch.tags->begin(), patch.tags->end());
    json::Array tags;
    for (const auto& tag : sorted) tags.emplace_back(tag);
    changed |= put(facts_, "tags", stamp, std::move(tags));
  }
  return changed;
}

bool MergeState::put_parties(const ConversationPatch& patch, Stamp stamp) {
  bool changed = false;
  for (const auto& party : patch.parties) {
    const auto key = "party/" + json::pointer_token(party_key(party)) + "/";
    changed |= put(facts_, key + "id", stamp, party.id);
    // By field: a list of bare ids must not take a known name away.
    for (const auto& [field, text] :
         {std::pair{"name", &party.name}, {"role", &party.role}, {"address", &party.address}}) {
      if (!text->empty()) changed |= put(facts_, key + field, stamp, *text);
    }
  }
  return changed;
}

bool MergeState::put_transcript(const ConversationPatch& patch, Stamp stamp) {
  auto turns = transcript_of(patch);
  if (transcript_ && !is_above(stamp, turns, *transcript_)) return false;
  transcript_ = Fact{stamp, std::move(turns)};
  // A stamp only grows, so these can never be shown again.
  std::erase_if(turns_, [&](const auto& turn) { return turn.second.stamp <= stamp; });
  return true;
}

bool MergeState::put_turns(const ConversationPatch& patch, std::string_view event_key) {
  bool changed = false;
  std::size_t index = 0;
  for (const auto& said : patch.turns) {
    const auto place = index++;
    const Stamp stamp{patch.version, to_us(said.time)};
    if (transcript_ && stamp <= transcript_->stamp) continue;
    auto turn = said.turn;
    if (turn.id.empty()) turn.id = event_prefix(event_key) + std::to_string(place);
    const auto id = turn.id;
    changed |= put(turns_, id, stamp, said.is_deleted ? json::Value() : turn_json(turn));
  }
  return changed;
}

bool MergeState::apply(const ConversationPatch& patch, std::string_view event_key) {
  const Stamp stamp{patch.version, to_us(patch.time)};
  // Without a fact of its own a conversation that says nothing but its id would not be there.
  bool changed = put(facts_, "exists", Stamp{}, true);
  changed |= put_header(patch, stamp);
  changed |= put_parties(patch, stamp);
  changed |= put_members("metadata/", patch.metadata, stamp);
  changed |= put_members("analysis/", patch.vendor_analysis, stamp);
  changed |= put_members("extra/", patch.extra, stamp);
  changed |= patch.is_complete ? put_transcript(patch, stamp) : put_turns(patch, event_key);
  return changed;
}

json::Object MergeState::members(std::string_view prefix) const {
  json::Object object;
  for (auto at = facts_.lower_bound(prefix); at != facts_.end() && at->first.starts_with(prefix);
       ++at) {
    if (!at->second.value.is_null()) {
      object.emplace_back(at->first.substr(prefix.size()), at->second.value);
    }
  }
  return object;
}

std::vector<Party> MergeState::parties() const {
  std::vector<Party> parties;
  std::string key_before;
  for (const auto& [key, value] : members("party/")) {
    const auto split = key.rfind('/') + 1;
    if (parties.empty() || key.substr(0, split) != key_before) parties.emplace_back();
    key_before = key.substr(0, split);
    const auto field = key.substr(split);
    auto& party = parties.back();
    auto& place = field == "id"     ? party.id
                  : field == "name" ? party.name
                  : field == "role" ? party.role
                                    : party.address;
    place = *value.as_string();
  }
  return parties;
}

std::vector<Turn> MergeState::turns() const {
  std::vector<Turn> turns;
  std::unordered_set<std::string> shown;
  if (transcript_) {
    for (const auto& item : *transcript_->value.as_array()) {
      auto turn = turn_of(item);
      shown.insert(turn.id);
      const auto edit = turns_.find(turn.id);
      if (edit == turns_.end()) {
        turns.push_back(std::move(turn));
      } else if (!edit->second.value.is_null()) {
        turns.push_back(turn_of(edit->second.value));
      }
    }
  }
  std::vector<std::pair<Place, Turn>> after;
  for (const auto& [id, fact] : turns_) {
    if (fact.value.is_null() || shown.contains(id)) continue;
    auto turn = turn_of(fact.value);
    auto place = place_of(turn, fact.stamp.time_us);
    after.emplace_back(std::move(place), std::move(turn));
  }
  std::ranges::sort(
      after, {}, [](const auto& entry) -> const auto& { return entry.first; });
  for (auto& [place, turn] : after) turns.push_back(std::move(turn));
  return turns;
}

Conversation MergeState::build(CompanyId company, std::string_view source,
                               std::string_view external_id) const {
  const auto fact = [&](std::string_view key) -> const json::Value* {
    const auto known = facts_.find(key);
    return known == facts_.end() ? nullptr : &known->second.value;
  };
  const auto text = [&](std::string_view key) {
    const auto* value = fact(key);
    return value == nullptr ? std::string() : *value->as_string();
  };
  Conversation built;
  built.id = make_conversation_id(company, source, external_id);
  built.source = source;
  built.external_id = external_id;
  built.channel = text("channel");
  built.language = text("language");
  built.title = text("title");
  built.started_at = time_of(fact("started_at"));
  const auto* is_ended = fact("is_ended");
  if (is_ended != nullptr && *is_ended->as_bool()) {
    built.status = "ended";
    built.end_reason = text("end_reason");
    built.ended_at = time_of(fact("ended_at"));
  }
  built.parties = parties();
  built.turns = turns();
  for (const auto& turn : built.turns) {
    if (fact("started_at") != nullptr || !turn.at) continue;
    if (!built.started_at || *turn.at < *built.started_at) built.started_at = turn.at;
  }
  if (const auto* tags = fact("tags")) {
    for (const auto& tag : *tags->as_array()) built.tags.push_back(*tag.as_string());
  }
  built.metadata = members("metadata/");
  built.vendor_analysis = members("analysis/");
  built.extra = members("extra/");
  return built;
}

}  // namespace samtale

#include "model/conversation.h"

namespace samtale {
namespace {

void put(json::Object& object, const char* key, const std::string& value) {
  if (!value.empty()) object.emplace_back(key, value);
}

void put(json::Object& object, const char* key, const std::optional<WallTime>& time) {
  if (time) object.emplace_back(key, format_time(*time));
}

void put(json::Object& object, const char* key, const json::Object& value) {
  if (!value.empty()) object.emplace_back(key, value);
}

json::Value to_json(const Turn& turn) {
  json::Object object;
  put(object, "id", turn.id);
  put(object, "speaker", turn.role);
  put(object, "name", turn.name);
  object.emplace_back("text", turn.text);
  put(object, "at", turn.at);
  if (turn.is_private) object.emplace_back("private", true);
  put(object, "extra", turn.extra);
  return object;
}

json::Value to_json(const Party& party) {
  json::Object object;
  put(object, "id", party.id);
  put(object, "name", party.name);
  put(object, "role", party.role);
  put(object, "address", party.address);
  return object;
}

// Reads what to_json wrote; remembers the first thing that does not fit.
class Reader {
 public:
  std::string string(const json::Value& object, std::string_view key) {
    const auto* member = object.find(key);
    if (member == nullptr) return {};
    if (const auto* text = member->as_string()) return *text;
    broken_ = key;
    return {};
  }

  std::optional<WallTime> time(const json::Value& object, std::string_view key) {
    const auto text = string(object, key);
    if (text.empty()) return std::nullopt;
    const auto parsed = parse_time(text);
    if (!parsed) broken_ = key;
    return parsed;
  }

  json::Object object(const json::Value& value, std::string_view key) {
    const auto* member = value.find(key);
    if (member == nullptr) return {};
    if (const auto* found = member->as_object()) return *found;
    broken_ = key;
    return {};
  }

  const json::Array& array(const json::Value& value, std::string_view key) {
    static const json::Array kNone;
    const auto* member = value.find(key);
    if (member == nullptr) return kNone;
    if (const auto* found = member->as_array()) return *found;
    broken_ = key;
    return kNone;
  }

  [[nodiscard]] const std::string& broken() const { return broken_; }
  void set_broken(std::string_view key) { broken_ = key; }

 private:
  std::string broken_;
};

}  // namespace

json::Value to_json(const Conversation& conversation) {
  json::Object object;
  object.emplace_back("id", text(conversation.id));
  put(object, "source", conversation.source);
  put(object, "external_id", conversation.external_id);
  put(object, "channel", conversation.channel);
  put(object, "language", conversation.language);
  put(object, "title", conversation.title);
  put(object, "status", conversation.status);
  put(object, "end_reason", conversation.end_reason);
  put(object, "started_at", conversation.started_at);
  put(object, "ended_at", conversation.ended_at);
  if (!conversation.parties.empty()) {
    json::Array parties;
    for (const auto& party : conversation.parties) parties.push_back(to_json(party));
    object.emplace_back("parties", std::move(parties));
  }
  json::Array turns;
  for (const auto& turn : conversation.turns) turns.push_back(to_json(turn));
  object.emplace_back("turns", std::move(turns));
  if (!conversation.tags.empty()) {
    json::Array tags;
    for (const auto& tag : conversation.tags) tags.emplace_back(tag);
    object.emplace_back("tags", std::move(tags));
  }
  put(object, "metadata", conversation.metadata);
  put(object, "vendor_analysis", conversation.vendor_analysis);
  put(object, "extra", conversation.extra);
  return object;
}

Result<Conversation> conversation_from_json(const json::Value& value) {
  Reader reader;
  Conversation conversation;
  const auto id = parse_conversation_id(reader.string(value, "id"));
  if (!id) return fail(ErrorCode::corrupt, "stored conversation without a valid id");
  conversation.id = *id;
  conversation.source = reader.string(value, "source");
  conversation.external_id = reader.string(value, "external_id");
  conversation.channel = reader.string(value, "channel");
  conversation.language = reader.string(value, "language");
  conversation.title = reader.string(value, "title");
  conversation.status = reader.string(value, "status");
  conversation.end_reason = reader.string(value, "end_reason");
  conversation.started_at = reader.time(value, "started_at");
  conversation.ended_at = reader.time(value, "ended_at");
  for (const auto& item : reader.array(value, "parties")) {
    conversation.parties.push_back({.id = reader.string(item, "id"),
                                    .name = reader.string(item, "name"),
                                    .role = reader.string(item, "role"),
                                    .address = reader.string(item, "address")});
  }
  for (const auto& item : reader.array(value, "turns")) {
    Turn turn{.id = reader.string(item, "id"),
              .role = reader.string(item, "speaker"),
              .name = reader.string(item, "name"),
              .text = reader.string(item, "text"),
              .at = reader.time(item, "at"),
              .is_private = false,
              .extra = reader.object(item, "extra")};
    const auto* is_private = item.find("private");
    turn.is_private = is_private != nullptr && is_private->as_bool() && *is_private->as_bool();
    conversation.turns.push_back(std::move(turn));
  }
  for (const auto& item : reader.array(value, "tags")) {
    if (const auto* tag = item.as_string()) {
      conversation.tags.push_back(*tag);
    } else {
      reader.set_broken("tags");
    }
  }
  conversation.metadata = reader.object(value, "metadata");
  conversation.vendor_analysis = reader.object(value, "vendor_analysis");
  conversation.extra = reader.object(value, "extra");
  if (!reader.broken().empty()) {
    return fail(ErrorCode::corrupt, "stored conversation " + text(conversation.id) +
                                        " has a broken member \"" + reader.broken() + "\"");
  }
  return conversation;
}

}  // namespace samtale

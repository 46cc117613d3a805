// Source: draft-ietf-vcon-vcon-core-04 (syntax 0.4.0).
#include <map>
#include <utility>

#include "base/bytes.h"
#include "providers/provider.h"

namespace samtale {
namespace {

// The conversation's id as a UUID of version 8 (RFC 9562 section 5.8): the same every time.
std::string uuid_of(const ConversationId& id) {
  auto bytes = std::string(id.view());
  bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0FU) | 0x80U);
  bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3FU) | 0x80U);
  auto text = hex(bytes);
  for (const std::size_t at : {20U, 16U, 12U, 8U}) text.insert(at, 1, '-');
  return text;
}

void put(json::Object& object, std::string_view key, const std::string& text) {
  if (!text.empty()) object.emplace_back(key, text);
}

json::Value to_vcon_party(const Party& party) {
  json::Object object;
  put(object, "id", party.id);
  put(object, "name", party.name);
  put(object, "role", party.role);
  put(object, party.address.find('@') == std::string::npos ? "tel" : "mailto", party.address);
  return object;
}

// The parties of a conversation, and those that spoke without being among them.
class Speakers {
 public:
  explicit Speakers(std::vector<Party> parties) : parties_(std::move(parties)) {
    for (std::size_t i = 0; i < parties_.size(); ++i) remember(i);
  }

  std::size_t place_of(const Turn& turn) {
    const auto known = places_.find({turn.role, turn.name});
    if (known != places_.end()) return known->second;
    parties_.push_back({.id = "", .name = turn.name, .role = turn.role, .address = ""});
    remember(parties_.size() - 1);
    return parties_.size() - 1;
  }

  [[nodiscard]] const std::vector<Party>& parties() const { return parties_; }

 private:
  void remember(std::size_t place) {
    const auto& party = parties_[place];
    places_.try_emplace({party.role, party.name}, place);
    places_.try_emplace({party.role, ""}, place);  // For turns without a name.
  }

  std::vector<Party> parties_;
  std::map<std::pair<std::string, std::string>, std::size_t> places_;
};

json::Value to_vcon_dialog(const Turn& turn, std::size_t speaker, WallTime start) {
  json::Object object;
  object.emplace_back("type", "text");
  object.emplace_back("start", format_time(start));
  object.emplace_back("parties", speaker);
  object.emplace_back("originator", speaker);
  object.emplace_back("mediatype", "text/plain");
  object.emplace_back("body", turn.text);
  object.emplace_back("encoding", "none");
  put(object, "message_id", turn.id);
  if (turn.is_private) object.emplace_back("meta", json::Object{{"private", true}});
  return object;
}

json::Value attachment(std::string_view purpose, const json::Value& body, WallTime start) {
  return json::Object{{"purpose", purpose},
                      {"start", format_time(start)},
                      {"mediatype", "application/json"},
                      {"body", json::dump(body)},
                      {"encoding", "json"}};
}

json::Array attachments_of(const Conversation& conversation, WallTime start) {
  json::Array attachments;
  if (!conversation.tags.empty()) {
    json::Array tags;
    for (const auto& tag : conversation.tags) tags.emplace_back(tag);
    attachments.push_back(attachment("tags", std::move(tags), start));
  }
  json::Object origin{{"source", conversation.source}, {"external_id", conversation.external_id}};
  put(origin, "channel", conversation.channel);
  put(origin, "language", conversation.language);
  if (!conversation.metadata.empty()) origin.emplace_back("metadata", conversation.metadata);
  attachments.push_back(attachment("samtale", std::move(origin), start));
  return attachments;
}

}  // namespace

json::Value to_vcon(const Conversation& conversation, WallTime created_at, WallTime updated_at) {
  Speakers speakers(conversation.parties);
  json::Array dialogs;
  // A dialog must have a start: a turn without one has that of the turn before it.
  auto start = conversation.started_at.value_or(created_at);
  for (const auto& turn : conversation.turns) {
    start = turn.at.value_or(start);
    dialogs.push_back(to_vcon_dialog(turn, speakers.place_of(turn), start));
  }
  json::Array vcon_parties;
  for (const auto& party : speakers.parties()) vcon_parties.push_back(to_vcon_party(party));

  json::Object object{{"vcon", "0.4.0"}, {"uuid", uuid_of(conversation.id)}};
  object.emplace_back("created_at", format_time(created_at));
  object.emplace_back("updated_at", format_time(updated_at));
  put(object, "subject", conversation.title);
  object.emplace_back("parties", std::move(vcon_parties));
  object.emplace_back("dialog", std::move(dialogs));
  object.emplace_back("attachments", attachments_of(conversation, created_at));
  return object;
}

}  // namespace samtale

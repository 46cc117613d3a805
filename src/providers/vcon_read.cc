// Source: draft-petrie-vcon-01 to -04 (syntax 0.0.1), draft-ietf-vcon-vcon-container-01 to -03
// (0.0.2, 0.0.3) and draft-ietf-vcon-vcon-core-00 to -04 (0.3.0, 0.4.0). Field names that changed
// on the way are read under each of their names; what only adds is kept in `extra`.
#include <algorithm>
#include <array>
#include <map>

#include "base/bytes.h"
#include "providers/fields.h"
#include "providers/markup.h"

namespace samtale {
namespace {

// Dialogs, analyses or attachments of one vCon: as many as a conversation may have turns.
constexpr std::size_t kPartsMax = PatchLimits::turns_max;

// Extensions that change nothing a reader of text needs to know (contact centre fields).
constexpr std::array<std::string_view, 1> kExtensionsKnown{"CC"};

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

std::string without(std::string text, std::string_view scheme) {
  if (text.starts_with(scheme)) text.erase(0, scheme.size());
  return text;
}

std::string first_of(const json::Value& value, std::initializer_list<std::string_view> pointers) {
  for (const auto pointer : pointers) {
    auto text = text_at(value, pointer);
    if (!text.empty()) return text;
  }
  return {};
}

Result<> check_form(const json::Value& document) {
  if (document.as_object() == nullptr) {
    return refuse("a vCon must be a JSON object; got " + shortened(document));
  }
  if (document.find("ciphertext") != nullptr) {
    return refuse("the vCon is encrypted (JWE); decrypt it before sending");
  }
  if (document.find("payload") != nullptr &&
      (document.find("signatures") != nullptr || document.find("protected") != nullptr)) {
    return refuse("the vCon is in its signed form (JWS); send the plain JSON inside it");
  }
  const auto version = text_at(document, "/vcon");
  if (!version.empty() && !version.starts_with("0.")) {
    return refuse("/vcon: must be a syntax version from 0.0.1 to 0.4.0; got " +
                  shortened(json::Value(version)));
  }
  for (const auto* list : {"/critical", "/must_support"}) {
    for (const auto& name : items_at(document, list)) {
      const auto* text = name.as_string();
      if (text != nullptr && std::ranges::find(kExtensionsKnown, *text) != kExtensionsKnown.end()) {
        continue;
      }
      return refuse(std::string(list) +
                    ": must name only extensions that this server knows (CC); got " +
                    shortened(name));
    }
  }
  for (const auto* list : {"/dialog", "/analysis", "/attachments"}) {
    if (items_at(document, list).size() > kPartsMax) {
      return refuse(std::string(list) + ": must not have more than 100000 items");
    }
  }
  return {};
}

// The content of a dialog, an analysis or an attachment, decoded by its "encoding".
std::optional<json::Value> body_of(const json::Value& part) {
  const auto* body = part.find("body");
  if (body == nullptr) return std::nullopt;
  const auto* text = body->as_string();
  if (text == nullptr) return *body;  // 0.0.1 pipelines put JSON there as it is.
  auto encoding = text_at(part, "/encoding");
  std::ranges::transform(encoding, encoding.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  if (encoding == "base64url" || encoding == "base64") {
    std::string standard = *text;
    std::ranges::replace(standard, '-', '+');
    std::ranges::replace(standard, '_', '/');
    auto bytes = unbase64(standard);
    if (!bytes || !is_utf8(*bytes)) return std::nullopt;
    return json::Value(std::move(*bytes));
  }
  if (encoding == "json") {
    auto parsed = json::parse(*text);
    if (parsed) return std::move(*parsed);
  }
  return *body;
}

std::vector<Party> read_parties(const json::Value& document) {
  std::vector<Party> parties;
  for (const auto& item : items_at(document, "/parties")) {
    Party party;
    party.id = first_of(item, {"/uuid", "/id"});
    party.name = text_at(item, "/name");
    party.role = first_of(item, {"/role", "/meta/role"});
    if (!party.role.empty()) party.role = normal_role(party.role);
    party.address =
        without(without(first_of(item, {"/mailto", "/email", "/tel", "/sip"}), "mailto:"), "tel:");
    parties.push_back(std::move(party));
    if (parties.size() > PatchLimits::parties_max) break;
  }
  return parties;
}

// Which party an index names; null for none.
const Party* party_at(const std::vector<Party>& parties, const json::Value* index) {
  if (index == nullptr) return nullptr;
  if (const auto* list = index->as_array()) {
    return list->empty() || list->front().as_array() ? nullptr : party_at(parties, &list->front());
  }
  const auto* number = index->as_int();
  if (number == nullptr || *number < 0 || static_cast<std::size_t>(*number) >= parties.size()) {
    return nullptr;
  }
  return &parties[static_cast<std::size_t>(*number)];
}

void set_speaker(Turn& turn, const Party* party) {
  if (party == nullptr) return;
  turn.name = party->name.empty() ? party->address : party->name;
  if (!party->role.empty()) turn.role = party->role;
}

// Who "Agent", "Mark Gonzales" or 1 is: a party by index, name, or the only one of a role.
void set_speaker(Turn& turn, const std::vector<Party>& parties, const json::Value* speaker) {
  turn.role = normal_role("");
  if (speaker == nullptr) return;
  const auto* label = speaker->as_string();
  if (label == nullptr) return set_speaker(turn, party_at(parties, speaker));
  const auto role = normal_role(*label);
  const auto by_name = std::ranges::find(parties, *label, &Party::name);
  if (by_name != parties.end()) return set_speaker(turn, &*by_name);
  turn.role = role;
  if (std::ranges::count(parties, role, &Party::role) == 1) {
    set_speaker(turn, &*std::ranges::find(parties, role, &Party::role));
  } else {
    turn.name = *label;
  }
}

bool is_text(const json::Value& dialog) { return text_at(dialog, "/type").starts_with("text"); }

std::optional<TurnPatch> read_text_dialog(const json::Value& dialog,
                                          const std::vector<Party>& parties) {
  const auto body = body_of(dialog);
  if (!body) return std::nullopt;
  TurnPatch patch;
  auto& turn = patch.turn;
  turn.role = normal_role("");
  turn.id = text_at(dialog, "/message_id");
  turn.is_private = is_true_at(dialog, "/meta/private");
  turn.text = body->as_string() != nullptr ? *body->as_string()
                                           : first_of(*body, {"/text", "/message", "/body"});
  if (first_of(dialog, {"/mediatype", "/mimetype"}).starts_with("text/html")) {
    turn.text = text_of_html(turn.text);
  }
  turn.at = parse_time(text_at(dialog, "/start"));
  const auto* originator = dialog.find("originator");
  set_speaker(turn, party_at(parties, originator != nullptr ? originator : dialog.find("parties")));
  return patch;
}

// The turns of a transcript in any of the shapes that vendors give it.
std::vector<TurnPatch> read_transcript(const json::Value& body, const std::vector<Party>& parties,
                                       std::optional<WallTime> start) {
  if (const auto* text = body.as_string()) return split_transcript(*text);
  const json::Array* items = body.as_array();
  for (const auto* key : {"segments", "utterances", "messages", "turns", "transcript"}) {
    if (items == nullptr && body.find(key) != nullptr) items = body.find(key)->as_array();
  }
  if (items == nullptr) {
    const auto whole = first_of(body, {"/transcript", "/text"});
    return whole.empty() ? std::vector<TurnPatch>{} : split_transcript(whole);
  }
  std::vector<TurnPatch> turns;
  for (const auto& item : *items) {
    if (turns.size() > PatchLimits::turns_max) break;  // within_limits refuses it.
    TurnPatch patch;
    patch.turn.text = first_of(item, {"/message", "/text", "/content", "/body", "/transcript"});
    if (patch.turn.text.empty()) continue;
    const json::Value* speaker = nullptr;
    for (const auto* key : {"speaker", "role", "party", "channel"}) {
      if (speaker == nullptr) speaker = item.find(key);
    }
    set_speaker(patch.turn, parties, speaker);
    const auto* offset = item.find("start");
    patch.turn.at = later(start, offset == nullptr ? std::nullopt : offset->as_number());
    turns.push_back(std::move(patch));
  }
  return turns;
}

// The dialog an analysis is about; of several the first; the last place of all if it names none.
std::size_t dialog_of(const json::Value& analysis, std::size_t dialogs) {
  const auto* index = analysis.find("dialog");
  const auto* list = index == nullptr ? nullptr : index->as_array();
  if (list != nullptr && !list->empty()) index = &list->front();
  const auto* number = index == nullptr ? nullptr : index->as_int();
  if (number == nullptr || *number < 0) return dialogs;
  return std::min(static_cast<std::size_t>(*number), dialogs);
}

void read_turns(const json::Value& document, ConversationPatch& patch) {
  const auto& dialogs = items_at(document, "/dialog");
  // Of two transcripts of one dialog the first counts: the same words twice help nobody.
  std::vector<const json::Value*> transcripts(dialogs.size() + 1, nullptr);
  for (const auto& analysis : items_at(document, "/analysis")) {
    auto& place = transcripts[dialog_of(analysis, dialogs.size())];
    if (text_at(analysis, "/type") == "transcript" && place == nullptr) place = &analysis;
  }
  for (std::size_t i = 0; i <= dialogs.size(); ++i) {
    if (i < dialogs.size() && is_text(dialogs[i])) {
      if (auto turn = read_text_dialog(dialogs[i], patch.parties)) {
        patch.turns.push_back(std::move(*turn));
        continue;
      }
    }
    const auto body = transcripts[i] == nullptr ? std::nullopt : body_of(*transcripts[i]);
    if (!body) continue;
    const auto start =
        i < dialogs.size() ? parse_time(text_at(dialogs[i], "/start")) : std::nullopt;
    std::ranges::move(read_transcript(*body, patch.parties, start),
                      std::back_inserter(patch.turns));
  }
}

void read_times(const json::Value& document, ConversationPatch& patch) {
  bool has_recording = false;
  for (const auto& dialog : items_at(document, "/dialog")) {
    has_recording |= !is_text(dialog);
    const auto start = parse_time(text_at(dialog, "/start"));
    if (!start) continue;
    const auto* duration = dialog.find("duration");
    const auto end = later(start, duration == nullptr ? std::nullopt : duration->as_number());
    if (!patch.started_at || *start < *patch.started_at) patch.started_at = start;
    const auto last = end.value_or(*start);
    if (!patch.ended_at || last > *patch.ended_at) patch.ended_at = last;
  }
  patch.channel = has_recording ? "voice" : "chat";
}

void read_tags(const json::Value& document, ConversationPatch& patch) {
  for (const auto& attachment : items_at(document, "/attachments")) {
    if (first_of(attachment, {"/type", "/purpose"}) != "tags") continue;
    const auto body = body_of(attachment);
    if (!body || body->as_array() == nullptr) continue;
    if (!patch.tags) patch.tags.emplace();
    for (const auto& tag : *body->as_array()) {
      if (tag.as_string() != nullptr && !tag.as_string()->empty()) {
        patch.tags->push_back(*tag.as_string());
      }
    }
  }
}

// Every analysis that is no transcript, in lists by its type.
void read_analyses(const json::Value& document, ConversationPatch& patch) {
  std::map<std::string, json::Array> by_type;
  for (const auto& analysis : items_at(document, "/analysis")) {
    const auto type = text_at(analysis, "/type");
    if (type != "transcript") by_type[type].push_back(analysis);
  }
  for (auto& [type, analyses] : by_type) {
    patch.vendor_analysis.emplace_back(type, std::move(analyses));
  }
}

}  // namespace

bool is_vcon(const json::Value& document) {
  if (document.find("vcon") != nullptr || document.find("ciphertext") != nullptr) return true;
  if (document.find("payload") != nullptr && document.find("signatures") != nullptr) return true;
  return document.find("uuid") != nullptr && document.find("dialog") != nullptr;
}

Result<ConversationPatch> parse_vcon(const json::Value& document, WallTime received_at) {
  SAMTALE_TRY_VOID(check_form(document));
  ConversationPatch patch;
  patch.external_id = text_at(document, "/uuid");
  if (patch.external_id.empty()) {
    const auto* uuid = document.find("uuid");
    return refuse("/uuid: must be a string; got " +
                  (uuid == nullptr ? std::string("nothing") : shortened(*uuid)));
  }
  const auto created = parse_time(text_at(document, "/created_at"));
  const auto updated = parse_time(text_at(document, "/updated_at"));
  patch.time = updated ? *updated : created.value_or(received_at);
  patch.title = fact_at(document, "/subject");
  patch.parties = read_parties(document);
  patch.is_complete = true;
  patch.status = "ended";  // A vCon is the record of a conversation that was held.
  read_times(document, patch);
  read_turns(document, patch);
  read_tags(document, patch);
  read_analyses(document, patch);
  for (const auto* key : {"group", "redacted", "appended", "amended", "attachments", "extensions",
                          "interaction_id", "meta"}) {
    add_known(patch.extra, key, document.find(key));
  }
  return within_limits(std::move(patch));
}

}  // namespace samtale

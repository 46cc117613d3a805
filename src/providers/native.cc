#include <algorithm>
#include <array>
#include <unordered_set>

#include "providers/fields.h"

namespace samtale {
namespace {

constexpr std::size_t kMistakesMax = 20;  // Of one document, said in one message.

constexpr std::array<std::string_view, 16> kKnownFields{
    "id",         "company_id", "channel",  "language", "title",  "status",
    "end_reason", "started_at", "ended_at", "version",  "append", "parties",
    "updated_at", "turns",      "tags",     "metadata"};

// Reads a document member by member and keeps what is wrong with it, so that its sender learns of
// all mistakes at once.
class Form {
 public:
  [[nodiscard]] bool is_full() const { return mistakes_.size() >= kMistakesMax; }

  void mistake(const std::string& pointer, std::string_view rule, const json::Value* got) {
    if (is_full()) return;
    mistakes_.push_back(pointer + ": " + std::string(rule) + "; got " +
                        (got == nullptr ? "nothing" : shortened(*got)));
  }

  [[nodiscard]] Result<> result() const {
    if (mistakes_.empty()) return {};
    std::string message;
    for (const auto& mistake : mistakes_) {
      if (!message.empty()) message.append("; and ");
      message.append(mistake);
    }
    if (is_full()) message.append("; and perhaps more");
    return fail(ErrorCode::invalid_argument, std::move(message));
  }

  // The member, unless it is absent or null: both mean "not said".
  static const json::Value* said(const json::Value& object, std::string_view key) {
    const auto* member = object.find(key);
    return member == nullptr || member->is_null() ? nullptr : member;
  }

  std::optional<std::string> text(const json::Value& object, std::string_view key,
                                  const std::string& at, std::size_t bytes_max) {
    const auto* member = said(object, key);
    if (member == nullptr) return std::nullopt;
    const auto* text = member->as_string();
    const auto pointer = at + "/" + std::string(key);
    if (text == nullptr) {
      mistake(pointer, "must be a string", member);
    } else if (text->size() > bytes_max) {
      mistake(pointer, "must not be longer than " + std::to_string(bytes_max) + " bytes", member);
    } else {
      return *text;
    }
    return std::nullopt;
  }

  std::optional<WallTime> time(const json::Value& object, std::string_view key,
                               const std::string& at) {
    const auto* member = said(object, key);
    if (member == nullptr) return std::nullopt;
    const auto* text = member->as_string();
    const auto time = text == nullptr ? std::nullopt : parse_time(*text);
    if (!time) {
      mistake(at + "/" + std::string(key),
              "must be an RFC 3339 time from 1900 to 2199, like \"2026-11-23T08:00:00Z\"", member);
    }
    return time;
  }

  bool flag(const json::Value& object, std::string_view key, const std::string& at) {
    const auto* member = said(object, key);
    if (member == nullptr) return false;
    if (const auto* flag = member->as_bool()) return *flag;
    mistake(at + "/" + std::string(key), "must be true or false", member);
    return false;
  }

  // The items, or none with a mistake if it is no list or has more than `items_max`.
  const json::Array& items(const json::Value& object, std::string_view key, std::size_t items_max) {
    static const json::Array kNone;
    const auto* member = said(object, key);
    if (member == nullptr) return kNone;
    const auto* items = member->as_array();
    const auto pointer = "/" + std::string(key);
    if (items == nullptr) {
      mistake(pointer, "must be an array", member);
    } else if (items->size() > items_max) {
      const json::Value count(items->size());
      mistake(pointer, "must not have more than " + std::to_string(items_max) + " items", &count);
    } else {
      return *items;
    }
    return kNone;
  }

 private:
  std::vector<std::string> mistakes_;
};

bool is_one_of(std::string_view key, std::span<const std::string_view> known) {
  return std::ranges::find(known, key) != known.end();
}

void read_id(const json::Value& document, Form& form, ConversationPatch& patch) {
  const auto* id = document.find("id");
  const auto* text = id == nullptr ? nullptr : id->as_string();
  if (text == nullptr || text->empty() || text->size() > PatchLimits::id_bytes_max) {
    form.mistake("/id", "must be a string of 1 to 256 bytes", id);
  } else {
    patch.external_id = *text;
  }
}

void read_header(const json::Value& document, Form& form, ConversationPatch& patch) {
  read_id(document, form, patch);
  patch.channel = form.text(document, "channel", "", PatchLimits::id_bytes_max);
  patch.language = form.text(document, "language", "", PatchLimits::id_bytes_max);
  patch.title = form.text(document, "title", "", PatchLimits::field_bytes_max);
  patch.end_reason = form.text(document, "end_reason", "", PatchLimits::field_bytes_max);
  patch.started_at = form.time(document, "started_at", "");
  patch.ended_at = form.time(document, "ended_at", "");
  patch.status = form.text(document, "status", "", PatchLimits::id_bytes_max);
  if (patch.status && *patch.status != "open" && *patch.status != "ended") {
    form.mistake("/status", "must be \"open\" or \"ended\"", document.find("status"));
  }
  if (!patch.status && patch.ended_at) patch.status = "ended";
  if (const auto* version = Form::said(document, "version")) {
    const auto* number = version->as_int();
    if (number == nullptr || *number < 0) {
      form.mistake("/version", "must be a whole number from 0", version);
    } else {
      patch.version = *number;
    }
  }
  if (const auto updated = form.time(document, "updated_at", "")) patch.time = *updated;
}

// A party's members that Party has no place for, under its id or name.
void keep_party_fields(const json::Value& item, const Party& party, std::size_t index,
                       json::Value& kept) {
  constexpr std::array<std::string_view, 3> kKnown{"id", "name", "role"};
  json::Object unknown;
  bool has_address = false;
  for (const auto& [key, value] : *item.as_object()) {
    if (is_one_of(key, kKnown) || value.is_null()) continue;
    const bool is_address = key == "address" || key == "email" || key == "phone";
    if (is_address && !has_address && value == json::Value(party.address)) {
      has_address = true;
    } else {
      unknown.emplace_back(key, value);
    }
  }
  if (unknown.empty()) return;
  const auto& name = !party.id.empty() ? party.id : party.name;
  kept.set(name.empty() ? std::to_string(index) : name, std::move(unknown));
}

void read_parties(const json::Value& document, Form& form, ConversationPatch& patch) {
  json::Value kept;
  std::size_t index = 0;
  for (const auto& item : form.items(document, "parties", PatchLimits::parties_max)) {
    const auto at = "/parties/" + std::to_string(index++);
    if (item.as_object() == nullptr) {
      form.mistake(at, "must be an object", &item);
      continue;
    }
    Party party;
    party.id = form.text(item, "id", at, PatchLimits::id_bytes_max).value_or("");
    party.name = form.text(item, "name", at, PatchLimits::field_bytes_max).value_or("");
    const auto role = form.text(item, "role", at, PatchLimits::id_bytes_max);
    if (role) party.role = normal_role(*role);
    for (const auto* key : {"phone", "email", "address"}) {
      const auto address = form.text(item, key, at, PatchLimits::field_bytes_max);
      if (address) party.address = *address;
    }
    keep_party_fields(item, party, index - 1, kept);
    patch.parties.push_back(std::move(party));
  }
  if (!kept.is_null()) patch.extra.emplace_back("party_fields", std::move(kept));
}

void keep_turn_fields(const json::Value& item, Turn& turn) {
  constexpr std::array<std::string_view, 9> kKnown{"id", "speaker", "role",    "name",      "text",
                                                   "at", "private", "deleted", "updated_at"};
  for (const auto& [key, value] : *item.as_object()) {
    if (!is_one_of(key, kKnown)) turn.extra.emplace_back(key, value);
  }
}

TurnPatch read_turn(const json::Value& item, const std::string& at, Form& form, WallTime time) {
  TurnPatch read;
  auto& turn = read.turn;
  turn.id = form.text(item, "id", at, PatchLimits::id_bytes_max).value_or("");
  auto role = form.text(item, "speaker", at, PatchLimits::id_bytes_max);
  if (!role) role = form.text(item, "role", at, PatchLimits::id_bytes_max);
  turn.role = normal_role(role.value_or(""));
  turn.name = form.text(item, "name", at, PatchLimits::field_bytes_max).value_or("");
  turn.at = form.time(item, "at", at);
  turn.is_private = form.flag(item, "private", at);
  read.is_deleted = form.flag(item, "deleted", at);
  read.time = form.time(item, "updated_at", at).value_or(time);
  turn.text = form.text(item, "text", at, PatchLimits::text_bytes_max).value_or("");
  if (Form::said(item, "text") == nullptr && !read.is_deleted) {
    form.mistake(at + "/text", "must be a string", item.find("text"));
  }
  if (read.is_deleted && turn.id.empty()) {
    form.mistake(at + "/deleted", "must come with the id of the turn to delete",
                 item.find("deleted"));
  }
  keep_turn_fields(item, turn);
  return read;
}

void read_turns(const json::Value& document, Form& form, ConversationPatch& patch) {
  const bool appends = form.flag(document, "append", "");
  patch.is_complete = Form::said(document, "turns") != nullptr && !appends;
  std::unordered_set<std::string> ids;
  std::size_t index = 0;
  for (const auto& item : form.items(document, "turns", PatchLimits::turns_max)) {
    if (form.is_full()) return;
    const auto at = "/turns/" + std::to_string(index++);
    if (item.as_object() == nullptr) {
      form.mistake(at, "must be an object", &item);
      continue;
    }
    auto turn = read_turn(item, at, form, patch.time);
    if (!turn.turn.id.empty() && !ids.insert(turn.turn.id).second) {
      form.mistake(at + "/id", "must not be the id of an earlier turn", item.find("id"));
    }
    patch.turns.push_back(std::move(turn));
  }
}

void read_tags(const json::Value& document, Form& form, ConversationPatch& patch) {
  if (Form::said(document, "tags") == nullptr) return;
  patch.tags.emplace();
  std::size_t index = 0;
  for (const auto& item : form.items(document, "tags", PatchLimits::tags_max)) {
    const auto* tag = item.as_string();
    if (tag == nullptr || tag->empty() || tag->size() > PatchLimits::id_bytes_max) {
      form.mistake("/tags/" + std::to_string(index), "must be a string of 1 to 256 bytes", &item);
    } else {
      patch.tags->push_back(*tag);
    }
    ++index;
  }
}

void read_metadata(const json::Value& document, Form& form, ConversationPatch& patch) {
  const auto* metadata = Form::said(document, "metadata");
  if (metadata == nullptr) return;
  if (metadata->as_object() == nullptr)
    return form.mistake("/metadata", "must be an object", metadata);
  const auto& members = *metadata->as_object();
  if (members.size() > PatchLimits::metadata_max) {
    const json::Value count(members.size());
    return form.mistake("/metadata", "must not have more than 256 members", &count);
  }
  for (const auto& [key, value] : members) {
    const auto pointer = "/metadata/" + json::pointer_token(key.substr(0, 80));
    const auto* text = value.as_string();
    if (key.empty() || key.size() > PatchLimits::id_bytes_max) {
      form.mistake(pointer, "must have a name of 1 to 256 bytes", &value);
    } else if (value.as_array() != nullptr || value.as_object() != nullptr) {
      form.mistake(pointer, "must be a string, a number, true, false or null", &value);
    } else if (text != nullptr && text->size() > PatchLimits::field_bytes_max) {
      form.mistake(pointer, "must not be longer than 4096 bytes", &value);
    } else {
      patch.metadata.emplace_back(key, value);
    }
  }
}

}  // namespace

Result<ConversationPatch> parse_native(const json::Value& document, WallTime received_at) {
  if (document.as_object() == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "a conversation must be a JSON object; got " + shortened(document));
  }
  Form form;
  ConversationPatch patch;
  patch.time = received_at;
  read_header(document, form, patch);
  read_parties(document, form, patch);
  read_turns(document, form, patch);
  read_tags(document, form, patch);
  read_metadata(document, form, patch);
  for (const auto& [key, value] : *document.as_object()) {
    if (!is_one_of(key, kKnownFields)) {
      patch.extra.emplace_back(key, value);
    }
  }
  SAMTALE_TRY_VOID(form.result());
  return within_limits(std::move(patch));
}

Result<std::optional<std::string>> stated_company(const json::Value& document) {
  const auto* company = Form::said(document, "company_id");
  if (company == nullptr) return std::nullopt;
  if (const auto* name = company->as_string()) return *name;
  return fail(ErrorCode::invalid_argument,
              "/company_id: must be a string; got " + shortened(*company));
}

}  // namespace samtale

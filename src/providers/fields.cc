#include "providers/fields.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/bytes.h"

namespace samtale {
namespace {

// 1900-01-01 and 2200-01-01: what parse_time reads back.
constexpr std::int64_t kTimeMinUs = -2'208'988'800'000'000;
constexpr std::int64_t kTimeEndUs = 7'258'118'400'000'000;
constexpr std::size_t kLabelBytesMax = 40;  // "Customer service representative: ".

struct RoleWord {
  std::string_view sent;
  std::string_view role;
};
constexpr std::array kRoleWords{
    RoleWord{"", "participant"},         RoleWord{"user", "customer"},
    RoleWord{"caller", "customer"},      RoleWord{"client", "customer"},
    RoleWord{"contact", "customer"},     RoleWord{"visitor", "customer"},
    RoleWord{"end_user", "customer"},    RoleWord{"lead", "customer"},
    RoleWord{"assistant", "bot"},        RoleWord{"ai", "bot"},
    RoleWord{"chatbot", "bot"},          RoleWord{"admin", "agent"},
    RoleWord{"representative", "agent"}, RoleWord{"human_agent", "agent"},
};

std::optional<WallTime> in_range(double us) {
  if (!(us >= static_cast<double>(kTimeMinUs) && us < static_cast<double>(kTimeEndUs))) {
    return std::nullopt;
  }
  return from_us(std::llround(us));
}

std::size_t depth_of(const json::Value& value) {
  std::size_t deepest = 0;
  if (const auto* object = value.as_object()) {
    for (const auto& [key, member] : *object) deepest = std::max(deepest, depth_of(member));
    return deepest + 1;
  }
  if (const auto* array = value.as_array()) {
    for (const auto& item : *array) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
  }
  return 0;
}

std::unexpected<Error> above(std::string_view what, std::size_t size, std::size_t limit) {
  return fail(ErrorCode::invalid_argument, std::string(what) + ": must not be above " +
                                               std::to_string(limit) + "; got " +
                                               std::to_string(size));
}

Result<> check_turn(const TurnPatch& patch, std::size_t index) {
  const auto& turn = patch.turn;
  const auto where = "/turns/" + std::to_string(index);
  if (turn.id.size() > PatchLimits::id_bytes_max) {
    return above(where + "/id, bytes", turn.id.size(), PatchLimits::id_bytes_max);
  }
  if (turn.text.size() > PatchLimits::text_bytes_max) {
    return above(where + "/text, bytes", turn.text.size(), PatchLimits::text_bytes_max);
  }
  if (turn.name.size() > PatchLimits::field_bytes_max ||
      turn.role.size() > PatchLimits::id_bytes_max) {
    return above(where + "/name or /speaker, bytes", std::max(turn.name.size(), turn.role.size()),
                 turn.name.size() > PatchLimits::field_bytes_max ? PatchLimits::field_bytes_max
                                                                 : PatchLimits::id_bytes_max);
  }
  if (const auto depth = depth_of(turn.extra); depth > PatchLimits::extra_depth_max) {
    return above(where + ", nesting of unknown fields", depth, PatchLimits::extra_depth_max);
  }
  return {};
}

Result<> check_id(const std::string& id) {
  if (id.empty()) return fail(ErrorCode::invalid_argument, "/id: must not be empty");
  if (id.size() > PatchLimits::id_bytes_max) {
    return above("/id, bytes", id.size(), PatchLimits::id_bytes_max);
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::ranges::any_of(id, is_control)) {
    return fail(ErrorCode::invalid_argument,
                "/id: must hold no control characters; got " + shortened(json::Value(id)));
  }
  return {};
}

Result<> check_counts(const ConversationPatch& patch) {
  if (patch.turns.size() > PatchLimits::turns_max) {
    return above("/turns, items", patch.turns.size(), PatchLimits::turns_max);
  }
  if (patch.parties.size() > PatchLimits::parties_max) {
    return above("/parties, items", patch.parties.size(), PatchLimits::parties_max);
  }
  if (patch.tags && patch.tags->size() > PatchLimits::tags_max) {
    return above("/tags, items", patch.tags->size(), PatchLimits::tags_max);
  }
  if (patch.metadata.size() > PatchLimits::metadata_max) {
    return above("/metadata, members", patch.metadata.size(), PatchLimits::metadata_max);
  }
  return {};
}

Result<> check_fields(const ConversationPatch& patch) {
  for (const auto* field : {&patch.channel, &patch.language, &patch.title, &patch.end_reason}) {
    if (*field && (*field)->size() > PatchLimits::field_bytes_max) {
      return above("channel, language, title and end_reason, bytes", (*field)->size(),
                   PatchLimits::field_bytes_max);
    }
  }
  for (const auto& party : patch.parties) {
    const auto longest =
        std::max({party.id.size(), party.name.size(), party.role.size(), party.address.size()});
    if (longest > PatchLimits::field_bytes_max) {
      return above("members of /parties, bytes", longest, PatchLimits::field_bytes_max);
    }
  }
  for (const auto* unknown : {&patch.extra, &patch.vendor_analysis}) {
    if (const auto depth = depth_of(*unknown); depth > PatchLimits::extra_depth_max) {
      return above("unknown fields, levels of nesting", depth, PatchLimits::extra_depth_max);
    }
  }
  return {};
}

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

TurnPatch spoken(std::string_view label, std::string_view text) {
  TurnPatch patch;
  patch.turn.role = normal_role(label);
  patch.turn.text = text;
  return patch;
}

}  // namespace

std::string text_at(const json::Value& value, std::string_view pointer) {
  const auto* found = value.at_pointer(pointer);
  const auto* text = found == nullptr ? nullptr : found->as_string();
  return text == nullptr ? std::string() : *text;
}

std::optional<std::string> fact_at(const json::Value& value, std::string_view pointer) {
  auto text = text_at(value, pointer);
  if (text.empty()) return std::nullopt;
  return text;
}

std::string id_at(const json::Value& value, std::string_view pointer) {
  const auto* found = value.at_pointer(pointer);
  if (found == nullptr) return {};
  if (const auto* number = found->as_int()) return std::to_string(*number);
  return text_at(*found, "");
}

bool is_true_at(const json::Value& value, std::string_view pointer) {
  const auto* found = value.at_pointer(pointer);
  const auto* flag = found == nullptr ? nullptr : found->as_bool();
  return flag != nullptr && *flag;
}

const json::Array& items_at(const json::Value& value, std::string_view pointer) {
  static const json::Array kNone;
  const auto* found = value.at_pointer(pointer);
  const auto* array = found == nullptr ? nullptr : found->as_array();
  return array == nullptr ? kNone : *array;
}

json::Object object_at(const json::Value& value, std::string_view pointer) {
  const auto* found = value.at_pointer(pointer);
  const auto* object = found == nullptr ? nullptr : found->as_object();
  return object == nullptr ? json::Object{} : *object;
}

std::optional<WallTime> unix_time_at(const json::Value& value, std::string_view pointer,
                                     TimestampUnit unit) {
  const auto* found = value.at_pointer(pointer);
  const auto number = found == nullptr ? std::nullopt : found->as_number();
  if (!number || *number <= 0) return std::nullopt;
  return in_range(*number * (unit == TimestampUnit::seconds ? 1e6 : 1e3));
}

std::optional<WallTime> later(std::optional<WallTime> start, std::optional<double> seconds) {
  if (!start || !seconds) return std::nullopt;
  return in_range(static_cast<double>(to_us(*start)) + *seconds * 1e6);
}

std::string normal_role(std::string_view role) {
  std::string word(role);
  for (char& c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto known = std::ranges::find(kRoleWords, word, &RoleWord::sent);
  return known == kRoleWords.end() ? word : std::string(known->role);
}

void add_party(std::vector<Party>& parties, Party party) {
  if (party.id.empty() && party.name.empty() && party.address.empty()) return;
  // One too many is enough for within_limits to refuse the patch.
  if (parties.size() > PatchLimits::parties_max) return;
  const auto is_same = [&](const Party& known) {
    return party.id.empty() && known.id.empty()
               ? known.name == party.name && known.address == party.address
               : known.id == party.id;
  };
  const auto known = std::ranges::find_if(parties, is_same);
  if (known == parties.end()) {
    parties.push_back(std::move(party));
    return;
  }
  if (known->name.empty()) known->name = std::move(party.name);
  if (known->role.empty()) known->role = std::move(party.role);
  if (known->address.empty()) known->address = std::move(party.address);
}

void add_flat(json::Object& metadata, const json::Object& members) {
  for (const auto& [key, value] : members) {
    if (key.empty() || key.size() > PatchLimits::id_bytes_max) continue;
    if (metadata.size() == PatchLimits::metadata_max) return;
    const auto* text = value.as_string();
    const bool fits = text != nullptr ? text->size() <= PatchLimits::field_bytes_max
                                      : value.as_bool() != nullptr || value.as_number();
    if (fits) add_known(metadata, key, &value);
  }
}

void add_known(json::Object& object, std::string_view key, const json::Value* value) {
  if (value == nullptr || value->is_null()) return;
  if (const auto* text = value->as_string(); text != nullptr && text->empty()) return;
  if (const auto* items = value->as_array(); items != nullptr && items->empty()) return;
  if (const auto* members = value->as_object(); members != nullptr && members->empty()) return;
  const auto known = std::ranges::find_if(object, [&](const auto& m) { return m.first == key; });
  if (known == object.end()) object.emplace_back(key, *value);
}

std::vector<TurnPatch> split_transcript(std::string_view transcript) {
  std::vector<TurnPatch> turns;
  for (auto rest = transcript; !rest.empty();) {
    const auto line = take_line(rest);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos || colon == 0 || colon > kLabelBytesMax) {
      return {spoken("", transcript)};
    }
    turns.push_back(spoken(line.substr(0, colon), line.substr(colon + 2)));
  }
  return turns;
}

std::string shortened(const json::Value& value) {
  constexpr std::size_t kBytesMax = 60;
  if (value.as_array() || value.as_object()) return "an " + std::string(value.type());
  // The value is cut before it is escaped: a text of a megabyte is not copied to be shown.
  const auto* whole = value.as_string();
  if (whole == nullptr || whole->size() <= kBytesMax) return json::dump(value);
  auto start = whole->substr(0, kBytesMax);
  while (!is_utf8(start)) start.pop_back();
  return json::dump(json::Value(start + "…"));
}

Result<ConversationPatch> within_limits(ConversationPatch patch) {
  SAMTALE_TRY_VOID(check_id(patch.external_id));
  SAMTALE_TRY_VOID(check_counts(patch));
  SAMTALE_TRY_VOID(check_fields(patch));
  for (std::size_t i = 0; i < patch.turns.size(); ++i) {
    SAMTALE_TRY_VOID(check_turn(patch.turns[i], i));
  }
  return patch;
}

}  // namespace samtale

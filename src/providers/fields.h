// How the parsers of this room read JSON they did not design. Not a front door.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider.h"

namespace samtale {

// The string at the JSON pointer; empty if there is none, or something else.
[[nodiscard]] std::string text_at(const json::Value& value, std::string_view pointer);
// The same, absent if empty: for a fact that is then left as it is.
[[nodiscard]] std::optional<std::string> fact_at(const json::Value& value,
                                                 std::string_view pointer);
// A string or a whole number, as text: ids that vendors send either way.
[[nodiscard]] std::string id_at(const json::Value& value, std::string_view pointer);
[[nodiscard]] bool is_true_at(const json::Value& value, std::string_view pointer);
// The items of the array at the pointer; none if there is no array.
[[nodiscard]] const json::Array& items_at(const json::Value& value, std::string_view pointer);
[[nodiscard]] json::Object object_at(const json::Value& value, std::string_view pointer);

// A Unix time, whole or not; absent if it is no number or outside 1900 to 2199.
[[nodiscard]] std::optional<WallTime> unix_time_at(const json::Value& value,
                                                   std::string_view pointer, TimestampUnit unit);
// `seconds` after `start`; absent if the sum leaves 1900 to 2199.
[[nodiscard]] std::optional<WallTime> later(std::optional<WallTime> start,
                                            std::optional<double> seconds);

// Lower case, and common words for the same role made one: "user" is "customer", "assistant" is
// "bot"; "participant" if empty.
[[nodiscard]] std::string normal_role(std::string_view role);

// Adds a party unless one of the same id (or, without ids, name and address) is in the list.
void add_party(std::vector<Party>& parties, Party party);
// Adds the members that a filter can use; leaves out those that are lists, objects or too long.
void add_flat(json::Object& metadata, const json::Object& members);
// Adds a member unless it is empty or null.
void add_known(json::Object& object, std::string_view key, const json::Value* value);

// Turns from "Agent: Hi\nUser: Hello" if every line is like that, else one turn with all of it.
[[nodiscard]] std::vector<TurnPatch> split_transcript(std::string_view transcript);

// The start of a value's JSON, for error messages; cut between code points.
[[nodiscard]] std::string shortened(const json::Value& value);

// The patch, if it keeps to PatchLimits and its id is usable. Errors: invalid_argument.
[[nodiscard]] Result<ConversationPatch> within_limits(ConversationPatch patch);

}  // namespace samtale

// Reads that the store and its writer share.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sqlite/connection.h"
#include "store/store.h"

namespace samtale {

[[nodiscard]] Result<std::optional<StoredConversation>> read_conversation(
    sqlite::Connection& connection, CompanyId company, ConversationId id);

// Both days included, by day and analyzer.
[[nodiscard]] Result<std::vector<SpendRow>> read_spend(sqlite::Connection& connection,
                                                       CompanyId company, std::string_view from_day,
                                                       std::string_view to_day);

[[nodiscard]] Result<Campaign> read_campaign(const sqlite::Statement& row);  // See lm_sql.h.

inline sqlite::Blob blob(const ConversationId& id) { return {id.view()}; }

}  // namespace samtale

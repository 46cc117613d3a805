// Reads that the store and its writer share.
#pragma once

#include <optional>

#include "sqlite/connection.h"
#include "store/store.h"

namespace samtale {

[[nodiscard]] Result<std::optional<StoredConversation>> read_conversation(
    sqlite::Connection& connection, CompanyId company, ConversationId id);

[[nodiscard]] Result<ConversationId> read_id(std::string_view bytes);  // Errors: corrupt.

inline sqlite::Blob blob(const ConversationId& id) { return {id.view()}; }

}  // namespace samtale

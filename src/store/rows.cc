#include "store/rows.h"

#include "store/codec.h"

namespace samtale {

Result<std::optional<StoredConversation>> read_conversation(sqlite::Connection& connection,
                                                            CompanyId company, ConversationId id) {
  SAMTALE_TRY(auto row, connection.prepare("SELECT body, state, revision, received_us, updated_us "
                                           "FROM conversations INDEXED BY conversations_by_id "
                                           "WHERE company = ?1 AND id = ?2"));
  SAMTALE_TRY_VOID(row.bind(company, blob(id)));
  SAMTALE_TRY(const bool found, row.step());
  if (!found) return std::optional<StoredConversation>();
  StoredConversation stored;
  SAMTALE_TRY(stored.conversation, unpack_conversation(row.bytes(0)));
  SAMTALE_TRY(stored.state, unpack(row.bytes(1)));
  stored.revision = row.integer(2);
  stored.received_at = from_us(row.integer(3));
  stored.updated_at = from_us(row.integer(4));
  return stored;
}

Result<ConversationId> read_id(std::string_view bytes) {
  const auto id = conversation_id_from_bytes(bytes);
  if (!id) {
    return fail(ErrorCode::corrupt,
                "a stored conversation id has another length than 16; restore from a backup");
  }
  return *id;
}

}  // namespace samtale

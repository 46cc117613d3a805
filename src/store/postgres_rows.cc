#include "store/postgres_rows.h"

#include <unordered_set>

#include "store/codec.h"

namespace samtale {

postgres::Column column_of(std::span<const ConversationId> ids) {
  auto column = postgres::Column::blobs();
  std::unordered_set<ConversationId> added;
  for (const auto& id : ids) {
    if (added.insert(id).second) column.add(blob(id));
  }
  return column;
}

Result<FoundConversations> read_conversations(const postgres::Rows& rows) {
  FoundConversations found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    StoredConversation stored;
    SAMTALE_TRY(const auto id, read_id(row.bytes(0)));
    SAMTALE_TRY(stored.conversation, unpack_conversation(row.bytes(1)));
    SAMTALE_TRY(stored.state, unpack(row.bytes(2)));
    stored.revision = row.integer(3);
    stored.received_at = from_us(row.integer(4));
    stored.updated_at = from_us(row.integer(5));
    found.emplace(id, std::move(stored));
  }
  return found;
}

std::vector<SpendRow> read_spend(const postgres::Rows& rows) {
  std::vector<SpendRow> spends;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    spends.push_back({.analyzer = std::string(row.bytes(1)),
                      .day = std::string(row.bytes(0)),
                      .spent = {.tokens = row.integer(2), .micro_usd = row.integer(3)},
                      .held = {.tokens = row.integer(4), .micro_usd = row.integer(5)},
                      .requests = row.integer(6)});
  }
  return spends;
}

Result<Campaign> read_campaign(const postgres::Row& row) {
  Campaign campaign;
  campaign.id = row.bytes(0);
  campaign.state = row.bytes(1);
  campaign.cursor = row.bytes(2);
  campaign.total = row.integer(3);
  campaign.seen = row.integer(4);
  campaign.asked = row.integer(5);
  campaign.created_at = from_us(row.integer(6));
  campaign.updated_at = from_us(row.integer(7));
  SAMTALE_TRY(campaign.filter, unpack(row.bytes(8)));
  SAMTALE_TRY(campaign.estimate, unpack(row.bytes(9)));
  return campaign;
}

}  // namespace samtale

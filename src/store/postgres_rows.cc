#include "store/postgres_rows.h"

#include "store/codec.h"

namespace samtale {

Result<std::optional<StoredConversation>> read_conversation(const postgres::Rows& rows) {
  if (rows.empty()) return std::optional<StoredConversation>();
  const postgres::Row row(rows, 0);
  StoredConversation stored;
  SAMTALE_TRY(stored.conversation, unpack_conversation(row.bytes(0)));
  SAMTALE_TRY(stored.state, unpack(row.bytes(1)));
  stored.revision = row.integer(2);
  stored.received_at = from_us(row.integer(3));
  stored.updated_at = from_us(row.integer(4));
  return stored;
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

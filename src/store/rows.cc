#include "store/rows.h"

#include "store/codec.h"
#include "store/lm_sql.h"

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

Result<std::vector<SpendRow>> read_spend(sqlite::Connection& connection, CompanyId company,
                                         std::string_view from_day, std::string_view to_day) {
  SAMTALE_TRY(auto rows, connection.prepare(kSpendOfDays));
  SAMTALE_TRY_VOID(rows.bind(company, from_day, to_day));
  std::vector<SpendRow> spends;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return spends;
    spends.push_back({.analyzer = std::string(rows.bytes(1)),
                      .day = std::string(rows.bytes(0)),
                      .spent = {.tokens = rows.integer(2), .micro_usd = rows.integer(3)},
                      .held = {.tokens = rows.integer(4), .micro_usd = rows.integer(5)},
                      .requests = rows.integer(6)});
  }
}

Result<Campaign> read_campaign(const sqlite::Statement& row) {
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

// What language models answered and cost, and what people said of it.
#include <algorithm>

#include "store/codec.h"
#include "store/postgres_rows.h"
#include "store/postgres_writer.h"

namespace samtale {

using postgres::Bytes;

Result<> PostgresWriter::put_lm_result(CompanyId company, ConversationId conversation,
                                       std::string_view key, std::string_view result,
                                       WallTime now) {
  SAMTALE_TRY(const auto head, find_head(company, conversation));
  if (!head) return {};
  // Two conversations that say the same share a key: it goes with the one that was asked last.
  return transaction_.later(
      "INSERT INTO lm_results(company, key, conversation, created_us, result) "
      "VALUES($1, $2, $3, $4, $5) ON CONFLICT (company, key) DO UPDATE SET conversation = $3, "
      "created_us = $4, result = $5",
      company, Bytes{key}, blob(conversation), to_us(now), Bytes{pack(result)});
}

Result<> PostgresWriter::keep_lm_results(CompanyId company, ConversationId conversation,
                                         std::span<const std::string> keys) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(
      const auto rows,
      transaction_.query("SELECT key FROM lm_results WHERE company = $1 AND conversation = $2",
                         company, blob(conversation)));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto key = rows.bytes(i, 0);
    if (std::ranges::find(keys, key) != keys.end()) continue;
    SAMTALE_TRY_VOID(transaction_.later("DELETE FROM lm_results WHERE company = $1 AND key = $2",
                                        company, Bytes{key}));
  }
  return {};
}

Result<> PostgresWriter::add_spend(CompanyId company, std::span<const SpendChange> changes) {
  SAMTALE_TRY_VOID(act_for(company));
  for (const auto& change : changes) {
    SAMTALE_TRY_VOID(transaction_.later(
        "INSERT INTO lm_spend AS old(company, day, analyzer, spent_tokens, spent_micro_usd, "
        "held_tokens, held_micro_usd, requests) VALUES($1, $2, $3, greatest($4, 0), "
        "greatest($5, 0), greatest($6, 0), greatest($7, 0), greatest($8, 0)) "
        "ON CONFLICT (company, day, analyzer) DO UPDATE SET "
        "spent_tokens = greatest(old.spent_tokens + $4, 0), "
        "spent_micro_usd = greatest(old.spent_micro_usd + $5, 0), "
        "held_tokens = greatest(old.held_tokens + $6, 0), "
        "held_micro_usd = greatest(old.held_micro_usd + $7, 0), "
        "requests = greatest(old.requests + $8, 0)",
        company, change.day, change.analyzer, change.spent.tokens, change.spent.micro_usd,
        change.held.tokens, change.held.micro_usd, change.requests));
  }
  return {};
}

Result<std::vector<SpendRow>> PostgresWriter::spend(CompanyId company, std::string_view from_day,
                                                    std::string_view to_day) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto rows, transaction_.query(kPgSpendOfDays, company, from_day, to_day));
  return read_spend(rows);
}

Result<> PostgresWriter::put_override(CompanyId company, ConversationId conversation,
                                      const AnalysisOverride& override_) {
  SAMTALE_TRY(const auto head, find_head(company, conversation));
  if (!head) return {};
  add_change(company, conversation);
  if (override_.result.empty()) {
    return transaction_.later(
        "DELETE FROM overrides WHERE company = $1 AND conversation = $2 AND analyzer = $3", company,
        blob(conversation), override_.analyzer);
  }
  return transaction_.later(
      "INSERT INTO overrides(company, conversation, analyzer, made_by, made_us, revision, note, "
      "result) VALUES($1, $2, $3, $4, $5, $6, $7, $8) "
      "ON CONFLICT (company, conversation, analyzer) DO UPDATE SET made_by = $4, made_us = $5, "
      "revision = $6, note = $7, result = $8",
      company, blob(conversation), override_.analyzer, Bytes{override_.by},
      to_us(override_.made_at), override_.revision, Bytes{pack(override_.note)},
      Bytes{pack(override_.result)});
}

Result<> PostgresWriter::erase_lm(CompanyId company, ConversationId conversation) {
  for (const auto* sql : {"DELETE FROM lm_results WHERE company = $1 AND conversation = $2",
                          "DELETE FROM overrides WHERE company = $1 AND conversation = $2"}) {
    SAMTALE_TRY_VOID(transaction_.later(sql, company, blob(conversation)));
  }
  return {};
}

Result<> PostgresWriter::put_campaign(CompanyId company, const Campaign& campaign) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto known,
              transaction_.query("SELECT 1 FROM campaigns WHERE company = $1 AND id = $2", company,
                                 campaign.id));
  if (known.empty()) SAMTALE_TRY_VOID(make_room_for_campaign(company));
  return transaction_.later(
      "INSERT INTO campaigns(company, partition, id, state, cursor, total, seen, asked, "
      "created_us, updated_us, filter, estimate) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
      "ON CONFLICT (company, id) DO UPDATE SET state = $4, cursor = $5, total = $6, seen = $7, "
      "asked = $8, created_us = $9, updated_us = $10, filter = $11, estimate = $12",
      company, partition_, campaign.id, campaign.state, campaign.cursor, campaign.total,
      campaign.seen, campaign.asked, to_us(campaign.created_at), to_us(campaign.updated_at),
      Bytes{pack(campaign.filter)}, Bytes{pack(campaign.estimate)});
}

Result<> PostgresWriter::make_room_for_campaign(CompanyId company) {
  SAMTALE_TRY(const auto kept,
              transaction_.query("SELECT count(*) FROM campaigns WHERE company = $1", company));
  if (kept.integer(0, 0) < kCampaignsMax) return {};
  SAMTALE_TRY(const auto dropped,
              transaction_.run(
                  "DELETE FROM campaigns WHERE company = $1 AND id = (SELECT id FROM campaigns "
                  "WHERE company = $1 AND state IN ('done', 'cancelled') "
                  "ORDER BY created_us, id LIMIT 1)",
                  company));
  if (dropped == 1) return {};
  return fail(ErrorCode::resource_exhausted,
              "company " + std::to_string(number(company)) + " has " +
                  std::to_string(kCampaignsMax) +
                  " analyses over history that are not done; let one end, or cancel one");
}

Result<std::optional<Campaign>> PostgresWriter::find_campaign(CompanyId company,
                                                              std::string_view id) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto rows, transaction_.query(kPgFindCampaign, company, id));
  if (rows.empty()) return std::optional<Campaign>();
  return read_campaign({rows, 0});
}

Result<> PostgresWriter::put_batch(CompanyId company, const LmBatch& batch) {
  SAMTALE_TRY_VOID(act_for(company));
  return transaction_.later(
      "INSERT INTO lm_batches(company, partition, name, id, created_us, wanted_by_us, requests) "
      "VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (company, name) DO UPDATE SET id = $4, "
      "created_us = $5, wanted_by_us = $6, requests = $7",
      company, partition_, batch.name, Bytes{batch.id}, to_us(batch.created_at),
      to_us(batch.wanted_by), Bytes{pack(batch.requests)});
}

Result<> PostgresWriter::erase_batch(CompanyId company, std::string_view name) {
  SAMTALE_TRY_VOID(act_for(company));
  return transaction_.later("DELETE FROM lm_batches WHERE company = $1 AND name = $2", company,
                            name);
}

}  // namespace samtale

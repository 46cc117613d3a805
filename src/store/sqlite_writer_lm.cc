// What language models answered and cost, and what people said of it.
#include <algorithm>

#include "store/codec.h"
#include "store/lm_sql.h"
#include "store/rows.h"
#include "store/sqlite_writer.h"

namespace samtale {

using sqlite::Blob;

Result<> SqliteWriter::put_lm_result(CompanyId company, ConversationId conversation,
                                     std::string_view key, std::string_view result, WallTime now) {
  check_company(company);
  SAMTALE_TRY(const auto row, find_row(company, conversation));
  if (!row) return {};
  // Two conversations that say the same share a key: it goes with the one that was asked last.
  return connection_.run(
      "INSERT INTO lm_results(company, key, conversation, created_us, result) "
      "VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(company, key) DO UPDATE SET conversation = ?3, "
      "created_us = ?4, result = ?5",
      company, Blob{key}, blob(conversation), to_us(now), Blob{pack(result)});
}

Result<> SqliteWriter::keep_lm_results(CompanyId company, ConversationId conversation,
                                       std::span<const std::string> keys) {
  check_company(company);
  std::vector<std::string> forgotten;
  {
    SAMTALE_TRY(auto rows, connection_.prepare(kLmKeysOfConversation));
    SAMTALE_TRY_VOID(rows.bind(company, blob(conversation)));
    while (true) {
      SAMTALE_TRY(const bool found, rows.step());
      if (!found) break;
      const auto key = rows.bytes(0);
      if (std::ranges::find(keys, key) == keys.end()) forgotten.emplace_back(key);
    }
  }
  for (const auto& key : forgotten) {
    SAMTALE_TRY_VOID(connection_.run("DELETE FROM lm_results WHERE company = ?1 AND key = ?2",
                                     company, Blob{key}));
  }
  return {};
}

Result<> SqliteWriter::add_spend(CompanyId company, std::span<const SpendChange> changes) {
  check_company(company);
  for (const auto& change : changes) {
    SAMTALE_TRY_VOID(connection_.run(
        "INSERT INTO lm_spend(company, day, analyzer, spent_tokens, spent_micro_usd, held_tokens, "
        "held_micro_usd, requests) VALUES(?1, ?2, ?3, max(?4, 0), max(?5, 0), max(?6, 0), "
        "max(?7, 0), max(?8, 0)) ON CONFLICT DO UPDATE SET "
        "spent_tokens = max(spent_tokens + ?4, 0), spent_micro_usd = max(spent_micro_usd + ?5, 0), "
        "held_tokens = max(held_tokens + ?6, 0), held_micro_usd = max(held_micro_usd + ?7, 0), "
        "requests = max(requests + ?8, 0)",
        company, change.day, change.analyzer, change.spent.tokens, change.spent.micro_usd,
        change.held.tokens, change.held.micro_usd, change.requests));
  }
  return {};
}

Result<std::vector<SpendRow>> SqliteWriter::spend(CompanyId company, std::string_view from_day,
                                                  std::string_view to_day) {
  check_company(company);
  return read_spend(connection_, company, from_day, to_day);
}

Result<> SqliteWriter::put_override(CompanyId company, ConversationId conversation,
                                    const AnalysisOverride& override_) {
  check_company(company);
  SAMTALE_TRY(const auto row, find_row(company, conversation));
  if (!row) return {};
  add_change(company, conversation);
  if (override_.result.empty()) {
    return connection_.run(
        "DELETE FROM overrides WHERE company = ?1 AND conversation = ?2 AND analyzer = ?3", company,
        blob(conversation), override_.analyzer);
  }
  return connection_.run(
      "INSERT INTO overrides(company, conversation, analyzer, made_by, made_us, revision, note, "
      "result) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
      "ON CONFLICT(company, conversation, analyzer) DO UPDATE SET made_by = ?4, made_us = ?5, "
      "revision = ?6, note = ?7, result = ?8",
      company, blob(conversation), override_.analyzer, override_.by, to_us(override_.made_at),
      override_.revision, Blob{pack(override_.note)}, Blob{pack(override_.result)});
}

Result<> SqliteWriter::erase_lm(CompanyId company, ConversationId conversation) {
  SAMTALE_TRY_VOID(keep_lm_results(company, conversation, {}));
  return connection_.run("DELETE FROM overrides WHERE company = ?1 AND conversation = ?2", company,
                         blob(conversation));
}

Result<> SqliteWriter::put_campaign(CompanyId company, const Campaign& campaign) {
  check_company(company);
  SAMTALE_TRY(const auto known,
              connection_.integer("SELECT 1 FROM campaigns WHERE company = ?1 AND id = ?2", company,
                                  campaign.id));
  if (!known) {
    SAMTALE_TRY_VOID(make_room_for_campaign(company));
  }
  return connection_.run(
      "INSERT OR REPLACE INTO campaigns(company, id, state, cursor, total, seen, asked, "
      "created_us, updated_us, filter, estimate) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
      company, campaign.id, campaign.state, campaign.cursor, campaign.total, campaign.seen,
      campaign.asked, to_us(campaign.created_at), to_us(campaign.updated_at),
      Blob{pack(campaign.filter)}, Blob{pack(campaign.estimate)});
}

Result<> SqliteWriter::make_room_for_campaign(CompanyId company) {
  SAMTALE_TRY(const auto kept,
              connection_.integer("SELECT count(*) FROM campaigns WHERE company = ?1", company));
  if (kept < kCampaignsMax) return {};
  SAMTALE_TRY_VOID(connection_.run(
      "DELETE FROM campaigns WHERE company = ?1 AND id = (SELECT id FROM campaigns "
      "WHERE company = ?1 AND state IN ('done', 'cancelled') ORDER BY created_us, id LIMIT 1)",
      company));
  if (connection_.changes() == 1) return {};
  return fail(ErrorCode::resource_exhausted,
              "company " + std::to_string(number(company)) + " has " +
                  std::to_string(kCampaignsMax) +
                  " analyses over history that are not done; let one end, or cancel one");
}

Result<std::optional<Campaign>> SqliteWriter::find_campaign(CompanyId company,
                                                            std::string_view id) {
  check_company(company);
  SAMTALE_TRY(auto row, connection_.prepare(kFindCampaign));
  SAMTALE_TRY_VOID(row.bind(company, id));
  SAMTALE_TRY(const bool found, row.step());
  if (!found) return std::optional<Campaign>();
  return read_campaign(row);
}

Result<> SqliteWriter::put_batch(CompanyId company, const LmBatch& batch) {
  check_company(company);
  return connection_.run(
      "INSERT INTO lm_batches(company, name, id, created_us, wanted_by_us, requests) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(company, name) DO UPDATE SET id = ?3, "
      "created_us = ?4, wanted_by_us = ?5, requests = ?6",
      company, batch.name, batch.id, to_us(batch.created_at), to_us(batch.wanted_by),
      Blob{pack(batch.requests)});
}

Result<> SqliteWriter::erase_batch(CompanyId company, std::string_view name) {
  check_company(company);
  return connection_.run("DELETE FROM lm_batches WHERE company = ?1 AND name = ?2", company, name);
}

}  // namespace samtale

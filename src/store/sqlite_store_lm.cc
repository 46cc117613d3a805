// What language models answered and cost, and what people said of it.
#include "store/codec.h"
#include "store/lm_sql.h"
#include "store/rows.h"
#include "store/sqlite_store.h"

namespace samtale {

using sqlite::Blob;

Result<std::optional<std::string>> SqliteStore::find_lm_result(CompanyId company,
                                                               std::string_view key) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto row, snapshot.connection().prepare(kFindLmResult));
  SAMTALE_TRY_VOID(row.bind(company, Blob{key}));
  SAMTALE_TRY(const bool found, row.step());
  if (!found) return std::optional<std::string>();
  return unpack(row.bytes(0));
}

Result<std::vector<SpendRow>> SqliteStore::spend(CompanyId company, std::string_view from_day,
                                                 std::string_view to_day) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  return read_spend(snapshot.connection(), company, from_day, to_day);
}

Result<std::vector<AnalysisOverride>> SqliteStore::overrides(CompanyId company,
                                                             ConversationId id) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(kOverridesOfConversation));
  SAMTALE_TRY_VOID(rows.bind(company, blob(id)));
  std::vector<AnalysisOverride> overrides;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return overrides;
    AnalysisOverride one;
    one.analyzer = rows.bytes(0);
    one.by = rows.bytes(1);
    one.made_at = from_us(rows.integer(2));
    one.revision = rows.integer(3);
    SAMTALE_TRY(one.note, unpack(rows.bytes(4)));
    SAMTALE_TRY(one.result, unpack(rows.bytes(5)));
    overrides.push_back(std::move(one));
  }
}

Result<std::vector<Campaign>> SqliteStore::campaigns(CompanyId company) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(kCampaignsOfCompany));
  SAMTALE_TRY_VOID(rows.bind(company));
  std::vector<Campaign> campaigns;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return campaigns;
    SAMTALE_TRY(auto campaign, read_campaign(rows));
    campaigns.push_back(std::move(campaign));
  }
}

Result<std::vector<std::pair<CompanyId, Campaign>>> SqliteStore::running_campaigns(
    Partition partition) const {
  SAMTALE_TRY(const auto snapshot, file(partition).snapshot());
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(kRunningCampaigns));
  std::vector<std::pair<CompanyId, Campaign>> campaigns;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return campaigns;
    SAMTALE_TRY(auto campaign, read_campaign(rows));
    campaigns.emplace_back(static_cast<CompanyId>(rows.integer(10)), std::move(campaign));
  }
}

Result<std::vector<std::pair<CompanyId, LmBatch>>> SqliteStore::batches(Partition partition) const {
  SAMTALE_TRY(const auto snapshot, file(partition).snapshot());
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(
                             "SELECT company, name, id, created_us, wanted_by_us, requests "
                             "FROM lm_batches ORDER BY company, name"));
  std::vector<std::pair<CompanyId, LmBatch>> batches;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return batches;
    LmBatch batch;
    batch.name = rows.bytes(1);
    batch.id = rows.bytes(2);
    batch.created_at = from_us(rows.integer(3));
    batch.wanted_by = from_us(rows.integer(4));
    SAMTALE_TRY(batch.requests, unpack(rows.bytes(5)));
    batches.emplace_back(static_cast<CompanyId>(rows.integer(0)), std::move(batch));
  }
}

}  // namespace samtale

// What language models answered and cost, and what people said of it.
#include "store/codec.h"
#include "store/postgres_rows.h"
#include "store/postgres_store.h"

namespace samtale {

using postgres::Bytes;
using postgres::Row;

Result<std::optional<std::string>> PostgresStore::find_lm_result(CompanyId company,
                                                                 std::string_view key) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company},
                              "SELECT result FROM lm_results WHERE company = $1 AND key = $2",
                              company, Bytes{key}));
  if (rows.empty()) return std::optional<std::string>();
  return unpack(rows.bytes(0, 0));
}

Result<std::vector<SpendRow>> PostgresStore::spend(CompanyId company, std::string_view from_day,
                                                   std::string_view to_day) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company}, kPgSpendOfDays, company, from_day, to_day));
  return read_spend(rows);
}

Result<std::vector<AnalysisOverride>> PostgresStore::overrides(CompanyId company,
                                                               ConversationId id) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company},
                              "SELECT analyzer, made_by, made_us, revision, note, result "
                              "FROM overrides WHERE company = $1 AND conversation = $2 "
                              "ORDER BY analyzer",
                              company, blob(id)));
  std::vector<AnalysisOverride> overrides;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    AnalysisOverride one;
    one.analyzer = row.bytes(0);
    one.by = row.bytes(1);
    one.made_at = from_us(row.integer(2));
    one.revision = row.integer(3);
    SAMTALE_TRY(one.note, unpack(row.bytes(4)));
    SAMTALE_TRY(one.result, unpack(row.bytes(5)));
    overrides.push_back(std::move(one));
  }
  return overrides;
}

Result<std::vector<Campaign>> PostgresStore::campaigns(CompanyId company) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company}, kPgCampaignsOfCompany, company));
  std::vector<Campaign> campaigns;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(auto campaign, read_campaign({rows, i}));
    campaigns.push_back(std::move(campaign));
  }
  return campaigns;
}

Result<std::vector<std::pair<CompanyId, Campaign>>> PostgresStore::running_campaigns(
    Partition partition) const {
  SAMTALE_TRY(const auto rows, database_->read({.partition = static_cast<std::int64_t>(partition)},
                                               kPgRunningCampaigns, partition));
  std::vector<std::pair<CompanyId, Campaign>> campaigns;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(auto campaign, read_campaign({rows, i}));
    campaigns.emplace_back(static_cast<CompanyId>(rows.integer(i, 10)), std::move(campaign));
  }
  return campaigns;
}

Result<std::vector<std::pair<CompanyId, LmBatch>>> PostgresStore::batches(
    Partition partition) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.partition = static_cast<std::int64_t>(partition)},
                              "SELECT company, name, id, created_us, wanted_by_us, requests "
                              "FROM lm_batches WHERE partition = $1 ORDER BY company, name",
                              partition));
  std::vector<std::pair<CompanyId, LmBatch>> batches;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    LmBatch batch;
    batch.name = row.bytes(1);
    batch.id = row.bytes(2);
    batch.created_at = from_us(row.integer(3));
    batch.wanted_by = from_us(row.integer(4));
    SAMTALE_TRY(batch.requests, unpack(row.bytes(5)));
    batches.emplace_back(static_cast<CompanyId>(row.integer(0)), std::move(batch));
  }
  return batches;
}

}  // namespace samtale

// Rows of PostgreSQL as values of the store: reads that the store and its writer share.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "postgres/value.h"
#include "store/store.h"

namespace samtale {

inline postgres::Bytes blob(const ConversationId& id) { return {id.view()}; }

// Each SQL with the function that takes its rows.
constexpr auto kPgFindConversation =
    "SELECT body, state, revision, received_us, updated_us FROM conversations "
    "WHERE company = $1 AND id = $2";
[[nodiscard]] Result<std::optional<StoredConversation>> read_conversation(
    const postgres::Rows& rows);

// A row: it was.
constexpr auto kPgIsDeleted = "SELECT 1 FROM tombstones WHERE company = $1 AND conversation = $2";

constexpr auto kPgSpendOfDays =
    "SELECT day, analyzer, spent_tokens, spent_micro_usd, held_tokens, held_micro_usd, requests "
    "FROM lm_spend WHERE company = $1 AND day >= $2 AND day <= $3 ORDER BY day, analyzer";
[[nodiscard]] std::vector<SpendRow> read_spend(const postgres::Rows& rows);

#define SAMTALE_PG_CAMPAIGN                                                \
  "SELECT id, state, cursor, total, seen, asked, created_us, updated_us, " \
  "filter, estimate, company FROM campaigns "
constexpr auto kPgFindCampaign = SAMTALE_PG_CAMPAIGN "WHERE company = $1 AND id = $2";
constexpr auto kPgCampaignsOfCompany =
    SAMTALE_PG_CAMPAIGN "WHERE company = $1 ORDER BY created_us DESC, id DESC";
constexpr auto kPgRunningCampaigns =
    SAMTALE_PG_CAMPAIGN "WHERE partition = $1 AND state = 'running' ORDER BY company, id";
#undef SAMTALE_PG_CAMPAIGN
[[nodiscard]] Result<Campaign> read_campaign(const postgres::Row& row);

}  // namespace samtale

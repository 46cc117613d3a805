// Rows of PostgreSQL as values of the store: reads that the store and its writer share.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "postgres/value.h"
#include "store/store.h"

namespace samtale {

inline postgres::Bytes blob(const ConversationId& id) { return {id.view()}; }

// Each once, in their order: for unnest($n), each to be looked up by itself (LATERAL, OFFSET 0).
// For a plain join or "= ANY($n)" PostgreSQL reads all of a company that it takes to be small.
[[nodiscard]] postgres::Column column_of(std::span<const ConversationId> ids);

// What was found of each, in the order of `ids`: rows come back in any.
template <class T>
[[nodiscard]] std::vector<T> in_order_of(std::span<const ConversationId> ids,
                                         const std::unordered_map<ConversationId, T>& found) {
  std::vector<T> ordered(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto one = found.find(ids[i]);
    if (one != found.end()) ordered[i] = one->second;
  }
  return ordered;
}

// Each SQL with the function that takes its rows.
constexpr auto kPgFindConversations =
    "SELECT c.id, c.body, c.state, c.revision, c.received_us, c.updated_us FROM unnest($2) AS "
    "w(id) "
    "CROSS JOIN LATERAL (SELECT * FROM conversations "
    "WHERE company = $1 AND id = w.id OFFSET 0) AS c";
using FoundConversations = std::unordered_map<ConversationId, std::optional<StoredConversation>>;
[[nodiscard]] Result<FoundConversations> read_conversations(const postgres::Rows& rows);

constexpr auto kPgDeleted =
    "SELECT t.conversation FROM unnest($2) AS w(conversation) CROSS JOIN LATERAL (SELECT * FROM "
    "tombstones "
    "WHERE company = $1 AND conversation = w.conversation OFFSET 0) AS t";

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

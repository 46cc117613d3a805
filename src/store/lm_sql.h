// The reads of what language models left, apart so that a test can ask SQLite how it runs them.
#pragma once

namespace samtale {

constexpr auto kFindLmResult = "SELECT result FROM lm_results WHERE company = ?1 AND key = ?2";

constexpr auto kLmKeysOfConversation =
    "SELECT key FROM lm_results INDEXED BY lm_results_by_conversation "
    "WHERE company = ?1 AND conversation = ?2";

constexpr auto kSpendOfDays =
    "SELECT day, analyzer, spent_tokens, spent_micro_usd, held_tokens, held_micro_usd, requests "
    "FROM lm_spend WHERE company = ?1 AND day >= ?2 AND day <= ?3 ORDER BY day, analyzer";

constexpr auto kOverridesOfConversation =
    "SELECT analyzer, made_by, made_us, revision, note, result FROM overrides "
    "WHERE company = ?1 AND conversation = ?2 ORDER BY analyzer";

// As read_campaign takes them.
#define SAMTALE_CAMPAIGN                                                   \
  "SELECT id, state, cursor, total, seen, asked, created_us, updated_us, " \
  "filter, estimate, company FROM campaigns "
constexpr auto kFindCampaign = SAMTALE_CAMPAIGN "WHERE company = ?1 AND id = ?2";
constexpr auto kCampaignsOfCompany =
    SAMTALE_CAMPAIGN "WHERE company = ?1 ORDER BY created_us DESC, id DESC";
constexpr auto kRunningCampaigns =
    SAMTALE_CAMPAIGN "INDEXED BY campaigns_running WHERE state = 'running' ORDER BY company, id";
#undef SAMTALE_CAMPAIGN

}  // namespace samtale

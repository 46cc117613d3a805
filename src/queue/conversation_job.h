// Jobs about one conversation: by these the stages of the pipeline meet.
#pragma once

#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "model/ids.h"
#include "queue/queue.h"

namespace samtale {

// Conclude from the conversation, once it has ended, what the company wants to know of it.
inline constexpr std::string_view kAnalyzeJob = "analyze";
// Ask a language model about it. Each priority is a kind with workers of its own, so that none
// waits for one of another to come free. The payload may name "analyzers" (an array); without,
// those that are due.
inline constexpr std::string_view kLmCriticalJob = "lm_critical";
inline constexpr std::string_view kLmJob = "lm";
inline constexpr std::string_view kLmBulkJob = "lm_bulk";
// The same of what can wait for a provider's Batch API.
inline constexpr std::string_view kLmBatchJob = "lm_batch";
// Tell the company's subscribers about it. The payload also has "event" ("analysis.completed"),
// "analyzers" (names, an array) and "revision".
inline constexpr std::string_view kNotifyJob = "notify";

// Payloads are JSON with "v":1.
[[nodiscard]] NewJob make_conversation_job(std::string_view kind, CompanyId company,
                                           const ConversationId& conversation);
// Errors: invalid_argument for another version (a newer node's: park it), corrupt otherwise.
[[nodiscard]] Result<ConversationId> conversation_of(const Job& job);
// The payload of any job, once its version is one that this binary reads. The same errors.
[[nodiscard]] Result<json::Value> read_payload(const Job& job);

}  // namespace samtale

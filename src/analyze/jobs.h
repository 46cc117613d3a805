// The jobs of analyses: what their payloads say, and how they are made. Private to analyze/.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "queue/conversation_job.h"
#include "queue/queue.h"

namespace samtale {

struct AnalysisJob {
  ConversationId conversation;
  std::vector<std::string> analyzers;  // Empty: those that are due.
};

// With names it has no key: it joins no job that wants something else.
[[nodiscard]] NewJob make_analysis_job(std::string_view kind, CompanyId company,
                                       const AnalysisJob& job);
// The errors of read_payload, and corrupt.
[[nodiscard]] Result<AnalysisJob> read_analysis_job(const Job& job);

[[nodiscard]] NewJob make_notify_job(CompanyId company, const ConversationId& conversation,
                                     const std::vector<std::string>& analyzers,
                                     std::int64_t revision);

}  // namespace samtale

// LmWork: what one conversation needs of a language model, as it and the analyzers are now. Private
// to analyze/.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "analyze/jobs.h"
#include "analyze/lm_analyst.h"
#include "analyze/worker.h"
#include "base/result.h"
#include "pii/pii.h"
#include "store/store.h"

namespace samtale {

struct LmWork {
  StoredConversation conversation;
  std::optional<PiiMasker> masker;  // Where the company masks.
  LmOrder order;                    // Points to the others; its urgency is the caller's to say.
};

// Null if there is nothing to ask: the conversation is gone, or all of it known. Errors: the
// store's.
[[nodiscard]] Result<std::unique_ptr<LmWork>> make_lm_work(const AnalyzeParts& parts,
                                                           CompanyId company,
                                                           const AnalysisJob& asked,
                                                           const std::string& mask_secret);

}  // namespace samtale

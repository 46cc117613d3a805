// What a person asks for by hand: the analyses of one conversation, whatever their triggers say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analyze/catalog.h"
#include "base/result.h"
#include "model/ids.h"
#include "store/store.h"

namespace samtale {

// What makes an analyzer's results on this server: "rules", "lm" or "extractive". Empty: nothing
// does, for want of a language model.
[[nodiscard]] std::string_view made_by(AnalyzerKind kind, bool has_language_model);

// Leaves a job for the named analyzers (none: all that are active and that something makes) and
// returns which. What they concluded from this revision already is not concluded again; of a
// conversation that is not there, nothing comes. Errors: invalid_argument for a name that is not
// there, not active, or that nothing makes.
[[nodiscard]] Result<std::vector<std::string>> request_analyses(
    Store& store, const AnalyzerCatalog& catalog, bool has_language_model, CompanyId company,
    const ConversationId& conversation, const std::vector<std::string>& names);

}  // namespace samtale

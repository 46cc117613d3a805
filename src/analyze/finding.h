// From a part of a model's answer to the analysis that is stored. Private to analyze/.
#pragma once

#include <cstddef>

#include "analyze/analyzer.h"
#include "analyze/extractive.h"
#include "base/result.h"
#include "json/json.h"
#include "model/conversation.h"

namespace samtale {

// `part` is of answer_schema(analyzer). Citations that do not hold are dropped, and what stands on
// nothing else with them; counted in `dropped`. Texts that are too long are cut.
// Errors: corrupt if nothing is left of what must stand on evidence.
[[nodiscard]] Result<Analysis> conclude(const Analyzer& analyzer, json::Value part,
                                        const Conversation& conversation, std::size_t& dropped);

// Personal data by rules: {"findings": [{"kind", "turn", "quote"}], "kinds": {…}}; labels are
// kinds.
[[nodiscard]] Analysis report_pii(const Conversation& conversation);

// Of a score card's answers: the weighted share of the points that could be had, from 0 to 1; what
// does not apply (null) is left out. Nothing if nothing applies.
[[nodiscard]] std::optional<double> card_score(const Analyzer& analyzer,
                                               const json::Value& answers);

}  // namespace samtale

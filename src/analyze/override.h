// What a person says in the place of a machine: held against the analyzer it is said of.
#pragma once

#include "analyze/analyzer.h"
#include "base/result.h"
#include "json/json.h"

namespace samtale {

// `result` as it is to be kept. A score card's is {"answers": [{"id", "points"}]}, points being
// null where the question does not apply; what a person leaves out stays as in `machine`, and the
// "score" is computed anew. Of any other kind it is an object of the kind's shape, or a part of it.
// Errors: invalid_argument with every mistake, by JSON pointer from "/result".
[[nodiscard]] Result<json::Value> check_override(const Analyzer& analyzer,
                                                 const json::Value& machine,
                                                 const json::Value& result);

}  // namespace samtale

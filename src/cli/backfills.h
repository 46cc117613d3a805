// What the commands say of back-fills. Internal.
#pragma once

#include <string>

#include "cli/context.h"

namespace samtale::cli {

// Of an estimate: "40 conversations, 160 analyses by a language model: at most …".
[[nodiscard]] std::string describe_estimate(const json::Value& estimate);
// Whether it would have a language model work: that costs, whatever prices are known.
[[nodiscard]] bool costs(const json::Value& estimate);

// Waits for a back-fill of that id, with a bar, until it and its jobs are done, or Ctrl-C: then it
// goes on without us. The back-fill, as it was last.
[[nodiscard]] Result<json::Value> watch_backfill(Context& context, const std::string& company,
                                                 const json::Value& started);
// Running, or its jobs are not all done.
[[nodiscard]] bool goes_on(const json::Value& backfill);

}  // namespace samtale::cli

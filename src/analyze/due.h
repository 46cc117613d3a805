// Which analyzers are to be run on a conversation. Private to analyze/.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analyze/analyzer.h"
#include "store/store.h"

namespace samtale {

// Of the analyzers, the named ones; where none is named, those that are due.
[[nodiscard]] std::vector<Analyzer> chosen(std::span<const Analyzer> analyzers,
                                           const std::vector<std::string>& names,
                                           const Conversation& conversation);

// This version of the analyzer has concluded from this revision; by a language model, if it must
// be.
[[nodiscard]] bool is_known(const Analyzer& analyzer, std::int64_t revision, bool by_language_model,
                            std::span<const StoredAnalysis> known);

// Can be made without a language model; cannot be made better with one.
[[nodiscard]] bool has_offline_form(AnalyzerKind kind);
[[nodiscard]] bool is_by_rules(AnalyzerKind kind);

}  // namespace samtale

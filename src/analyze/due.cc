#include "analyze/due.h"

#include <algorithm>

#include "analyze/lm_analyst.h"

namespace samtale {

std::vector<Analyzer> chosen(std::span<const Analyzer> analyzers,
                             const std::vector<std::string>& names,
                             const Conversation& conversation) {
  std::vector<Analyzer> some;
  for (const auto& analyzer : analyzers) {
    const bool is_named = std::ranges::find(names, analyzer.name) != names.end();
    if (names.empty() ? is_due(analyzer, conversation) : is_named && analyzer.is_active) {
      some.push_back(analyzer);
    }
  }
  return some;
}

bool is_known(const Analyzer& analyzer, std::int64_t revision, bool by_language_model,
              std::span<const StoredAnalysis> known) {
  return std::ranges::any_of(known, [&](const StoredAnalysis& one) {
    return one.analyzer == analyzer.name && one.version == analyzer.version &&
           one.revision == revision && (!by_language_model || one.method == kByLanguageModel);
  });
}

bool has_offline_form(AnalyzerKind kind) {
  return kind == AnalyzerKind::summary || kind == AnalyzerKind::sentiment ||
         kind == AnalyzerKind::topics || is_by_rules(kind);
}

bool is_by_rules(AnalyzerKind kind) {
  return kind == AnalyzerKind::pii || kind == AnalyzerKind::manipulation;
}

}  // namespace samtale

#include "analyze/on_demand.h"

#include <algorithm>

#include "analyze/due.h"
#include "analyze/extractive.h"
#include "analyze/jobs.h"
#include "analyze/lm_analyst.h"

namespace samtale {
namespace {

Result<> check(const Analyzers& analyzers, const std::string& name, bool has_language_model) {
  const auto found = std::ranges::find(analyzers, name, &Analyzer::name);
  if (found == analyzers.end() || !found->is_active) {
    return fail(ErrorCode::invalid_argument,
                "/analyzers: there is no active analyzer \"" + name + "\"");
  }
  if (made_by(found->kind, has_language_model).empty()) {
    return fail(ErrorCode::invalid_argument,
                "/analyzers: \"" + name + "\" needs a language model, and this server has none");
  }
  return {};
}

}  // namespace

std::string_view made_by(AnalyzerKind kind, bool has_language_model) {
  if (is_by_rules(kind)) return "rules";
  if (has_language_model) return kByLanguageModel;
  return has_offline_form(kind) ? kExtractive : std::string_view();
}

Result<std::vector<std::string>> request_analyses(Store& store, const AnalyzerCatalog& catalog,
                                                  bool has_language_model, CompanyId company,
                                                  const ConversationId& conversation,
                                                  const std::vector<std::string>& names) {
  const auto analyzers = catalog.of(company);
  std::vector<std::string> asked;
  for (const auto& name : names) {
    SAMTALE_TRY_VOID(check(*analyzers, name, has_language_model));
    if (std::ranges::find(asked, name) == asked.end()) asked.push_back(name);
  }
  if (names.empty()) {
    for (const auto& one : *analyzers) {
      const bool is_made = !made_by(one.kind, has_language_model).empty();
      if (one.is_active && is_made) asked.push_back(one.name);
    }
  }
  if (asked.empty()) return asked;  // A job without names would be for those that are due.
  SAMTALE_TRY_VOID(store.write(store.partition_of(company), [&](StoreWriter& writer) {
    return writer.enqueue(make_analysis_job(kAnalyzeJob, company,
                                            {.conversation = conversation, .analyzers = asked}));
  }));
  return asked;
}

}  // namespace samtale

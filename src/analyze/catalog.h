// AnalyzerCatalog: each company's analyzers and what it may spend on them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analyze/analyzer.h"
#include "base/result.h"
#include "json/json.h"
#include "lm/budget.h"
#include "model/ids.h"
#include "store/registry.h"
#include "sys/clock.h"

namespace samtale {

// How a company's analyses are made.
struct AnalysisSettings {
  BudgetLimits budget;
  bool mask_pii = false;                // Before anything leaves the machine.
  std::vector<std::string> mask_names;  // Besides those of the parties.
  std::string language;                 // Of what is written; empty: the conversation's.
};
// Errors: invalid_argument with every mistake.
[[nodiscard]] Result<AnalysisSettings> parse_settings(const json::Value& value);
[[nodiscard]] json::Value to_json(const AnalysisSettings& settings);

using Analyzers = std::vector<Analyzer>;  // By name.

// Small, read from memory, written through to the registry.
// Threads: any method from any thread.
class AnalyzerCatalog final : public BudgetPolicy {
 public:
  // The registry and clock must outlive it. `defaults`: of a company that says nothing.
  AnalyzerCatalog(Registry& registry, const Clock& clock, AnalysisSettings defaults = {});
  // Reads everything from the registry. Before anything else.
  Result<> load();
  // Does so again if the registry has changed since.
  Result<> refresh();

  // In force: the latest version of each, and the shipped ones the company has not changed.
  [[nodiscard]] std::shared_ptr<const Analyzers> of(CompanyId company) const;
  // All of the company's own versions of a name, oldest first.
  [[nodiscard]] std::vector<Analyzer> versions(CompanyId company, std::string_view name) const;
  // Every active analyzer with a schedule.
  [[nodiscard]] std::vector<std::pair<CompanyId, Analyzer>> scheduled() const;
  // Makes a new version, unless it says what the one in force says. Errors: resource_exhausted past
  // AnalyzerLimits::kPerCompany.
  Result<Analyzer> put(CompanyId company, Analyzer analyzer);
  // A shipped one is then as it was shipped. Errors: not_found.
  Result<> remove(CompanyId company, std::string_view name);

  [[nodiscard]] AnalysisSettings settings(CompanyId company) const;
  Result<> put_settings(CompanyId company, const AnalysisSettings& settings);

  // The tighter of the company's own and the defaults'.
  [[nodiscard]] BudgetLimits of_company(CompanyId company) const override;
  [[nodiscard]] BudgetLimits of_analyzer(CompanyId company,
                                         std::string_view analyzer) const override;

 private:
  struct Version {
    Analyzer analyzer;
    bool is_deleted = false;
  };
  struct Company {
    std::vector<Version> versions;  // By name, then version.
    std::shared_ptr<const Analyzers> in_force;
    std::optional<AnalysisSettings> settings;
  };

  Result<> load_all();  // Under changes_mutex_, as the next.
  Result<> load_if_newer();
  void renew(Company& company) const;
  [[nodiscard]] const Company* find(CompanyId company) const;

  Registry& registry_;
  const Clock& clock_;
  const AnalysisSettings defaults_;
  const std::shared_ptr<const Analyzers> shipped_;
  // One change at a time, so that versions follow one another. Held while the registry is asked.
  std::mutex changes_mutex_;
  SeenVersion seen_{registry_, RegistryPart::analyzers};  // Guarded by changes_mutex_.
  mutable std::mutex companies_mutex_;
  std::map<CompanyId, Company> companies_;  // Guarded by companies_mutex_.
};

}  // namespace samtale

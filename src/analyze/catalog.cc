#include "analyze/catalog.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/fields.h"

namespace samtale {
namespace {

constexpr std::size_t kNamesMax = 1'000;

std::optional<std::int64_t> tighter(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

// Both say the same, whatever their versions.
bool is_same(const Analyzer& a, const Analyzer& b) { return to_json(a) == to_json(b); }

Result<Analyzer> read_record(const AnalyzerRecord& record) {
  SAMTALE_TRY(const auto definition, json::parse(record.definition));
  SAMTALE_TRY(auto analyzer, parse_analyzer(definition));
  analyzer.version = record.version;
  return analyzer;
}

}  // namespace

Result<AnalysisSettings> parse_settings(const json::Value& value) {
  Fields fields(value);
  AnalysisSettings settings;
  if (const auto* budget = fields.object("budget")) {
    auto limits = parse_budget(*budget, "/budget");
    if (limits) {
      settings.budget = *limits;
    } else {
      fields.mistake("budget", limits.error().message);
    }
  }
  settings.mask_pii = fields.boolean("mask_pii").value_or(false);
  settings.mask_names = fields.strings("mask_names");
  if (settings.mask_names.size() > kNamesMax) {
    fields.mistake("mask_names", "must be at most " + std::to_string(kNamesMax));
  }
  settings.language = fields.string("language").value_or("");
  if (settings.language.size() > 35) fields.mistake("language", "must be at most 35 bytes");
  SAMTALE_TRY_VOID(fields.done());
  return settings;
}

json::Value to_json(const AnalysisSettings& settings) {
  return json::Object{
      {"budget", to_json(settings.budget)},
      {"mask_pii", settings.mask_pii},
      {"mask_names", json::Array(settings.mask_names.begin(), settings.mask_names.end())},
      {"language", settings.language}};
}

AnalyzerCatalog::AnalyzerCatalog(Registry& registry, const Clock& clock, AnalysisSettings defaults)
    : registry_(registry),
      clock_(clock),
      defaults_(std::move(defaults)),
      shipped_(std::make_shared<const Analyzers>(shipped_analyzers())) {}

Result<> AnalyzerCatalog::load() {
  const std::lock_guard changing(changes_mutex_);
  return load_all();
}

Result<> AnalyzerCatalog::refresh() {
  const std::lock_guard changing(changes_mutex_);
  return load_if_newer();
}

Result<> AnalyzerCatalog::load_if_newer() {
  SAMTALE_TRY(const bool has_news, seen_.has_news());
  return has_news ? load_all() : Result<>();
}

Result<> AnalyzerCatalog::load_all() {
  SAMTALE_TRY(const auto version, seen_.read());  // First: what follows is at least as new.
  SAMTALE_TRY(const auto records, registry_.analyzers());
  SAMTALE_TRY(const auto settings, registry_.lm_settings());
  std::map<CompanyId, Company> companies;
  for (const auto& record : records) {
    auto analyzer = read_record(record);
    if (!analyzer) continue;  // Of a newer version of this program: as if it were not there.
    companies[record.company].versions.push_back({*std::move(analyzer), record.is_deleted});
  }
  for (const auto& record : settings) {
    SAMTALE_TRY(const auto value, json::parse(record.settings));
    SAMTALE_TRY(companies[record.company].settings, parse_settings(value));
  }
  for (auto& [id, company] : companies) {
    std::ranges::sort(company.versions, {}, [](const Version& one) {
      return std::pair<std::string_view, std::int64_t>(one.analyzer.name, one.analyzer.version);
    });
    renew(company);
  }
  const std::lock_guard lock(companies_mutex_);
  companies_ = std::move(companies);
  seen_.loaded(version);
  return {};
}

void AnalyzerCatalog::renew(Company& company) const {
  std::map<std::string, Analyzer> in_force;
  for (const auto& [analyzer, is_deleted] : company.versions) {
    in_force.erase(analyzer.name);
    if (!is_deleted) in_force[analyzer.name] = analyzer;
  }
  // As it was shipped, where the company's own is gone.
  for (const auto& one : *shipped_) in_force.try_emplace(one.name, one);
  Analyzers analyzers;
  for (auto& [name, one] : in_force) analyzers.push_back(std::move(one));
  company.in_force = std::make_shared<const Analyzers>(std::move(analyzers));
}

const AnalyzerCatalog::Company* AnalyzerCatalog::find(CompanyId company) const {
  const auto found = companies_.find(company);
  return found == companies_.end() ? nullptr : &found->second;
}

std::shared_ptr<const Analyzers> AnalyzerCatalog::of(CompanyId company) const {
  const std::lock_guard lock(companies_mutex_);
  const auto* found = find(company);
  return found == nullptr || found->in_force == nullptr ? shipped_ : found->in_force;
}

std::vector<Analyzer> AnalyzerCatalog::versions(CompanyId company, std::string_view name) const {
  const std::lock_guard lock(companies_mutex_);
  std::vector<Analyzer> versions;
  if (const auto* found = find(company)) {
    for (const auto& one : found->versions) {
      if (one.analyzer.name == name) versions.push_back(one.analyzer);
    }
  }
  return versions;
}

std::vector<std::pair<CompanyId, Analyzer>> AnalyzerCatalog::scheduled() const {
  const std::lock_guard lock(companies_mutex_);
  std::vector<std::pair<CompanyId, Analyzer>> all;
  for (const auto& [id, company] : companies_) {
    for (const auto& one : *company.in_force) {
      if (one.is_active && one.trigger.on == TriggerOn::schedule) all.emplace_back(id, one);
    }
  }
  return all;
}

Result<Analyzer> AnalyzerCatalog::put(CompanyId company, Analyzer analyzer) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto in_force = of(company);
  const auto known = std::ranges::find(*in_force, analyzer.name, &Analyzer::name);
  if (known != in_force->end() && is_same(*known, analyzer)) return *known;
  if (known == in_force->end() && in_force->size() >= AnalyzerLimits::kPerCompany) {
    return fail(ErrorCode::resource_exhausted, "a company has at most " +
                                                   std::to_string(AnalyzerLimits::kPerCompany) +
                                                   " analyzers; delete one first");
  }
  // Above the shipped one's version too: a result says by its version what made it.
  analyzer.version = 1;
  for (const auto& one : *shipped_) {
    if (one.name == analyzer.name) analyzer.version = one.version + 1;
  }
  for (const auto& one : versions(company, analyzer.name)) {
    analyzer.version = std::max(analyzer.version, one.version + 1);
  }
  analyzer.is_shipped = false;
  SAMTALE_TRY_VOID(registry_.put_analyzer({.company = company,
                                           .name = analyzer.name,
                                           .version = analyzer.version,
                                           .definition = json::dump(to_json(analyzer)),
                                           .created_at = clock_.wall_now()}));
  seen_.made_change();
  const std::lock_guard lock(companies_mutex_);
  auto& state = companies_[company];
  const auto after = std::ranges::find_if(
      state.versions, [&](const Version& one) { return one.analyzer.name > analyzer.name; });
  state.versions.insert(after, {analyzer, false});
  renew(state);
  return analyzer;
}

Result<> AnalyzerCatalog::remove(CompanyId company, std::string_view name) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto in_force = of(company);
  const auto known = std::ranges::find(*in_force, name, &Analyzer::name);
  if (known == in_force->end() || known->is_shipped) {
    return fail(ErrorCode::not_found,
                known == in_force->end()
                    ? "there is no analyzer of this name"
                    : "this analyzer is as it was shipped; to be without it, make it inactive");
  }
  for (const auto& one : versions(company, name)) {
    SAMTALE_TRY_VOID(registry_.put_analyzer({.company = company,
                                             .name = one.name,
                                             .version = one.version,
                                             .definition = json::dump(to_json(one)),
                                             .created_at = clock_.wall_now(),
                                             .is_deleted = true}));
    seen_.made_change();
  }
  const std::lock_guard lock(companies_mutex_);
  auto& state = companies_[company];
  for (auto& one : state.versions) {
    if (one.analyzer.name == name) one.is_deleted = true;
  }
  renew(state);
  return {};
}

AnalysisSettings AnalyzerCatalog::settings(CompanyId company) const {
  const std::lock_guard lock(companies_mutex_);
  const auto* found = find(company);
  return found != nullptr && found->settings ? *found->settings : defaults_;
}

Result<> AnalyzerCatalog::put_settings(CompanyId company, const AnalysisSettings& settings) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  SAMTALE_TRY_VOID(
      registry_.put_lm_settings({.company = company, .settings = json::dump(to_json(settings))}));
  seen_.made_change();
  const std::lock_guard lock(companies_mutex_);
  auto& state = companies_[company];
  state.settings = settings;
  renew(state);
  return {};
}

BudgetLimits AnalyzerCatalog::of_company(CompanyId company) const {
  const auto own = settings(company).budget;
  const auto& most = defaults_.budget;
  return {.tokens_per_day = tighter(own.tokens_per_day, most.tokens_per_day),
          .tokens_per_month = tighter(own.tokens_per_month, most.tokens_per_month),
          .micro_usd_per_day = tighter(own.micro_usd_per_day, most.micro_usd_per_day),
          .micro_usd_per_month = tighter(own.micro_usd_per_month, most.micro_usd_per_month)};
}

BudgetLimits AnalyzerCatalog::of_analyzer(CompanyId company, std::string_view analyzer) const {
  const auto in_force = of(company);
  const auto found = std::ranges::find(*in_force, analyzer, &Analyzer::name);
  return found == in_force->end() ? BudgetLimits{} : found->budget;
}

}  // namespace samtale

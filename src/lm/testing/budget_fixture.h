// What tests of budgets share: limits they set by hand, and a real store on a disk they choose.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "lm/budget.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_store.h"

namespace samtale {

class ManualPolicy final : public BudgetPolicy {
 public:
  [[nodiscard]] BudgetLimits of_company(CompanyId) const override { return company; }
  [[nodiscard]] BudgetLimits of_analyzer(CompanyId, std::string_view analyzer) const override {
    const auto found = analyzers.find(analyzer);
    return found == analyzers.end() ? BudgetLimits{} : found->second;
  }

  BudgetLimits company;
  std::map<std::string, BudgetLimits, std::less<>> analyzers;
};

class BudgetWorld {
 public:
  static constexpr CompanyId kCompany{1};

  [[nodiscard]] std::unique_ptr<Budget> open() {
    return std::make_unique<Budget>(*store, policy, clock);
  }
  // In a folder of the disk that `vfs` names; empty: the system's.
  [[nodiscard]] std::unique_ptr<SqliteStore> open_store(const std::string& folder,
                                                        const std::string& vfs) {
    SqliteStoreOptions options;
    options.folder = folder;
    options.partitions = 1;
    options.vfs = vfs;
    options.readers_max = vfs.empty() ? options.readers_max : 0;  // A simulation has one thread.
    auto opened = SqliteStore::open(options, clock, random);
    SAMTALE_CHECK(opened, "a store opens on a healthy disk");
    return *std::move(opened);
  }
  void book(const std::vector<SpendChange>& changes) {
    const auto written = store->write(store->partition_of(kCompany), [&](StoreWriter& writer) {
      return writer.add_spend(kCompany, changes);
    });
    SAMTALE_CHECK(written, "a store of one test takes what is spent");
  }
  // Of all analyzers and days.
  [[nodiscard]] Spend spent() const { return sum(&SpendRow::spent); }
  [[nodiscard]] Spend held() const { return sum(&SpendRow::held); }
  [[nodiscard]] std::vector<SpendRow> rows() const {
    return store->spend(kCompany, "2000-01-01", "2100-01-01").value();
  }

  SimClock clock;  // From 2026-01-01 on.
  SimRandom random{1};
  ManualPolicy policy;
  std::unique_ptr<SqliteStore> store;  // Set by whoever derives from this.

 private:
  [[nodiscard]] Spend sum(Spend SpendRow::*part) const {
    Spend sum;
    for (const auto& row : rows()) {
      sum.tokens += (row.*part).tokens;
      sum.micro_usd += (row.*part).micro_usd;
    }
    return sum;
  }
};

}  // namespace samtale

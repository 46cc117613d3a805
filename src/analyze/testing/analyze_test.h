// What the tests of analyses work on: the real store and registry in a folder of their own, with a
// clock that the test moves.
#pragma once

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "analyze/catalog.h"
#include "analyze/worker.h"
#include "metrics/metrics.h"
#include "queue/conversation_job.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"
#include "store/sqlite_store.h"

namespace samtale {

class AnalyzeTest : public testing::Test {
 protected:
  static constexpr CompanyId kAcme{1};
  static constexpr CompanyId kOther{2};

  AnalyzeTest() {
    std::string name = testing::TempDir() + "/analyze-XXXXXX";
    folder = ::mkdtemp(name.data());
    SqliteStoreOptions options;
    options.folder = folder;
    options.partitions = 1;
    store = *SqliteStore::open(options, clock, random);
    registry = *SqliteRegistry::open({.folder = folder, .vfs = {}});
    catalog = std::make_unique<AnalyzerCatalog>(*registry, clock);
    EXPECT_TRUE(catalog->load());
  }
  ~AnalyzeTest() override {
    store.reset();
    registry.reset();
    std::filesystem::remove_all(folder);
  }

  // A conversation of customers' and agents' turns by turns; stored again, it is changed.
  ConversationId put(const std::string& name, const std::vector<std::string>& texts,
                     const std::string& status = "ended", CompanyId company = kAcme) {
    StoredConversation stored;
    stored.received_at = clock.wall_now();
    auto& conversation = stored.conversation;
    conversation.id = make_conversation_id(company, "api", name);
    conversation.source = "api";
    conversation.external_id = name;
    conversation.status = status;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      conversation.turns.push_back(
          {.id = std::to_string(i), .role = i % 2 == 0 ? "customer" : "agent", .text = texts[i]});
    }
    EXPECT_TRUE(
        write([&](StoreWriter& writer) { return writer.put_conversation(company, stored); }));
    return conversation.id;
  }
  void enqueue(std::string_view kind, const ConversationId& id, CompanyId company = kAcme) {
    EXPECT_TRUE(write([&](StoreWriter& writer) {
      return writer.enqueue(make_conversation_job(kind, company, id));
    }));
  }
  Result<> write(const std::function<Result<>(StoreWriter&)>& work) {
    return store->write(Partition{0}, work);
  }
  std::vector<StoredAnalysis> analyses(const ConversationId& id, CompanyId company = kAcme) {
    return store->analyses(company, id).value();
  }
  std::vector<std::string> names_of(const std::vector<StoredAnalysis>& list) {
    std::vector<std::string> names;
    for (const auto& one : list) names.push_back(one.analyzer);
    return names;
  }
  // Kinds and payloads of what waits.
  std::vector<Job> waiting(CompanyId company = kAcme) {
    return store->queue().waiting(company, 1'000).value();
  }
  Analyzer parsed(std::string_view definition) {
    auto analyzer = parse_analyzer(*json::parse(definition));
    EXPECT_TRUE(analyzer) << analyzer.error().message;
    return *analyzer;
  }
  AnalyzeParts parts() {
    return {.queue = store->queue(),
            .store = *store,
            .catalog = *catalog,
            .clock = clock,
            .random = random,
            .metrics = *metrics,
            .wants_news = [this](CompanyId) { return wants_news; }};
  }

  SimClock clock;
  SimRandom random{1};
  std::string folder;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<SqliteRegistry> registry;
  std::unique_ptr<AnalyzerCatalog> catalog;
  const std::unique_ptr<Metrics> metrics = make_metrics();
  const WordStatisticsOf no_words = [](CompanyId) { return nullptr; };
  bool wants_news = false;
};

}  // namespace samtale

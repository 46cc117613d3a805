#include <gmock/gmock.h>

#include "sqlite/database.h"
#include "store/lm_sql.h"
#include "store/schema.h"
#include "store/sqlite_store.h"
#include "store/store_lm_conformance.h"
#include "store/testing/sqlite_harness.h"

namespace samtale {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(SqliteStoreTest, StoreLmConformance, SqliteHarnesses);

class SqliteStoreLmTest : public ::testing::Test {
 protected:
  static constexpr CompanyId kCompany{1};

  std::unique_ptr<SqliteStore> open() {
    SqliteStoreOptions options;
    options.folder = folder_.path();
    options.partitions = 1;
    auto opened = SqliteStore::open(options, clock_, random_);
    EXPECT_TRUE(opened) << opened.error().message;
    return *std::move(opened);
  }
  static StoredConversation conversation() {
    StoredConversation stored;
    stored.conversation.id = make_conversation_id(kCompany, "api", "a");
    stored.conversation.source = "api";
    stored.conversation.external_id = "a";
    return stored;
  }
  // How SQLite runs it, step by step.
  std::vector<std::string> plan(const std::string& sql) {
    const auto connection =
        sqlite::Connection::open(folder_.path() + "/part-00.db", {.vfs = "", .writable = true})
            .value();
    auto rows = connection->prepare("EXPLAIN QUERY PLAN " + sql).value();
    std::vector<std::string> steps;
    while (rows.step().value()) steps.emplace_back(rows.bytes(3));
    return steps;
  }

  TempFolder folder_;
  SimClock clock_;
  SimRandom random_{1};
};

TEST_F(SqliteStoreLmTest, keeps_everything_over_a_restart) {
  const auto stored = conversation();
  const auto id = stored.conversation.id;
  {
    const auto store = open();
    ASSERT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.put_conversation(kCompany, stored));
      SAMTALE_TRY_VOID(writer.put_lm_result(kCompany, id, "k", "answer", {}));
      SAMTALE_TRY_VOID(writer.put_override(
          kCompany, id, {.analyzer = "summary", .result = "{}", .by = "operator", .note = ""}));
      SAMTALE_TRY_VOID(writer.put_campaign(
          kCompany,
          {.id = "bf_a", .filter = "", .state = "running", .cursor = "", .estimate = ""}));
      SAMTALE_TRY_VOID(writer.put_batch(kCompany, {.name = "b", .id = "", .requests = "[]"}));
      return writer.add_spend(
          kCompany, std::vector<SpendChange>{
                        {.analyzer = "summary", .day = "2026-11-28", .spent = {5, 6}, .held = {}}});
    }));
  }

  const auto store = open();

  EXPECT_EQ(store->find_lm_result(kCompany, "k").value(), "answer");
  EXPECT_EQ(store->overrides(kCompany, id)->size(), 1u);
  EXPECT_EQ(store->running_campaigns(Partition{0})->size(), 1u);
  EXPECT_EQ(store->batches(Partition{0})->size(), 1u);
  EXPECT_EQ(store->spend(kCompany, "2026-11-28", "2026-11-28")->at(0).spent, (Spend{5, 6}));
}

TEST_F(SqliteStoreLmTest, brings_a_file_of_before_language_models_up) {
  constexpr std::size_t kMigrationsBefore = 4;
  {
    const auto file =
        sqlite::Database::open({.path = folder_.path() + "/part-00.db", .vfs = "", .create = true},
                               partition_schema().first(kMigrationsBefore));
    ASSERT_TRUE(file) << file.error().message;
  }

  const auto store = open();

  const auto stored = conversation();
  ASSERT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_conversation(kCompany, stored));
    return writer.put_lm_result(kCompany, stored.conversation.id, "k", "answer", {});
  }));
  EXPECT_EQ(store->find_lm_result(kCompany, "k").value(), "answer");
}

TEST_F(SqliteStoreLmTest, reads_what_is_of_one_company_by_its_keys) {
  { const auto store = open(); }
  using ::testing::ElementsAre;
  using ::testing::HasSubstr;

  EXPECT_THAT(plan(kFindLmResult), ElementsAre(HasSubstr("SEARCH lm_results USING INDEX "
                                                         "sqlite_autoindex_lm_results_1 "
                                                         "(company=? AND key=?)")));
  EXPECT_THAT(plan(kLmKeysOfConversation),
              ElementsAre(HasSubstr("COVERING INDEX lm_results_by_conversation "
                                    "(company=? AND conversation=?)")));
  EXPECT_THAT(plan(kSpendOfDays), ElementsAre(HasSubstr("SEARCH lm_spend USING PRIMARY KEY "
                                                        "(company=? AND day>? AND day<?)")));
  EXPECT_THAT(plan(kOverridesOfConversation),
              ElementsAre(HasSubstr("(company=? AND conversation=?)")));
  EXPECT_THAT(plan(kFindCampaign), ElementsAre(HasSubstr("(company=? AND id=?)")));
  EXPECT_THAT(plan(kCampaignsOfCompany),
              ElementsAre(HasSubstr("SEARCH campaigns USING PRIMARY KEY (company=?)"),
                          "USE TEMP B-TREE FOR ORDER BY"));
  EXPECT_THAT(plan(kRunningCampaigns), ElementsAre(HasSubstr("campaigns_running")));
}

}  // namespace
}  // namespace samtale
